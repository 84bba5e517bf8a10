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


def dark(seed: int, count: int = 20) -> np.ndarray:
    """Return dark images with a bright pixel or two, as of stars."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, 600, 600, 1), np.uint8)
    images[np.arange(count), rng.integers(600, size=count), 7, 0] = rng.integers(100, 250, count)
    return images


def test_dark_images_are_no_brighter_than_the_same_ones() -> None:
    spec = ImageSpec(600, 600, 1)
    seen = learnt.Learnt.of_measures(learnt.measure(dark(0), spec))
    rows = learnt.measure(dark(0), spec)
    assert [seen.remark_on_values(row, spec, 0.1) for row in rows.tolist()] == [""] * len(rows)


def test_levels_of_dark_images_are_told_by_their_digits() -> None:
    spec = ImageSpec(600, 600, 1)
    seen = learnt.Learnt.of_measures(learnt.measure(dark(0), spec))
    (bright,) = learnt.measure(np.full((1, 600, 600, 1), 1, np.uint8), spec).tolist()
    told = seen.remark_on_values(bright, spec, 0.1)
    assert told == "brighter than any learnt: mean 0.0039, learnt 0.0000011 to 0.0000027"
    assert [learnt.level_words(level, 2) for level in (0, 0.1, 1)] == ["0", "0.10", "1.00"]
