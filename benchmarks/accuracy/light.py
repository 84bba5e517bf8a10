"""How many unseen normals a change of the camera or its light raises above the threshold.

A model and folders, of which images that it was fitted on are left out, or one class of MNIST or
Fashion-MNIST against the others, for which a model is fitted first::

    python -m benchmarks.accuracy.light bottle --model bottle.adacl --good DIR... --bad DIR...
    python -m benchmarks.accuracy.light mnist --class 3 --epochs 5
    python -m benchmarks.accuracy.light mnist --class 3 --preset accurate

All images, good and bad, are changed alike. A record is appended to
``benchmarks/results/light.jsonl``; ``--table`` prints all of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl import AnomalyDetector
from adacl.data.copies import digest
from adacl.data.folders import list_images
from adacl.data.images import read_image
from adacl.datasets import catalogue
from adacl.imaging.changes import CHANGES, Pixels
from adacl.metrics import auroc
from adacl.scale import records
from benchmarks.common import RESULTS, machine

RECORDS = RESULTS / "light.jsonl"
MOST_OTHERS = 1000


def main() -> None:
    """Measure one set, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("set", nargs="?")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--good", type=Path, nargs="+", default=[])
    parser.add_argument("--bad", type=Path, nargs="+", default=[])
    parser.add_argument("--most", type=int, default=10**6, help="images of each folder's kind")
    parser.add_argument("--class", dest="label", type=int, default=3)
    parser.add_argument("--preset", default="paper", help="for a class that is fitted first")
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
        detector = AnomalyDetector(given.preset, epochs=given.epochs, device="cpu")
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
        anomalous = scores([change(image) for image in bad])
        found["changes"][name] = effect(before, after, anomalous, threshold)
        print(name, found["changes"][name], flush=True)
    return found


def effect(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    anomalous: NDArray[np.float64],
    threshold: float,
) -> dict[str, float]:
    """Return what a change does to normals: shares flagged, the AUROC, and moves of the score."""
    moved = np.abs(after - before) / before.std()
    return {
        "flagged": float((after > threshold).mean()),
        "auroc": auroc(after, anomalous),
        "median": float(np.median(moved)),
        "95 %": float(np.quantile(moved, 0.95)),
    }


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
