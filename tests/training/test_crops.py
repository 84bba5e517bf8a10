import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adacl.anomalies.fillings import FAMILIES
from adacl.anomalies.local import Made
from adacl.config import LabelConfig
from adacl.config.presets import preset
from adacl.data.samples import Samples
from adacl.imaging.mask import FILL, Mask
from adacl.imaging.spec import ImageSpec
from adacl.training.crops import draw_crops, grid, learn_pixels
from adacl.training.cuts import take_crops
from adacl.training.place_labels import label_places

STILL = preset("inspect").replace(
    training__vary=0.0,
    training__light=0.0,
    training__tint=0.0,
    training__record=0.0,
    training__tilt=0.0,
    training__mirror=False,
    training__crop=32,
)
"""Crops are pieces of the images as they are."""
seeds = st.integers(0, 2**32)


def numbered(height, width):
    """Return an image whose pixels are all different: their numbers, as floats."""
    return np.arange(height * width, dtype=np.float32).reshape(height, width, 1)


def copies(image, times):
    """Return samples of a numbered image, told in the range of its numbers."""
    spec = ImageSpec(*image.shape, "float32", 0.0, float(image.size - 1))
    return Samples([image] * times, spec)


def textures(count=6, side=48, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(128, 20, (count, side, side, channels)).clip(0, 255).astype(np.uint8)


def step_of(images, config, spec=None, seed=0, chosen=None):
    spec = spec or ImageSpec(*images[0].shape)
    chosen = np.arange(len(images)) if chosen is None else chosen
    samples = Samples(images, spec)
    pixels = learn_pixels(samples)
    cuts = take_crops(samples.subset(chosen), config, np.random.default_rng(seed), pixels.part)
    return cuts.images, draw_crops(cuts, torch.Generator().manual_seed(seed), config, spec, pixels)


def seen(image, config, times, seed=0):
    """Count how often each pixel of an image is in a crop."""
    crops = take_crops(copies(image, times), config, np.random.default_rng(seed)).images
    numbers = (crops[:, 0].double() * (image.size - 1)).round().long()
    return numbers.flatten().bincount(minlength=image.size).view(image.shape[:2]).double()


def test_crops_are_pieces_of_the_images():
    image = numbered(50, 70)
    crops = take_crops(copies(image, 50), STILL, np.random.default_rng(0)).images
    numbers = (crops[:, 0].double() * (image.size - 1)).round().long()
    top, left = numbers[:, 0, 0] // 70, numbers[:, 0, 0] % 70
    inside = torch.arange(32)
    wanted = (top[:, None, None] + inside[:, None]) * 70 + left[:, None, None] + inside
    assert torch.equal(numbers, wanted)
    assert len(set(top.tolist())) > 5
    assert {0, 18} <= set(top.tolist())


def test_border_pixels_are_seen_about_as_often_as_middle_ones():
    """Of places drawn uniformly inside the image, one in a hundred would reach a border pixel."""
    counts = seen(numbered(128, 160), STILL, 2000)
    middle = counts[56:72, 64:96].mean()
    for rim in (counts[0], counts[-1], counts[:, 0], counts[:, -1]):
        assert 0.4 < float(rim.mean() / middle) < 1.5
    corners = counts[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert float(corners.min() / middle) > 0.15


@pytest.mark.parametrize("size", [(8, 8), (1, 40), (31, 31), (20, 300)])
def test_images_smaller_than_the_crop_are_continued_by_their_reflection(size):
    image = numbered(*size)
    config = STILL.replace(network__place="coordinates")
    crop = take_crops(copies(image, 1), config, np.random.default_rng(0)).images
    assert crop.shape == (1, 3, 32, 32)
    values = (crop[0, 0].double() * (image.size - 1)).round().long()
    rows, columns = values // size[1], values % size[1]
    for numbers, told, extent in ((rows, crop[0, 1], size[0]), (columns, crop[0, 2], size[1])):
        wanted = torch.linspace(-1, 1, extent)[numbers]
        torch.testing.assert_close(told, wanted)


@pytest.mark.parametrize("vary", [0.0, 1.0])
def test_coordinates_are_those_of_the_whole_image(vary):
    rows, columns = np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 90), indexing="ij")
    image = np.stack([rows, columns], -1).astype(np.float32)
    spec = ImageSpec(60, 90, 2, "float32", 0.0, 1.0)
    config = STILL.replace(network__place="coordinates", training__vary=vary, training__mirror=True)
    crops = take_crops(Samples([image] * 30, spec), config, np.random.default_rng(1)).images
    assert crops.shape == (30, 4, 32, 32)
    middle = slice(8, 24)
    torch.testing.assert_close(
        crops[:, 2:, middle, middle], 2 * crops[:, :2, middle, middle] - 1, rtol=0, atol=0.08
    )
    assert float(crops[:, 2:].min()) < -0.9
    assert float(crops[:, 2:].max()) > 0.9
    upright = crops[:, 2, -1, 0] > crops[:, 2, 0, 0]
    assert upright.all()
    rightwards = (crops[:, 3, 0, -1] > crops[:, 3, 0, 0]).float().mean()
    assert 0.2 < float(rightwards) < 0.8


