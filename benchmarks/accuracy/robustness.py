"""What a change of light or a shift does to normal scores, and what a threshold keeps.

Used by :mod:`benchmarks.accuracy.inspection` for every fit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl import AnomalyDetector
from adacl.data.images import read_image
from adacl.model.threshold_rules import from_normal_scores

Image = NDArray[Any]

CHANGES: dict[str, Callable[[Image], Image]] = {
    "gain -10 %": lambda image: lit(image, 0.9, 0),
    "gain +10 %": lambda image: lit(image, 1.1, 0),
    "offset -5 %": lambda image: lit(image, 1, -0.05),
    "offset +5 %": lambda image: lit(image, 1, 0.05),
    "shift 2 pixels": lambda image: np.pad(image, ((2, 0), (2, 0), (0, 0)), "reflect")[:-2, :-2],
}
SOME = 60
SPLITS = 100
RUN = 300
"""Exposures of one magnetic tile have running numbers that are no farther apart."""


def lit(image: Image, gain: float, offset: float) -> Image:
    """Return an image of 8 bits with its light changed by a factor and a part of full scale."""
    return (image * gain + 255 * offset).clip(0, 255).round().astype(np.uint8)


def moved(detector: AnomalyDetector, good: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Return how far normal images' raw scores move, in standard deviations of all of them.

    For each change: median and 95th percentile of the distance, paired by image, and how many of
    the images are above the threshold, before and after.
    """
    images = [
        read_image(path, detector.header.spec.channels)
        for path in good[:: max(1, len(good) // SOME)]
    ]
    before = _scores(detector, images)
    threshold = detector.model_.threshold.value
    found = {}
    for name, change in CHANGES.items():
        after = _scores(detector, [change(image) for image in images])
        distance = np.abs(after - before) / before.std()
        found[name] = {
            "median": float(np.median(distance)),
            "95 %": float(np.quantile(distance, 0.95)),
            "images": len(images),
            "flagged before": int((before > threshold).sum()),
            "flagged after": int((after > threshold).sum()),
        }
    return found


def kept(detector: AnomalyDetector, good: Sequence[Path], scores: NDArray[np.float64]) -> float:
    """Return in what share of re-splits by part the flagged normals stay within the bound.

    Half of the parts of the test set's normals, which the network never saw, set a threshold as a
    fit does; the bound that it states is held against the other half.
    """
    rule = detector.header.config.threshold
    parts = np.array(parts_of(good))
    names = np.unique(parts)
    rng = np.random.default_rng(0)
    within = 0
    for _ in range(SPLITS):
        setting = np.isin(parts, rng.permutation(names)[: len(names) // 2])
        threshold = from_normal_scores(
            scores[setting], rule.fpr, rule.confidence, "hold-out", rule.set_aside
        )
        flagged = float((scores[~setting] > threshold.value).mean())
        within += flagged <= (threshold.upper_bound or 0)
    return within / SPLITS


def parts_of(files: Sequence[Path]) -> list[str]:
    """Return what part each image shows: KolektorSDD's, a run of magnetic tiles, or its own."""
    tiles: dict[str, int] = {}
    numbers = [int(found[1]) for file in files if (found := _tile(file))]
    run, last = 0, -math.inf
    for number in sorted(set(numbers)):
        run += number - last > RUN
        tiles[str(number)] = run
        last = number
    parts = []
    for file in files:
        tile, part = _tile(file), re.match(r"(kos\d+)_", file.name)
        parts.append(f"run {tiles[tile[1]]}" if tile else part[1] if part else file.name)
    return parts


def _tile(file: Path) -> re.Match[str] | None:
    return re.match(r"exp\d+_num_(\d+)", file.name)


def _scores(detector: AnomalyDetector, images: Sequence[Image]) -> NDArray[np.float64]:
    return np.array([-detector.score_samples(image[None])[0] for image in images])
