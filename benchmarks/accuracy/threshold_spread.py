"""How much a threshold varies with the few normal images held out, with and without those learnt.

    python -m benchmarks.accuracy.threshold_spread NAME=MODEL=DIR ...

For models of ``benchmarks.accuracy.inspection --keep`` and the folders of their sets. Thresholds
are set from some unseen normal images, drawn anew each time from those held out and those to test,
and four times as many of those learnt; the other unseen ones and the defects judge them. One record
goes to ``benchmarks/results/threshold_spread.json``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl import AnomalyDetector
from adacl.data.copies import distinct
from adacl.data.folders import list_images
from adacl.model.threshold import Threshold
from adacl.model.threshold_rules import from_normal_scores, with_learnt
from adacl.training.splits import split
from benchmarks.common import RESULTS, record

Scores = NDArray[np.float64]
FPR, CONFIDENCE, SET_ASIDE = 0.01, 0.95, 1
HELD_OUT = (30, 44)
DRAWS = 1000
LEFT = 10
"""Unseen normal images that judge a threshold, at least."""


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sets", nargs="+", metavar="NAME=MODEL=DIR")
    found = {}
    for entry in parser.parse_args().sets:
        name, model, folder = entry.split("=")
        found[name] = measured(AnomalyDetector.load(model), Path(folder))
        print(name, found[name], flush=True)
    record(RESULTS / "threshold_spread.json", found)


def measured(detector: AnomalyDetector, folder: Path) -> dict[str, Any]:
    """Return how the thresholds of a model, and of many draws, judge unseen images."""
    files = list_images(folder / "train" / "good")
    first, unit = distinct(detector.model_.digests)
    assert len(unit) == len(files)
    parts = split(len(first), detector.header.config, True, detector.header.training["seed"])
    parts = parts.of_images(first, unit)
    scores = raw(detector, files)
    held_out, learnt = scores[parts.calibration], scores[np.intersect1d(parts.train, first)]
    good, defects = (
        raw(detector, [file for kind in kinds for file in list_images(kind)])
        for kinds in (
            [folder / "test" / "good"],
            [kind for kind in sorted((folder / "test").iterdir()) if kind.name != "good"],
        )
    )
    found: dict[str, Any] = {
        "held out": len(held_out),
        "learnt": len(learnt),
        "as it is": [judged(each, good, defects) for each in both(held_out, learnt)],
    }
    unseen, rng = np.concatenate([held_out, good]), np.random.default_rng(0)
    for count in HELD_OUT:
        if len(unseen) < count + LEFT:
            continue
        rows = []
        for _ in range(DRAWS):
            order = rng.permutation(len(unseen))
            some = learnt[rng.permutation(len(learnt))[: 4 * count]]
            thresholds = both(unseen[order[:count]], some)
            rows.append([judged(each, unseen[order[count:]], defects) for each in thresholds])
        found[str(count)] = [summary([row[way] for row in rows]) for way in (0, 1)]
    return found


def raw(detector: AnomalyDetector, files: list[Path]) -> Scores:
    """Return the raw scores of files."""
    return -np.asarray(detector.score_samples(files))


def both(held_out: Scores, learnt: Scores) -> tuple[Threshold, Threshold]:
    """Return the threshold without the normals learnt from, and with them."""
    alone = from_normal_scores(held_out, FPR, CONFIDENCE, "hold-out", SET_ASIDE)
    return alone, with_learnt(alone, held_out, learnt)


def judged(threshold: Threshold, good: Scores, defects: Scores) -> dict[str, float]:
    """Return shares found and flagged, and the stated bound."""
    return {
        "threshold": threshold.value,
        "found": float((defects > threshold.value).mean()),
        "flagged": float((good > threshold.value).mean()),
        "bound": float(threshold.upper_bound or 0),
    }


def summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return means, the tenths that are worst, and how often the bound is kept."""
    found, flagged, bound = (
        np.array([row[name] for row in rows]) for name in ("found", "flagged", "bound")
    )
    return {
        "found, mean": float(found.mean()),
        "found, lowest tenth": float(np.quantile(found, 0.1)),
        "flagged, mean": float(flagged.mean()),
        "flagged, highest tenth": float(np.quantile(flagged, 0.9)),
        "bound, mean": float(bound.mean()),
        "bound kept": float((flagged <= bound).mean()),
    }


if __name__ == "__main__":
    main()
