"""Parts that lie at any angle are told from those that do not, by normal images alone."""

import logging

import numpy as np
import pytest

from adacl.config.presets import preset
from adacl.data.samples import Samples
from adacl.errors import ConfigError, InputError
from adacl.imaging.mask import Mask
from adacl.training.alignment import settled
from adacl.training.uprights import learn_way, wanted
from support.textures import textures, wedges


@pytest.fixture(scope="module")
def scattered():
    rng = np.random.default_rng(0)
    images = [
        wedges([rng.uniform(0, 2 * np.pi)], *rng.uniform((70, 75), (90, 105)))[0] for _ in range(24)
    ]
    return Samples(np.array(images))


def test_parts_at_any_angle_are_turned_upright(scattered, caplog):
    with caplog.at_level(logging.INFO, "adacl"):
        way = wanted(scattered)
    assert caplog.messages[-1].startswith("parts are turned upright before they are judged (the")
    assert way is not None
    height, width = way.frame.size
    assert 85 < height < 110
    assert 40 < width < 75
    turned = np.array(list(way.of(scattered)), float)
    assert turned.std(0).mean() < 0.3 * np.array(list(scattered), float).std(0).mean()


def test_turned_images_are_kept_in_bounded_memory(scattered):
    way = learn_way(scattered)
    whole = way.of(scattered)
    first = list(whole)
    assert all(again is image for again, image in zip(whole, first, strict=True))
    bounded = way.of(scattered, kept=5 * first[0].nbytes + 1)
    for _ in range(2):
        assert all((image == other).all() for image, other in zip(bounded, first, strict=True))
    assert sum(image.nbytes for image in bounded.pixels.made.values()) == 5 * first[0].nbytes


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_no_pixel_lies_at_the_limit(scattered, dtype):
    values = np.array(list(scattered))
    stored = {
        "uint8": values,
        "uint16": values * np.uint16(257),
        "float32": values / np.float32(255),
    }[dtype]
    way = learn_way(Samples(stored))
    assert way.of(Samples(stored)).pixels[0].dtype == dtype
    if dtype != "float32":
        steps = way.limit * (Samples(stored).spec.high - Samples(stored).spec.low)
        assert steps % 1 == pytest.approx(0.43, abs=1e-6)


def test_parts_that_lie_alike_are_left_as_they_lie(caplog):
    rng = np.random.default_rng(1)
    angles = 0.7 + rng.normal(0, 0.02, 24)
    with caplog.at_level(logging.INFO, "adacl"):
        assert wanted(Samples(wedges(angles))) is None
    assert caplog.messages[-1].startswith("parts are judged as they lie, not turned (the places")


def test_surfaces_have_no_parts():
    samples = Samples(textures(24, (96, 96))[..., None])
    assert wanted(samples) is None
    with pytest.raises(InputError, match=r"network\.upright"):
        learn_way(samples)


def test_a_network_is_told_the_places_of_upright_parts(scattered):
    config = settled(preset("inspect"), scattered, 0)
    assert config.network.upright == "yes"
    assert config.training.turned == "no"
    assert config.network.place == "coordinates"


def test_what_the_user_says_counts(scattered):
    as_they_lie = settled(preset("inspect").replace(training__turned="no"), scattered, 0)
    assert as_they_lie.network.upright == "no"
    masked = scattered.with_mask(Mask.of(np.ones((160, 180), bool)))
    assert settled(preset("inspect"), masked, 0).network.upright == "no"
    with pytest.raises(ConfigError, match="mask"):
        settled(preset("inspect").replace(network__upright="yes"), masked, 0)
