"""How many unseen normals a change of the camera or its light raises above the threshold.

A model and folders, of which images that it was fitted on are left out, or one class of MNIST or
Fashion-MNIST against the others, for which a model is fitted first::

    python -m benchmarks.accuracy.light bottle --model bottle.adacl --good DIR... --bad DIR...
    python -m benchmarks.accuracy.light mnist --class 3 --epochs 5

All images, good and bad, are changed alike. A record is appended to
``benchmarks/results/light.jsonl``; ``--table`` prints all of them.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from adacl import AnomalyDetector
from adacl.data.copies import digest
from adacl.data.folders import list_images
from adacl.data.images import read_image
from adacl.datasets import catalogue
from adacl.metrics import auroc
from adacl.scale import records
from benchmarks.common import RESULTS, machine

Pixels = NDArray[np.uint8]
RECORDS = RESULTS / "light.jsonl"
MOST_OTHERS = 1000


def by_table(curve: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Any:
    """Return a change of each value by a curve of [0, 1]."""
    table = (curve(np.arange(256) / 255).clip(0, 1) * 255).round().astype(np.uint8)
    return lambda image: table[image]


def balanced(image: Pixels) -> Pixels:
    """Warm a coloured image: red up by a tenth, blue down by one; a grey one stays."""
    if image.shape[2] != 3:
        return image
    return (image * np.array([1.1, 1, 0.9])).clip(0, 255).round().astype(np.uint8)


def shifted(image: Pixels) -> Pixels:
    """Move an image down and to the right by two pixels."""
    return np.pad(image, ((2, 0), (2, 0), (0, 0)), "reflect")[:-2, :-2]


def turned(image: Pixels) -> Pixels:
    """Turn an image by two degrees, its edge continued."""
    edge = round(max(image.shape[:2]) * 0.05) + 2
    wide = np.pad(image, ((edge, edge), (edge, edge), (0, 0)), "reflect")
    return through(wide, lambda p: p.rotate(2, Image.Resampling.BILINEAR))[edge:-edge, edge:-edge]


def through(image: Pixels, change: Callable[[Image.Image], Image.Image]) -> Pixels:
    """Change an image by Pillow."""
    picture = Image.fromarray(image if image.shape[2] == 3 else image[..., 0])
    return np.asarray(change(picture)).reshape(image.shape)


def noisy(image: Pixels) -> Pixels:
    """Add noise of a standard deviation of five grey levels, the same in every image."""
    noise = np.random.default_rng(0).normal(0, 5, image.shape)
    return (image + noise).clip(0, 255).round().astype(np.uint8)


def as_jpeg(quality: int) -> Callable[[Pixels], Pixels]:
    """Return what saves an image as JPEG and reads it again."""

    def change(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return lambda image: through(image, change)


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "exposure -10 %": by_table(lambda x: 0.9 * x),
    "exposure +10 %": by_table(lambda x: 1.1 * x),
    "exposure -30 %": by_table(lambda x: 0.7 * x),
    "contrast -10 %": by_table(lambda x: 0.5 + 0.9 * (x - 0.5)),
    "contrast +10 %": by_table(lambda x: 0.5 + 1.1 * (x - 0.5)),
    "gamma 0.9": by_table(lambda x: x**0.9),
    "gamma 1.1": by_table(lambda x: x**1.1),
    "white balance, 10 %": balanced,
    "shift by 2 pixels": shifted,
    "turn by 2 degrees": turned,
    "blur, 1 pixel": lambda image: through(image, lambda p: p.filter(ImageFilter.GaussianBlur(1))),
    "noise, 5 levels": noisy,
    "JPEG, quality 75": as_jpeg(75),
}


def main() -> None:
    """Measure one set, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("set", nargs="?")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--good", type=Path, nargs="+", default=[])
    parser.add_argument("--bad", type=Path, nargs="+", default=[])
    parser.add_argument("--most", type=int, default=10**6, help="images of each folder's kind")
    parser.add_argument("--class", dest="label", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.table:
        print("\n".join(table(records.read(RECORDS))))
        return
    if given.model:
        detector = AnomalyDetector.load(given.model, device="cpu")
        good, bad = (read(detector, folders, given.most) for folders in (given.good, given.bad))
        label = None
    else:
        images, labels = catalogue.load(given.set, "train")
        detector = AnomalyDetector("paper", epochs=given.epochs, device="cpu")
        detector.fit(images[labels == given.label])
        images, labels = catalogue.load(given.set, "test")
        images = images.reshape(*images.shape[:3], -1)
        others = images[labels != given.label]
        good = list(images[labels == given.label])
        bad, label = list(others[:: len(others) // MOST_OTHERS]), given.label
    record = {
        "set": given.set,
        "class": label,
        "preset": detector.header.config.preset,
        "epochs": len(detector.history_.epochs),
        "machine": machine(),
        **measured(detector, good, bad),
    }
    records.append(RECORDS, record)


def read(detector: AnomalyDetector, folders: list[Path], most: int) -> list[Pixels]:
    """Return images of some folders that the model was not fitted on, evenly chosen."""
    channels, learnt = detector.header.spec.channels, detector.model_.learnt
    found = [read_image(path, channels) for path in list_images(folders)]
    unseen = [image for image in found if digest(image) not in learnt]
    return unseen[:: max(1, -(-len(unseen) // most))]


def measured(detector: AnomalyDetector, good: list[Pixels], bad: list[Pixels]) -> dict[str, Any]:
    """Return shares flagged, AUROC and moves of the raw score, as they are and for each change."""
    threshold = detector.threshold_

    def scores(images: list[Pixels]) -> NDArray[np.float64]:
        alike = len({image.shape for image in images}) == 1
        parts = [np.stack(images)] if alike else [image[None] for image in images]
        return np.concatenate([-detector.score_samples(part) for part in parts])

    before = scores(good)
    found: dict[str, Any] = {
        "good": len(good),
        "bad": len(bad),
        "flagged": float((before > threshold).mean()),
        "auroc": auroc(before, scores(bad)),
        "changes": {},
    }
    for name, change in CHANGES.items():
        if all((change(image) == image).all() for image in good[:5]):
            continue
        after = scores([change(image) for image in good])
        moved = np.abs(after - before) / before.std()
        found["changes"][name] = {
            "flagged": float((after > threshold).mean()),
            "auroc": auroc(after, scores([change(image) for image in bad])),
            "median": float(np.median(moved)),
            "95 %": float(np.quantile(moved, 0.95)),
        }
        print(name, found["changes"][name], flush=True)
    return found


def table(found: list[dict[str, Any]]) -> list[str]:
    """Return the records as a table of Markdown: normals flagged, and the change of the AUROC."""
    heads = [
        f"{r['set']}{'' if r['class'] is None else ' ' + str(r['class'])}, `{r['preset']}`"
        for r in found
    ]
    lines = [f"| | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    counts = [f"{r['good']} / {r['bad']}" for r in found]
    lines.append(f"| unseen normals / anomalies | {' | '.join(counts)} |")
    first = [f"{r['flagged']:.1%}; {r['auroc']:.3f}" for r in found]
    lines.append(f"| as they are: normals flagged; AUROC | {' | '.join(first)} |")
    for name in CHANGES:
        cells = []
        for record in found:
            one = record["changes"].get(name)
            change = one and one["auroc"] - record["auroc"]
            cells.append(f"{one['flagged']:.1%}; {change:+.3f}" if one else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
