"""Parts on a plain background are told from the normal images alone; changes are made on them."""

import numpy as np
import pytest
import torch

from adacl.anomalies.local import make_local
from adacl.config import LocalConfig
from adacl.config.presets import preset
from adacl.data.samples import Samples
from adacl.errors import ConfigError
from adacl.imaging.mask import FILL, Mask
from adacl.imaging.spec import ImageSpec
from adacl.training.alignment import TURNED, settled, turned_auroc
from adacl.training.crops import draw_crops, learn_pixels
from adacl.training.cuts import take_crops
from adacl.training.foreground import learn_limit, on_plain_ground, part, shown, step
from support.textures import textures


def parts(count=12, height=160, width=200, channels=1, seed=0):
    """Return dark discs at different places on a bright, slightly noisy table."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    images = []
    for _ in range(count):
        row, column = rng.uniform(50, 110), rng.uniform(50, 150)
        disc = np.hypot(rows - row, columns - column) < 30
        table = rng.normal(200, 3, (height, width)) + 0.05 * columns
        images.append(np.where(disc, rng.normal(90, 10, (height, width)), table))
    stacked = np.stack(images).clip(0, 255).astype(np.uint8)[..., None]
    return np.repeat(stacked, channels, 3)


def test_parts_are_told_from_a_plain_background():
    images = parts()
    samples = Samples(images)
    limit = learn_limit(samples)
    assert limit is not None
    share = np.mean([part(image, samples.spec, limit).mean() for image in images])
    assert share == pytest.approx(np.pi * 30**2 / (160 * 200), rel=0.1)


def test_surfaces_and_empty_images_have_no_background():
    assert learn_limit(Samples(textures(12, (160, 160))[..., None])) is None
    assert learn_limit(Samples(np.full((4, 64, 64, 1), 200, np.uint8))) is None


@pytest.mark.parametrize("depth", ["uint16", "float32"])
def test_the_depth_of_the_images_does_not_matter(depth):
    images = parts()
    deep = images.astype(np.uint16) * 257 if depth == "uint16" else images.astype(np.float32) / 255
    high = 65535.0 if depth == "uint16" else 1.0
    spec = ImageSpec(160, 200, 1, depth, 0.0, high)
    limit = learn_limit(Samples(deep, spec))
    assert limit == pytest.approx(learn_limit(Samples(images)), rel=1e-4)
    assert (part(deep[0], spec, limit) == part(images[0], Samples(images).spec, limit)).all()


def test_large_images_are_looked_at_in_steps():
    image = parts(1, 600, 520)[0]
    assert step(image) == 4
    assert part(image, ImageSpec(600, 520, 1), 0.1).shape == (150, 130)


@pytest.mark.parametrize(("side", "every"), [(160, 1), (600, 4)])
def test_a_crop_shows_what_the_whole_image_shows_there(side, every):
    """Of rows and columns in any order, as crops that reach beyond the border have them."""
    image = parts(1, side, side + 40, 3)[0]
    spec, mask = ImageSpec(*image.shape), Mask.of(np.indices((9, 9)).sum(0) > 5)
    rows, columns = np.r_[40:0:-1, 0:120], np.r_[150:19:-1]
    where = np.ix_(rows, columns)
    assert step(image) == every
    whole = np.kron(part(image, spec, 0.1), np.ones((every, every)))
    assert 0 < whole[where].mean() < 1
    assert (shown(image, spec, 0.1, None, rows, columns)[0, 0].numpy() == whole[where]).all()
    looked_at = mask.at(image.shape[:2], rows, columns)
    masked = np.kron(part(image, spec, 0.1, mask), np.ones((every, every)))[where] * looked_at
    assert (shown(image, spec, 0.1, mask, rows, columns)[0, 0].numpy() == masked).all()


@pytest.mark.parametrize("shrink", [1, 2])
def test_crops_bring_what_is_part_of_them_along(shrink):
    samples = Samples(parts(8, 300, 300))
    config = preset("inspect").replace(
        network__place="coordinates",
        network__shrink=shrink,
        training__crop=96,
        training__vary=0.0,
        training__light=0.0,
    )
    limit = learn_pixels(samples).part
    cuts = take_crops(samples, config, np.random.default_rng(0), limit)
    assert cuts.images.shape == (8, 3, 96, 96)
    assert cuts.part is not None
    assert cuts.part.shape == (8, 1, 96, 96)
    assert cuts.part.any()
    dark = cuts.images[:, :1] < 0.57
    assert float((dark == cuts.part).float().mean()) > 0.95


@pytest.mark.parametrize("width", [96, 160])
def test_changes_are_made_on_parts_or_close_by(width):
    inside = torch.zeros((64, 1, 96, width), dtype=torch.bool)
    inside[:32, :, 30:40, 60:70] = True
    images = torch.full((64, 1, 96, width), 128 / 255)
    config = LocalConfig(clean=0.0, most=1, shapes={"ellipse": 1.0}, fillings={"tone": 1.0})
    made = make_local(images, torch.Generator().manual_seed(0), config, 0.1, 255, inside)
    touched = (made.region > 0)[:, 0].float()
    assert touched[32:].any(2).any(1).all()
    shares = touched / touched.sum((1, 2), keepdim=True)
    row, column = shares.sum(2) @ torch.arange(96.0), shares.sum(1) @ torch.arange(float(width))
    near = ((row - 35).abs() < 16) & ((column - 65).abs() < 16)
    assert float(near[:32].float().mean()) > 0.75
    assert float(near[32:].float().mean()) < 0.5


def test_pieces_of_parts_are_missing():
    inside = torch.zeros((64, 1, 96, 96), dtype=torch.bool)
    inside[:, :, 30:60, 20:80] = True
    images = torch.where(inside, 0.2, 0.9)
    config = LocalConfig(clean=0.0, most=1, shapes={"blob": 1.0}, fillings={"ground": 1.0})
    made = make_local(images, torch.Generator().manual_seed(0), config, 0.1, 255, inside)
    assert torch.equal(made.images[~inside], (images[~inside] * 255).round() / 255)
    missing = (made.images > 0.85) & inside
    share = missing.flatten(1).float().mean(1) / inside.float().mean()
    assert float((share > 0).float().mean()) > 0.85
    assert float((share > 0.3).float().mean()) > 0.3
    assert (missing[share > 0.3] & (made.region[share > 0.3] == 0)).sum() == 0


def test_pieces_are_taken_from_parts_on_a_plain_background_alone():
    surface, on_table = Samples(textures(12, (160, 160))[..., None]), Samples(parts())
    looked_at = on_table.with_mask(Mask.of(np.ones((160, 200), bool)))
    made = [settled(preset("inspect"), x, 0).local.fillings for x in (on_table, surface, looked_at)]
    assert ["ground" in fillings for fillings in made] == [True, False, False]
    alone = preset("inspect").replace(local__fillings={"ground": 1.0})
    with pytest.raises(ConfigError, match="a plain background, and these images show none"):
        settled(alone, surface, 0)


def eroded(inside, by):
    return -torch.nn.functional.max_pool2d(-inside.float(), 2 * by + 1, 1, by) > 0


def test_with_a_mask_changes_are_made_on_what_is_in_both():
    look = np.zeros((160, 200), bool)
    look[:, :110] = True
    samples = Samples(parts(), mask=Mask.of(look))
    config = preset("inspect").replace(network__place="no", training__crop=96, training__vary=0.0)
    pixels = learn_pixels(samples, 1)
    assert pixels.part is not None
    cuts = take_crops(samples, config, np.random.default_rng(0), pixels.part)
    assert cuts.images.shape == (12, 1, 96, 96)
    assert cuts.part.any()
    assert not (cuts.part & ~cuts.look).any()
    assert float(((cuts.images < 0.45) == cuts.part).float().mean()) > 0.95
    assert ((cuts.images - FILL).abs() < 1e-3)[eroded(~cuts.look, 2)].all()
    step = draw_crops(cuts, torch.Generator().manual_seed(0), config, samples.spec, pixels)
    assert (step.images == FILL)[~cuts.look].all()
    assert not step.weights.sum(1, keepdim=True)[eroded(~cuts.look, 2)[..., ::2, ::2]].any()


def test_a_mask_alone_says_where_changes_are_made():
    look = np.zeros((160, 200), bool)
    look[40:120, 50:150] = True
    samples = Samples(parts(), mask=Mask.of(look))
    assert learn_limit(samples) is None
    config = preset("inspect").replace(network__place="no", training__crop=96)
    cuts = take_crops(samples, config, np.random.default_rng(0))
    assert cuts.part.any()
    assert torch.equal(cuts.part, cuts.look)


def test_a_mask_whose_stripes_are_missed_at_a_coarse_look_tells_no_background():
    images = parts(4, 512, 512)
    looked_at = np.arange(512) % 4 < 2
    mask = Mask.of(looked_at[:, None] | looked_at)
    assert step(images[0]) == 4
    assert not mask.resized(128, 128).any()
    assert learn_limit(Samples(images, mask=mask)) is None


def bars(angles, seed=0):
    """Return dark bars at some angles on a table that is lit from the upper left."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[-48:48, -48:48] + 0.5
    images = []
    for angle in angles:
        down, right = rng.uniform(-6, 6, 2)
        along = (columns - right) * np.cos(angle) + (rows - down) * np.sin(angle)
        across = (rows - down) * np.cos(angle) - (columns - right) * np.sin(angle)
        bar = (np.abs(along) < 30) & (np.abs(across) < np.where(along > 15, 10, 5))
        table = rng.normal(205 - 0.15 * (rows + columns), 1)
        images.append(np.where(bar, rng.normal(90, 10, bar.shape), table))
    return Samples(np.stack(images).clip(0, 255).astype(np.uint8)[..., None])


