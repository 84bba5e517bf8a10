"""Measures of images for the remarks on what was not learnt."""

import numpy as np
import pytest

from adacl.imaging.spec import ImageSpec
from adacl.model import learnt


@pytest.mark.parametrize("channels", [1, 3, 9])
@pytest.mark.parametrize("saturated", [0.0, 0.7])
def test_measure_is_the_same_for_small_and_large_batches(
    channels: int, saturated: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(channels)
    images = rng.integers(0, 256, (5, 20, 31, channels), np.uint8)
    images[rng.random(images.shape) < saturated] = 255
    spec = ImageSpec(20, 31, channels)
    small = learnt.measure(images, spec)
    monkeypatch.setattr(learnt, "SMALL", 0)
    np.testing.assert_array_equal(small, learnt.measure(images, spec))
    np.testing.assert_array_equal(small[:, 2], (images == 0).mean((1, 2, 3)))
    np.testing.assert_array_equal(small[:, 3], (images == 255).mean((1, 2, 3)))
    np.testing.assert_allclose(small[:, 4:], images.mean((1, 2)) / 255)
