import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import max_pool2d

from adacl.anomalies.shapes import SHAPES, draw_shapes

sizes = st.tuples(st.integers(16, 80), st.integers(16, 80))
seeds = st.integers(0, 2**32)


def draw(count, size, weights, seed=0):
    return draw_shapes(count, size, weights, torch.Generator().manual_seed(seed))


@given(st.integers(1, 5), sizes, st.sampled_from(sorted(SHAPES)), seeds)
def test_masks_are_shares_of_each_pixel(count, size, name, seed):
    masks, scars = draw(count, size, {name: 1.0}, seed)
    assert masks.shape == (count, 1, *size)
    assert float(masks.min()) >= 0
    assert float(masks.max()) <= 1
    assert scars.tolist() == [name == "scar"] * count


@pytest.mark.parametrize("name", SHAPES)
def test_most_shapes_are_seen_and_leave_most_of_the_image(name):
    masks, _ = draw(200, (96, 128), {name: 1.0})
    assert float((masks.amax((1, 2, 3)) > 0.5).float().mean()) > 0.85
    assert float((masks > 0.5).float().mean((1, 2, 3)).max()) < 0.6


@pytest.mark.parametrize("size", [(24, 96), (96, 24)])
def test_shapes_lie_anywhere(size):
    masks, _ = draw(400, size, dict.fromkeys(SHAPES, 1.0))
    covered = masks.sum((0, 1))
    axis = size.index(96)
    quarters = covered.sum(1 - axis).view(4, -1).sum(1) / covered.sum()
    assert 0.15 < float(quarters.min()) <= float(quarters.max()) < 0.35


def test_compact_shapes_are_of_all_sizes_and_softnesses():
    masks, _ = draw(400, (96, 128), {"ellipse": 1.0})
    shares = torch.tensor([0.1, 0.5, 0.9])
    radius = (masks.sum((1, 2, 3)) / torch.pi).sqrt()
    small, usual, large = radius.quantile(shares).tolist()
    assert small < 5 < usual < 12 < large
    rims = ((masks > 0.1) & (masks < 0.9)).sum((1, 2, 3)) / (2 * torch.pi * radius)
    hard, _, soft = rims.quantile(shares).tolist()
    assert hard < 2 < 4 < soft


def share_that_holds(name, side):
    """Return the share of drawn shapes into which a square of some side fits."""
    outside = 1 - (draw(100, (96, 96), {name: 1.0})[0] > 0.5).float()
    eroded = max_pool2d(max_pool2d(outside, (side, 1), 1), (1, side), 1)
    return float((eroded.amin((1, 2, 3)) == 0).float().mean())


def test_scars_are_thin_and_other_shapes_are_not():
    assert share_that_holds("scar", 15) == 0
    assert share_that_holds("scar", 7) < 0.5
    for name in SHAPES.keys() - {"scar"}:
        assert share_that_holds(name, 7) > 0.5
        assert share_that_holds(name, 15) > 0.2


def test_some_scars_are_hair_lines_that_reach_far():
    masks, _ = draw(200, (96, 96), {"scar": 1.0})
    inside = (masks > 0.5)[:, 0]
    extent = torch.maximum(inside.any(1).sum(1), inside.any(2).sum(1))
    hair = inside.sum((1, 2)) <= 3 * extent
    assert int((hair & (extent > 40)).sum()) >= 10


def test_shares_are_kept_and_zero_leaves_a_shape_out():
    _, scars = draw(2000, (16, 16), {"scar": 1.0, "blob": 3.0, "ellipse": 0.0})
    assert 0.21 < float(scars.float().mean()) < 0.29


@given(seeds)
def test_equal_generators_draw_equal_shapes(seed):
    weights = dict.fromkeys(SHAPES, 1.0)
    first, again = (draw(4, (24, 32), weights, seed)[0] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, draw(4, (24, 32), weights, seed + 1)[0])


def test_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    draw(3, (20, 20), dict.fromkeys(SHAPES, 1.0))
    assert torch.equal(torch.get_rng_state(), state)