def test_crops_are_turned_upside_down_only_where_places_do_not_count():
    image = numbered(40, 40)
    config = STILL.replace(training__mirror=True)
    crops = take_crops(copies(image, 60), config, np.random.default_rng(0)).images[:, 0]
    down = (crops[:, -1, 0] > crops[:, 0, 0]).float().mean()
    right = (crops[:, 0, -1] > crops[:, 0, 0]).float().mean()
    assert 0.25 < float(down) < 0.75
    assert 0.25 < float(right) < 0.75


@settings(max_examples=20)
@given(st.integers(1, 5), st.booleans(), st.sampled_from([0.0, 0.15]), st.integers(32, 47), seeds)
def test_a_step_has_stored_values_labels_and_weights(channels, told, light, side, seed):
    config = preset("inspect").replace(
        network__place="coordinates" if told else "no",
        training__light=light,
        training__light_loss=1.0,
        training__crop=side,
    )
    _, step = step_of(textures(4, channels=channels), config, seed=seed)
    places = (side + 1) // 2
    assert step.images.shape == (5 if light else 4, channels + 2 * told, side, side)
    assert step.labels.shape == (4, 1, places, places)
    assert step.weights.shape == (4, len(FAMILIES), places, places)
    stored = step.images[:, :channels]
    assert torch.equal((stored * 255).round() / 255, stored)
    assert float(step.labels.min()) >= 0
    assert float(step.labels.max()) <= 1
    assert float(step.weights.min()) >= 0


@pytest.mark.parametrize("made_weight", [0.1, 2.0])
def test_changed_places_weigh_what_is_asked_for_and_all_others_one(made_weight):
    config = STILL.replace(training__made_weight=made_weight, local__clean=0.3)
    _, step = step_of(textures(16), config)
    normal = (step.weights > 0).all(1)
    others = step.weights * normal[:, None]
    assert float(others.sum()) == pytest.approx(1, rel=1e-4)
    of_family = (step.weights - others).sum((0, 2, 3))
    assert (of_family > 0).all()
    assert of_family.tolist() == pytest.approx([made_weight / len(FAMILIES)] * 4, rel=1e-4)
    assert (((step.weights > 0) & ~normal[:, None]).sum(1) <= 1).all()


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_unchanged_places_are_normal_at_any_depth_without_varied_light(dtype):
    images = textures(8).astype(dtype)
    images = images * 16 if dtype == "uint16" else images / 255
    spec = ImageSpec(48, 48, 1, dtype, float(images.min()), float(images.max()))
    _, step = step_of(images, STILL.replace(training__vary=0.5, local__clean=0.9), spec)
    assert float((step.weights > 0).all(1).float().mean()) > 0.5
    steps = step.images * grid(spec)
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=0.01)


def test_a_deep_image_has_the_steps_of_its_own_range():
    assert grid(ImageSpec(8, 8, 1)) == 255
    assert grid(ImageSpec(8, 8, 1, "uint16", 100.0, 4195.0)) == 4095


@pytest.mark.parametrize(("count", "again"), [(1, 1), (4, 1), (8, 2), (9, 3)])
@pytest.mark.parametrize("masked", [False, True])
def test_a_quarter_of_the_crops_is_also_seen_in_another_light(count, again, masked):
    look = np.zeros((48, 48), bool)
    look[:, :30] = True
    samples = Samples(textures(count, channels=3), mask=Mask.of(look) if masked else None)
    config = preset("inspect").replace(
        network__place="coordinates", training__light_loss=1.0, training__crop=32
    )
    pixels = learn_pixels(samples)
    cuts = take_crops(samples, config, np.random.default_rng(0), pixels.part)
    step, without = (
        draw_crops(cuts, torch.Generator().manual_seed(0), each, samples.spec, pixels)
        for each in (config, config.replace(training__light_loss=0.0))
    )
    assert len(without.images) == count
    assert torch.equal(step.images[:count], without.images)
    assert torch.equal(step.labels, without.labels)
    assert torch.equal(step.weights, without.weights)
    relit, own = step.images[count:], step.images[:again]
    assert len(relit) == again
    assert torch.equal(relit[:, 3:], own[:, 3:])
    everywhere = torch.ones_like(own[:, :3], dtype=torch.bool)
    shown = cuts.look[:again].expand_as(everywhere) if masked else everywhere
    assert bool(shown.all()) != masked
    assert (relit[:, :3][~shown] == FILL).all()
    for old, new, places in zip(own[:, :3], relit[:, :3], shown, strict=True):
        inside = places & (old > 0) & (old < 1) & (new > 0) & (new < 1)
        gain, offset = np.polyfit(old[inside], new[inside], 1)
        assert abs(gain - 1) < 0.125
        assert abs(offset) < 0.065
        assert abs(gain - 1) + abs(offset) > 0.002
        torch.testing.assert_close(new[inside], gain * old[inside] + offset, rtol=0, atol=0.003)


