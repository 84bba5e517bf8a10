import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adacl.anomalies.fillings import FAMILIES, FILLINGS
from adacl.anomalies.local import check_local_config, make_local
from adacl.anomalies.shapes import SHAPES
from adacl.config import LocalConfig
from adacl.errors import ConfigError

seeds = st.integers(0, 2**32)
levels_of_depth = st.sampled_from([255, 4095, 65535])


def stored(levels, count=4, channels=1, height=33, width=40, seed=0):
    """Return random images on the grid of some depth."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(levels + 1, (count, channels, height, width), generator=generator)
    return values.float() / levels


def make(images, levels=255, seed=0, **settings):
    generator = torch.Generator().manual_seed(seed)
    return make_local(images, generator, LocalConfig(**settings), 0.05, levels)


@given(levels_of_depth, st.integers(1, 4), st.integers(1, 5), seeds)
def test_made_images_have_the_grid_and_range_of_stored_ones(levels, count, channels, seed):
    images = stored(levels, count, channels, seed=seed)
    made = make(images, levels, seed)
    assert made.images.shape == images.shape
    assert float(made.images.min()) >= 0
    assert float(made.images.max()) <= 1
    assert torch.equal((made.images * levels).round() / levels, made.images)


@given(levels_of_depth, st.integers(1, 5), seeds)
def test_pixels_outside_the_regions_stay_as_they_are(levels, channels, seed):
    images = stored(levels, channels=channels, seed=seed)
    before = images.clone()
    made = make(images, levels, seed)
    outside = (made.region == 0).expand_as(images)
    assert torch.equal(made.images[outside], images[outside])
    assert torch.equal(images, before)


@given(st.integers(1, 4), seeds)
def test_regions_are_numbered_as_their_families_are(most, seed):
    images = stored(255, 6, seed=seed)
    made = make(images, seed=seed, most=most, clean=0.0)
    assert made.region.shape == (6, 1, 33, 40)
    assert made.families.shape == (6, most)
    assert 0 <= int(made.region.min()) <= int(made.region.max()) <= most
    assert 0 <= int(made.families.min()) <= int(made.families.max()) < len(FAMILIES)


def test_a_single_region_is_what_was_changed():
    images = stored(255, 50)
    made = make(images, most=1, clean=0.0)
    changed = (made.images != images).any(1, keepdim=True)
    assert torch.equal(made.region == 1, changed)
    assert float(changed.flatten(1).any(1).float().mean()) > 0.9


def test_a_region_has_the_number_of_the_last_change():
    images = stored(255, 50)
    one, two = (make(images, most=most, clean=0.0) for most in (1, 2))
    again = (two.images != one.images).any(1, keepdim=True)
    assert (again & (one.region == 1)).any()
    assert torch.equal(two.region, torch.where(again, 2, one.region))


def test_changes_are_taken_back_where_nobody_looks():
    images = stored(255, 50)
    made = make(images, clean=0.0)
    look = torch.zeros((50, 1, 33, 40), dtype=torch.bool)
    look[..., :20] = True
    inside = made.inside(images, look)
    assert torch.equal(inside.images[..., 20:], images[..., 20:])
    assert torch.equal(inside.images[..., :20], made.images[..., :20])
    assert not inside.region[..., 20:].any()
    assert torch.equal(inside.region[..., :20], made.region[..., :20])


def test_pieces_of_other_images_are_never_faint():
    images = (torch.arange(64) % 2).float().view(-1, 1, 1, 1).expand(-1, 1, 33, 40)
    fixed = {"most": 1, "clean": 0.0, "shapes": {"ellipse": 1.0}, "fillings": {"another": 1.0}}
    made = make(images, opacity=(0.05, 0.1), **fixed)
    strongest = (made.images - images).abs().amax((1, 2, 3))
    assert 0.3 < float((strongest > 0).float().mean()) < 0.7
    assert float(strongest[strongest > 0].min()) > 0.3


@pytest.mark.parametrize("clean", [0.0, 0.15, 0.9])
def test_a_share_of_the_images_stays_clean(clean):
    images = stored(255, 2000, height=16, width=16)
    made = make(images, clean=clean)
    unchanged = float((made.images == images).flatten(1).all(1).float().mean())
    assert clean - 0.03 < unchanged < clean + 0.1


def test_all_families_are_made():
    made = make(stored(255, 200), clean=0.0)
    assert made.families.unique().tolist() == list(range(len(FAMILIES)))


@given(seeds)
def test_equal_generators_make_equal_images(seed):
    images = stored(255)
    first, again, other = (make(images, seed=number) for number in (seed, seed, seed + 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.images, other.images) or not torch.equal(
        first.families, other.families
    )


@pytest.mark.parametrize(
    ("section", "known"), [("shapes", sorted(SHAPES)), ("fillings", sorted(FILLINGS))]
)
def test_unknown_shapes_and_fillings_are_refused(section, known):
    check_local_config(LocalConfig(**{section: dict.fromkeys(known, 1.0)}))
    with pytest.raises(ConfigError, match=rf"local\.{section}: 'star'.*{known[0]}"):
        check_local_config(LocalConfig(**{section: {"star": 1.0}}))
