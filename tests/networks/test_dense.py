from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adacl.config import NetworkConfig
from adacl.config.presets import preset
from adacl.errors import ConfigError
from adacl.imaging.spec import ImageSpec
from adacl.networks.architecture import OUTPUTS, smallest_side
from adacl.networks.build import build_network, dense_maps, raw_scores
from adacl.networks.dense import DenseRegressor, coordinates, local_mean
from adacl.networks.local_contrast import local_contrast
from adacl.networks.regressor import count_parameters

SMALL = NetworkConfig(channels=(4, 6, 8, 8), output="map")
sides = st.integers(32, 90)


def network(channels=1, **settings):
    """Return a small network whose normalisation has seen some images."""
    torch.manual_seed(0)
    made = DenseRegressor(replace(SMALL, **settings), channels)
    with torch.no_grad():
        inputs = channels + 2 * (made.config.place == "coordinates")
        made(torch.rand(8, inputs, 64, 64))
    return made.eval().requires_grad_(False)


@given(st.integers(0, 99), st.floats(0.7, 1.4), st.floats(-0.2, 0.2))
def test_local_contrast_hardly_depends_on_the_light(seed, gain, offset):
    torch.manual_seed(seed)
    images = torch.rand(2, 3, 90, 75)
    seen = local_contrast(images, 0.25)
    assert seen.shape == images.shape
    assert (local_contrast(images + offset, 0.25) - seen).abs().max() < 1e-5
    assert (local_contrast(gain * images + offset, 0.25) - seen).abs().max() < 0.05


def test_local_contrast_shows_faint_spots_only_where_nothing_else_is():
    torch.manual_seed(0)
    plain, busy = torch.full((1, 1, 96, 96), 0.5), torch.rand(1, 1, 96, 96)
    shown = []
    for images in (plain, busy):
        spotted = images.clone()
        spotted[..., 40:44, 40:44] += 0.05
        change = local_contrast(spotted, 0.2) - local_contrast(images, 0.2)
        shown.append(float(change[..., 40:44, 40:44].mean()))
    assert 0.1 < shown[1] < 0.3 < shown[0] < 1.1
    assert local_contrast(plain, 0.2).abs().max() < 1e-5


@given(st.integers(1, 3), st.integers(1, 5), sides, sides, st.sampled_from(["no", "coordinates"]))
def test_images_of_any_size_have_a_map_of_half_of_it(count, channels, height, width, place):
    images = torch.rand(count, channels, height, width)
    model = network(channels, place=place)
    size = -(-height // 2), -(-width // 2)
    assert model.outputs(images).shape == (count, OUTPUTS, *size)
    found = model.anomaly_map(images)
    assert found.shape == (count, *size)
    assert torch.equal(model.raw_score(images), found.amax((1, 2)).double())


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("place", ["no", "coordinates"])
def test_the_preset_stays_within_the_limit(channels, place):
    config = preset("inspect").replace(network__place=place).network
    made = build_network(config, ImageSpec(200, 300, channels))
    assert isinstance(made, DenseRegressor)
    assert 250_000 < count_parameters(made) < 300_000


@pytest.mark.parametrize(
    ("widths", "channels"), [((64, 128, 256), 1), ((10**9,), 1), ((8, 16), 10**14)]
)
def test_too_large_a_network_is_refused_before_it_is_allocated(widths, channels):
    with pytest.raises(ConfigError, match=r"300,000"):
        DenseRegressor(NetworkConfig(channels=widths, output="map"), channels)


@torch.inference_mode()
def test_the_map_moves_with_the_image():
    """By multiples of 16 pixels, away from the borders."""
    scene = torch.rand(1, 1, 256, 288, generator=torch.Generator().manual_seed(0))
    model, (down, right), rim = network(), (8, 16), 38
    before = model.anomaly_map(scene[..., : -2 * down, : -2 * right])
    after = model.anomaly_map(scene[..., 2 * down :, 2 * right :])
    height, width = after.shape[-2:]
    moved = before[:, rim + down : height - rim, rim + right : width - rim]
    assert float(moved.std()) > 1e-4
    torch.testing.assert_close(
        after[:, rim : height - rim - down, rim : width - rim - right], moved
    )


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_an_even_image_does_not_fire_at_its_borders(level):
    found = network().anomaly_map(torch.full((1, 1, 75, 98), level))
    assert float(found.max() - found.min()) < 1e-5


def test_the_map_is_the_weighted_mean_of_the_outputs_around_each_place():
    model, images = network(window=3), torch.rand(2, 1, 40, 44)
    model.shares.copy_(torch.tensor([0.5, 0.0, 0.2, 0.3]))
    mixed = sum(
        share * out for share, out in zip(model.shares, model(images).unbind(1), strict=True)
    )
    found = model.anomaly_map(images)
    middle = torch.nn.functional.unfold(mixed[:, None], 3).mean(1).view(2, 18, 20)
    torch.testing.assert_close(found[:, 1:-1, 1:-1], middle)
    corner = mixed[:, :2, :2].mean((1, 2))
    torch.testing.assert_close(found[:, 0, 0], corner)
    every = torch.eye(OUTPUTS)
    torch.testing.assert_close(
        model.peaks(images, every), local_mean(model(images), 3).amax((2, 3))
    )


def test_a_single_output_counts_where_it_is_larger_than_the_mean_of_all():
    model, images = network(window=3, alone=0.5), torch.rand(2, 1, 40, 44)
    mean = network(window=3).anomaly_map(images)
    output = local_mean(model(images), 3)[:, 2]
    usual = float(output.median())
    model.level.copy_(mean.median())
    model.alone.copy_(torch.tensor([[0.0, 0.0, 2.0, 0.0], [-9.0, -9.0, -2 * usual, -9.0]]))
    height = 2 * (output - usual)
    single = mean.median() + torch.where(height > 0, height, 4 * height)
    found = model.anomaly_map(images)
    torch.testing.assert_close(found, torch.maximum(mean, single))
    assert ((found > mean) & (height > 0)).any()
    assert ((found > mean) & (height < 0)).any()
    assert (found == mean).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (8, 8), (16, 40), (17, 17)])