@given(seeds)
@settings(max_examples=3)
def test_equal_seeds_give_equal_steps(seed):
    images = textures()
    (_, first), (_, again) = (step_of(images, preset("inspect"), seed=seed) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def patched(changes, families):
    """Return flat images, and the same with patches (row, column, height, width, change)."""
    normal = torch.full((1, 1, 40, 40), 0.5)
    images, region = normal.clone(), torch.zeros(1, 1, 40, 40, dtype=torch.long)
    for number, (row, column, height, width, change) in enumerate(changes, start=1):
        place = (..., slice(row, row + height), slice(column, column + width))
        images[place] += change
        region[place] = number
    return normal, Made(images, region, torch.tensor([families]))


SCALES = torch.full((3,), 0.01)


def labelled(changes, families, seed=0, **settings):
    normal, made = patched(changes, families)
    generator = torch.Generator().manual_seed(seed)
    found = label_places(normal, made, generator, LabelConfig(**settings), SCALES)
    return [part[0, 0] for part in found]


@given(seeds)
def test_labels_lie_in_the_intervals(seed):
    labels, changed, _ = labelled([(10, 10, 12, 12, 0.4)], [2], seed)
    background = labels[~changed]
    assert float(background.min()) == float(background.max())
    assert 0 <= float(background[0]) <= 0.3
    inside = labels[6:10, 6:10]
    assert changed[5:11, 5:11].all()
    assert not changed[:4].any()
    assert not changed[:, 13:].any()
    assert 0.69 <= float(inside.min()) <= float(inside.max()) <= 1


def test_labels_rise_with_the_change():
    labels = [
        float(labelled([(10, 10, 12, 12, c)], [0])[0][7, 7]) for c in (0.002, 0.01, 0.03, 0.4)
    ]
    assert labels == sorted(labels)
    assert labels[0] < 0.35
    assert labels[-1] > 0.69
    assert labels[2] - labels[0] > 0.1


def test_a_hair_line_is_not_lost_between_places():
    for row in (20, 21):
        labels, changed, _ = labelled([(row, 4, 1, 32, 0.4)], [1])
        assert changed[10, 2:18].all()
        assert (labels[10, 3:17] > 0.6).all()
        assert not changed[13:].any()


def test_every_place_of_a_change_has_its_family_up_to_the_rim():
    _, changed, family = labelled([(4, 4, 8, 8, 0.4), (24, 24, 8, 8, 0.4)], [3, 1])
    for corner, wanted in ((0, 3), (10, 1)):
        part = slice(corner, corner + 10)
        assert set(family[part, part][changed[part, part]].tolist()) == {wanted}
    assert changed[11:17, 11:17].all()


def test_discrete_labels_say_whether_a_place_is_changed():
    labels, changed, _ = labelled([(10, 10, 12, 12, 0.4)], [2], scheme="discrete")
    assert torch.equal(labels, changed.float())


def test_pixels_are_described_by_the_normals_alone():
    images = textures(10, channels=3)
    images[..., 1] //= 2
    pixels = learn_pixels(Samples(images[:8]))
    wanted = images[:8].reshape(-1, 3) / 255
    assert pixels.mean.tolist() == pytest.approx(wanted.mean(0).tolist(), abs=1e-3)
    assert pixels.std.tolist() == pytest.approx(wanted.std(0).tolist(), rel=0.02)
    flat = learn_pixels(Samples(np.full((4, 40, 40, 3), 9, np.uint8)))
    assert (flat.std > 0).all()
    assert 0 < flat.visible < pixels.visible < 1


@pytest.mark.parametrize(("turned", "poses"), [("no", 1), ("yes", 4)])
def test_crops_are_turned_by_quarters_if_turned_parts_are_normal(turned, poses):
    image = numbered(50, 70)
    config = STILL.replace(training__turned=turned)
    crops = take_crops(copies(image, 60), config, np.random.default_rng(0)).images[:, 0]
    steps = {(crop[1, 0] - crop[0, 0], crop[0, 1] - crop[0, 0]) for crop in crops}
    rounded = {tuple(round(float(step) * (image.size - 1)) for step in pair) for pair in steps}
    assert rounded <= {(70, 1), (-1, 70), (-70, -1), (1, -70)}
    assert len(rounded) == poses


@pytest.mark.parametrize("shrink", [2, 4])
def test_crops_are_means_of_squares_if_images_are_seen_shrunk(shrink):
    image = numbered(150, 170)
    config = STILL.replace(network__shrink=shrink)
    crops = take_crops(copies(image, 20), config, np.random.default_rng(0)).images
    assert crops.shape[-2:] == (32, 32)
    numbers = crops[:, 0].double() * (image.size - 1)
    top, left = (numbers[:, 0, 0] // 170).floor(), numbers[:, 0, 0] % 170
    assert torch.allclose(
        numbers[:, 1, 0] - numbers[:, 0, 0], torch.tensor(170.0 * shrink).double(), atol=0.1
    )
    assert torch.allclose(
        numbers[:, 0, 1] - numbers[:, 0, 0], torch.tensor(1.0 * shrink).double(), atol=0.1
    )
    assert len({*zip(top.tolist(), left.round().tolist(), strict=True)}) > 10


def test_a_tilt_turns_the_image_and_not_the_places_told():
    image = numbered(120, 120)
    still = STILL.replace(network__place="coordinates", training__crop=64)
    tilted = take_crops(
        copies(image, 40), still.replace(training__tilt=3.0), np.random.default_rng(0)
    ).images
    numbers = tilted[:, 0].double() * (image.size - 1)
    down = numbers[:, 33, 32] - numbers[:, 32, 32]
    turned = ((down - 120).abs() > 1e-3).double()
    assert 0.25 < float(turned.mean()) < 0.75
    degrees = torch.asin((numbers[:, 32, 33] - numbers[:, 32, 32] - 1) / 120).rad2deg().abs()
    assert float(degrees.max()) < 3.5
    middle = numbers[:, 31:33, 31:33].mean((1, 2)) / 120
    assert torch.allclose(tilted[:, 1, 31:33, 32].mean(1).double() * 59.5 + 59.5, middle, atol=1.1)
    assert torch.equal(tilted[:, 1, :, 0], tilted[:, 1, :, -1])


def test_each_colour_varies_by_itself_and_grey_as_a_whole():
    for channels, varies in ((1, False), (3, True)):
        images = np.full((30, 64, 64, channels), 100, np.uint8)
        config = STILL.replace(training__tint=0.1, local__clean=0.999)
        spec = ImageSpec(64, 64, channels)
        _, step = step_of(images, config, spec)
        factors = step.images.mean((2, 3)) / (100 / 255)
        assert float(factors.min()) > 0.88
        assert float(factors.max()) < 1.12
        assert (float(factors.std(1).max()) > 0.02 if channels > 1 else False) == varies


def test_every_crop_shows_something_of_a_mask_with_spots_far_apart():
    look = np.zeros((600, 800), bool)
    look[10:30, 10:30] = look[570:590, 770:790] = True
    samples = Samples(textures(24, 800)[:, :600], mask=Mask.of(look))
    crops = take_crops(samples, STILL, np.random.default_rng(0))
    assert crops.look.flatten(1).any(1).all()
    assert len(crops.images.flatten(1).unique(dim=0)) == 24


@pytest.mark.parametrize("shrink", [1, 2])
def test_what_a_mask_hides_is_not_learnt(shrink):
    images, look = textures(8, 64, 3), np.zeros((64, 64), bool)
    look[:, :23] = True
    busy = images.copy()
    busy[:, :, 23:] = np.random.default_rng(1).integers(0, 256, (8, 64, 41, 3))
    calm, hidden = (
        learn_pixels(Samples(each, mask=Mask.of(look)), shrink) for each in (images, busy)
    )
    assert all(map(torch.equal, calm[:3], hidden[:3]))
    assert calm.grain == hidden.grain > 0


@pytest.mark.parametrize("place", [np.s_[5, 5], np.s_[:, 5], np.s_[5, :]])
def test_the_pixels_of_a_thin_mask_are_described_by_numbers(place):
    look = np.zeros((40, 40), bool)
    look[place] = True
    pixels = learn_pixels(Samples(textures(4, 40), mask=Mask.of(look)), 2)
    assert all(torch.isfinite(each).all() for each in pixels[:3])
    assert np.isfinite(pixels.grain)


def test_an_image_that_is_shrunk_to_one_pixel_has_no_deviation():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*size, 1)).astype(np.uint8) for size in ((80, 72), (8, 8))]
    spec = ImageSpec(80, 72, 1)
    whole, both = (learn_pixels(Samples(images[:count], spec), 8) for count in (1, 2))
    assert float(both.std) == pytest.approx(float(whole.std) / 2)
    assert torch.isfinite(both.scales).all()
