import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adacl.anomalies.fillings import (
    FAMILIES,
    FAMILY_OF,
    FILLINGS,
    GROUND,
    SCAR_FILLINGS,
    draw_fillings,
)
from adacl.networks.architecture import OUTPUTS

seeds = st.integers(0, 2**32)


def batch(count=4, channels=3, height=20, width=26, seed=0):
    return torch.rand((count, channels, height, width), generator=generator(seed))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_network_has_an_output_for_each_family_and_each_filling_a_family():
    assert len(FAMILIES) == OUTPUTS
    assert FAMILY_OF.keys() == FILLINGS.keys() | {GROUND}
    assert set(FAMILY_OF.values()) | {"scar"} == set(FAMILIES)
    assert SCAR_FILLINGS.keys() <= FILLINGS.keys()


@given(
    st.sampled_from(sorted(FILLINGS)), st.integers(1, 4), st.integers(1, 5), st.booleans(), seeds
)
def test_fillings_keep_the_form_of_any_images(name, count, channels, scars, seed):
    images = batch(count, channels, seed=seed)
    before = images.clone()
    filled, families, _ = draw_fillings(
        images, torch.full((count,), scars), {name: 1.0}, 0.05, generator(seed)
    )
    assert filled.shape == images.shape
    assert filled.isfinite().all()
    assert torch.equal(images, before)
    wanted = "scar" if scars else FAMILY_OF[name]
    assert {FAMILIES[number] for number in families.tolist()} == {wanted}


@pytest.mark.parametrize("name", FILLINGS)
def test_every_filling_changes_images(name):
    images = batch(8)
    filled = FILLINGS[name](images, 0.1, generator())
    assert ((filled - images).abs().amax((1, 2, 3)) > 0.05).all()


@pytest.mark.parametrize("visible", [0.02, 0.2, 0.7])
def test_a_change_of_tone_shows(visible):
    images = batch(200, 1)
    change = (FILLINGS["tone"](images, visible, generator()) - images).mean((1, 2, 3))
    assert float(change.abs().min()) >= visible * 0.999
    assert 0.4 < float((change > 0).float().mean()) < 0.6


def test_pieces_come_from_other_images_of_the_batch():
    images = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 1, 20, 20) / 8
    filled = FILLINGS["another"](images, 0.1, generator())
    assert sorted(filled.amax((1, 2, 3)).tolist()) == (torch.arange(5.0) / 8).tolist()
    assert torch.equal(FILLINGS["moved"](images, 0.1, generator()), images)


def test_what_is_moved_goes_a_quarter_of_small_images_or_more():
    images = torch.zeros((1, 1, 20, 26))
    images[..., 0, 0] = 1
    moves = {
        divmod(int(FILLINGS["moved"](images, 0.1, generator(seed)).argmax()), 26)
        for seed in range(300)
    }
    assert {row for row, _ in moves} == set(range(5, 16))
    assert {column for _, column in moves} == set(range(6, 21))


def test_what_is_behind_a_part_is_background_with_its_grain():
    images = 0.9 + 0.02 * torch.randn((3, 1, 60, 60), generator=generator())
    images[:2, :, 17:43, 7:53] = 0.5  # its shadow
    part = torch.zeros_like(images, dtype=torch.bool)
    part[:2, :, 20:40, 10:50] = True
    images[part] = 0.2
    weights, scars = {GROUND: 1.0, "tone": 0.0}, torch.zeros(3, dtype=torch.bool)
    filled, families, bare = draw_fillings(images, scars, weights, 0.1, generator(), part)
    assert bare.all()
    assert {FAMILIES[number] for number in families.tolist()} == {"piece"}
    assert float((filled - 0.9).abs().max()) < 0.12
    assert float(filled[:2, :, 20:40, 10:50].std()) > 0.01


def test_a_part_that_fills_an_image_has_the_background_of_the_others_behind_it():
    images = torch.full((2, 3, 40, 40), 0.9)
    part = torch.ones((2, 1, 40, 40), dtype=torch.bool)
    part[1, :, :, 20:] = False
    images[part.expand_as(images)] = 0.1
    scars = torch.zeros(2, dtype=torch.bool)
    filled, _, _ = draw_fillings(images, scars, {GROUND: 1.0}, 0.1, generator(), part)
    assert torch.allclose(filled, torch.tensor(0.9), atol=0.01)


def test_a_filling_without_a_share_is_not_drawn_for_scars_either():
    images, scars = batch(300, 1), torch.ones(300, dtype=torch.bool)
    filled, _, _ = draw_fillings(
        images, scars, {"tone": 0.0, "flat": 1.0, "blur": 1.0}, 0.1, generator()
    )
    assert (filled.flatten(1).std(1) < 1e-6).all()


@given(seeds)
def test_equal_generators_give_equal_fillings(seed):
    images, scars = batch(6), torch.arange(6) < 3
    weights = dict.fromkeys(FILLINGS, 1.0)
    first, again = (
        draw_fillings(images, scars, weights, 0.1, generator(seed))[0] for _ in range(2)
    )
    assert torch.equal(first, again)