@pytest.mark.parametrize("place", ["no", "coordinates"])
def test_tiny_images_have_scores_and_maps(size, place):
    model, images = network(place=place), torch.rand(3, 1, *size)
    assert smallest_side(SMALL) == 17
    scores = raw_scores(model, images)
    assert scores.shape == (3,)
    for image, score in zip(images, scores, strict=True):
        found = dense_maps(model, image[None])[0]
        assert found.shape == (-(-size[0] // 2), -(-size[1] // 2))
        assert float(found.max()) <= score + 1e-6
    assert raw_scores(model, images[:, :, :, :1].expand(-1, -1, -1, 20))[0] == pytest.approx(
        raw_scores(model, images[:1, :, :, :1].expand(-1, -1, -1, 20))[0], abs=1e-6
    )


@pytest.mark.parametrize("side", [1, 3, 4, 5])
@pytest.mark.parametrize("shrink", [1, 2])
def test_tiny_images_have_scores_where_layers_are_few_and_contrast_is_local(side, shrink):
    config = replace(SMALL, channels=(4,), local_contrast=True, shrink=shrink)
    model, images = DenseRegressor(config, 1), torch.rand(2, 1, side, 30)
    assert np.isfinite(raw_scores(model, images)).all()
    assert dense_maps(model, images).shape == (2, -(-side // 2), 15)


def test_coordinates_go_from_corner_to_corner():
    grid = coordinates((5, 9), slice(None), slice(None))
    assert grid.shape == (1, 2, 5, 9)
    assert grid[0, :, 0, 0].tolist() == [-1, -1]
    assert grid[0, :, -1, -1].tolist() == [1, 1]
    assert grid[0, :, 2, 4].tolist() == [0, 0]
    rows, columns = np.array([4, 3, 2]), slice(6, 8)
    assert torch.equal(coordinates((5, 9), rows, columns), grid[:, :, rows][..., columns])


def test_places_are_told_if_asked_for():
    flat = torch.full((1, 1, 64, 64), 0.5)
    assert float(network(place="coordinates").anomaly_map(flat).std()) > 1e-4


def test_images_are_normalised_by_the_stored_mean_and_deviation():
    model, images = network(2), torch.rand(3, 2, 40, 40)
    plain = model.anomaly_map(images)
    model.mean.fill_(0.5)
    model.std.fill_(0.25)
    torch.testing.assert_close(model.anomaly_map(images / 4 + 0.5), plain, rtol=1e-4, atol=1e-5)


def test_large_batches_are_scored_in_parts():
    model = network()
    images = torch.rand(9, 1, 512, 512)
    whole = raw_scores(model, images)
    assert whole.tolist() == pytest.approx([raw_scores(model, i[None])[0] for i in images])
    assert raw_scores(model, images[:0]).shape == (0,)
