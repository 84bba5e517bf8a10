import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adacl.config import LabelConfig
from adacl.training.labels import draw_labels

ANOMALOUS = torch.arange(4000) >= 2000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_paper_intervals_are_the_default():
    labels = draw_labels(ANOMALOUS, generator())
    normal, made = labels[~ANOMALOUS], labels[ANOMALOUS]
    assert normal.min() >= 0
    assert normal.max() <= 0.3
    assert made.min() >= 0.7
    assert made.max() <= 1
    for drawn, low in ((normal, 0.0), (made, 0.7)):
        thirds = torch.histc(drawn, 3, min=low, max=low + 0.3) / len(drawn)
        assert thirds.tolist() == pytest.approx([1 / 3] * 3, abs=0.05)


def test_discrete_labels_are_zero_and_one():
    labels = draw_labels(ANOMALOUS, generator(), LabelConfig("discrete"))
    assert torch.equal(labels, ANOMALOUS.float())


@given(st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4, unique=True).map(sorted))
def test_any_valid_intervals(bounds):
    config = LabelConfig(normal=tuple(bounds[:2]), anomalous=tuple(bounds[2:]))
    labels = draw_labels(ANOMALOUS, generator(), config)
    for drawn, (low, high) in (
        (labels[~ANOMALOUS], config.normal),
        (labels[ANOMALOUS], config.anomalous),
    ):
        assert drawn.min() >= low - 1e-6
        assert drawn.max() <= high + 1e-6


def test_labels_are_fresh_at_every_call():
    source = generator()
    assert not torch.equal(draw_labels(ANOMALOUS, source), draw_labels(ANOMALOUS, source))


def test_equal_seeds_give_equal_labels_and_leave_the_global_state():
    state = torch.get_rng_state()
    assert torch.equal(draw_labels(ANOMALOUS, generator(1)), draw_labels(ANOMALOUS, generator(1)))
    assert torch.equal(torch.get_rng_state(), state)
