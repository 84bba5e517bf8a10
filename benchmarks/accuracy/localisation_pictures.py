"""Make the pictures of docs/how-to/explain.md and docs/evidence/heat-maps.md.

    python -m benchmarks.accuracy.localisation_pictures DATA WORK

DATA as for ``localisation.py``, WORK the folder in which that keeps its models. Of these it needs
``--train --only "planted mnist 2" "planted fashion-mnist 5" "ucsd ped1, fold 1"``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from adacl import AnomalyDetector
from adacl.datasets import catalogue
from adacl.explain.heatmap import overlay
from benchmarks.accuracy.localisation import one_class, ped1
from benchmarks.accuracy.planting import plant

FOLDER = Path(__file__).parents[2] / "docs/images"
SIDE = 168


def pair(detector: AnomalyDetector, image: np.ndarray) -> np.ndarray:
    """Return an image beside its heat map, with the verdict below."""
    size = image.shape[1] * SIDE // image.shape[0], SIDE
    large = Image.fromarray(np.repeat(image, 3, 2)).resize(size, Image.Resampling.NEAREST)
    raw, threshold = -detector.score_samples(image[None])[0], detector.threshold_
    limit = threshold if raw > threshold else None
    heat = overlay(np.asarray(large), detector.anomaly_map(image), detector.header.map_scale, limit)
    both = np.concatenate([large, np.full((SIDE, 4, 3), 255, np.uint8), heat], 1)
    strip = Image.new("RGB", (both.shape[1], 24), "white")
    word = f"{'normal' if limit is None else 'ANOMALOUS'}: {raw:.2f}, threshold {threshold:.2f}"
    ImageDraw.Draw(strip).text((2, 3), word, "black", ImageFont.load_default(15))
    return np.concatenate([both, strip])


def sheet(rows: list[list[np.ndarray]], name: str) -> None:
    lines = [
        np.concatenate([np.pad(p, ((0, 8), (0, 12), (0, 0)), constant_values=255) for p in row], 1)
        for row in rows
    ]
    picture = Image.fromarray(np.concatenate(lines))
    picture.quantize(256, Image.Quantize.MAXCOVERAGE).save(FOLDER / name, optimize=True)


def things(data: Path, work: Path) -> None:
    """Show a normal image, one with a planted spot, and one of another class."""
    rows = []
    for name, label, other in (("mnist", 2, 3), ("fashion-mnist", 5, 8)):
        file = f"planted-{name}-{label}.adacl"
        detector = AnomalyDetector.load(work / file).calibrate(one_class(data, name, label, 0)[1])
        images, labels = catalogue.load(name, "test", data)
        images = images.reshape(-1, 28, 28, 1)
        normal = images[labels == label]
        found = plant("blob", normal[32], normal[33], np.random.default_rng(1))
        assert found
        shown = [normal[1], found[0], images[labels == other][1]]
        rows.append([pair(detector, image) for image in shown])
    sheet(rows, "heat-maps.png")


def street(data: Path, work: Path) -> None:
    """Show the frames with the highest and the lowest score of those with something on wheels."""
    detector = AnomalyDetector.load(work / "ucsd-ped1-fold-1.adacl")
    _, others, samples = ped1(data, 1)
    detector.calibrate(others)
    frames = np.stack([image for _, image, mask in samples if mask is not None])
    order = detector.score_samples(frames).argsort()
    sheet([[pair(detector, frames[place]) for place in order[[0, -1]]]], "heat-maps-street.png")


def main() -> None:
    """Make both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    given = parser.parse_args()
    things(given.data, given.work)
    street(given.data, given.work)


if __name__ == "__main__":
    main()
