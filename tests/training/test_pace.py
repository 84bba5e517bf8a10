"""The estimate of how long an epoch takes."""

import itertools

import numpy as np
import pytest

from adacl.config.presets import preset
from adacl.data.samples import Ragged, Samples
from adacl.training import pace


@pytest.fixture(autouse=True)
def _a_second_between_any_two_looks_at_the_clock(monkeypatch):
    seconds = itertools.count()
    monkeypatch.setattr(pace.time, "perf_counter", lambda: float(next(seconds)))


def pictures(count, side):
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, side, side, 3), np.uint8)


@pytest.mark.parametrize(
    ("images", "tiles", "steps", "validated"),
    [
        (40, 1, 4096 / 128, 8),  # the least that an epoch shows
        (40, 200, 6400 / 128, 1600),  # 32 pictures are learnt from
        (2000, 1, 4096 / 128, 150),
        (10_000, 1, 70, 150),  # 8,850 are learnt from
    ],
)
def test_steps_and_validation_of_whole_images(images, tiles, steps, validated):
    config = preset("paper")
    found = pace.epoch_seconds(Samples(pictures(10, 16)), images, config, tiles)
    assert found == steps + validated / 2


def test_steps_and_validation_of_places():
    config = preset("inspect").replace(training__crop=32, training__batch_size=4)
    images = pictures(10, 40)
    samples = Samples(Ragged(images.reshape(-1), [image.shape for image in images]))
    assert pace.epoch_seconds(samples, 40, config) == 1920 / 4 + 1
    assert pace.epoch_seconds(samples, 4000, config) == (4000 - 400) / 4 + 400 / 64