def test_the_light_on_the_table_gives_parts_at_any_angle_no_upright():
    config = preset("inspect").replace(network__upright="no")
    anyhow = bars(np.random.default_rng(1).uniform(0, 2 * np.pi, 100))
    upright = bars(np.random.default_rng(1).normal(0.3, 0.05, 100))
    found = [settled(config, samples, 0) for samples in (anyhow, upright)]
    assert [each.training.turned for each in found] == ["yes", "no"]
    assert [each.network.place for each in found] == ["no", "coordinates"]
    assert turned_auroc(anyhow, 0) > TURNED


def test_a_plain_ground_has_one_tone():
    samples = bars([0.0, 1.0])
    cleared = on_plain_ground(samples)
    for before, after in zip(samples, cleared, strict=True):
        dark = before < 130
        assert (before == after)[dark].all()
        assert len(np.unique(after[~dark & (before > 170)])) < 4
    surfaces = Samples(textures(8, (64, 64))[..., None])
    assert on_plain_ground(surfaces) is surfaces


def test_a_plain_ground_is_made_of_one_image_after_another():
    asked = []

    class Stored:
        def __len__(self):
            return 1000

        def __getitem__(self, number):
            asked.append(number)
            return parts(1, 64, 64)[0]

    cleared = on_plain_ground(Samples(Stored(), ImageSpec(64, 64, 1)))
    assert len(cleared) == 1000
    asked.clear()
    list(cleared.subset(slice(5, 7)))
    assert asked == [5, 6]


def test_the_part_is_told_of_once(caplog):
    caplog.set_level("INFO", "adacl")
    samples = Samples(parts(6))
    settled(preset("inspect"), samples, 0)
    learn_pixels(samples)
    assert caplog.text.count("plain background") == 1
