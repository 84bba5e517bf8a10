"""What defects among the normal images do: to the ranking, the threshold, and who is named.

Each set is a folder as for :mod:`benchmarks.accuracy.inspection`. A share of what is learnt is real
defects, drawn with seed 0 from a folder of them or, without one, from the test images, which then
lose them::

    python -m benchmarks.accuracy.odd_normals bottle=DIR --share 0.05 --keep MODELS
    python -m benchmarks.accuracy.odd_normals kolektor-half-fold0=DIR --defects DIR --share 0.05

Records are appended to ``benchmarks/results/odd_normals.jsonl``. ``--keep`` names a folder for the
models; what is there is not fitted again. ``--recorded`` needs no fit: among 40 recorded scores of
good images of each set it puts 2 of its anomalies, and counts what the others of both do.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl import AnomalyDetector
from adacl.data.folders import list_images
from adacl.model.threshold import Threshold
from adacl.model.threshold_rules import from_normal_scores
from adacl.scale import records
from adacl.training.least_normal import least_normal
from benchmarks.accuracy.inspection import RECORDS, commit, measured, parted, test_images
from benchmarks.common import RESULTS, machine, record

FITTED, RECORDED = RESULTS / "odd_normals.jsonl", RESULTS / "odd_normals_recorded.json"
FPR, CONFIDENCE = 0.01, 0.95
HELD_OUT, ODD, DRAWS = 40, 2, 300


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sets", nargs="*", metavar="NAME=DIR")
    parser.add_argument("--defects", type=Path, help="folder of defects; or test images")
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--keep", type=Path, help="folder for the models")
    parser.add_argument("--recorded", action="store_true")
    arguments = parser.parse_args()
    if arguments.recorded:
        record(RECORDED, [put_among(entry) for entry in records.read(RECORDS) if _enough(entry)])
    for entry in arguments.sets:
        name, _, folder = entry.partition("=")
        found = run(name, Path(folder), arguments.share, arguments.defects, arguments.keep)
        records.append(FITTED, found)
        print({key: value for key, value in found.items() if key not in ("scores", "files")})


def run(
    name: str, folder: Path, share: float, defects: Path | None, keep: Path | None
) -> dict[str, Any]:
    """Fit on good images with some defects, and score the test images that are left."""
    good, images = list_images(folder / "train" / "good"), test_images(folder)
    others = [path for kind, paths in images.items() if kind != "good" for path in paths]
    among = list_images(defects) if defects else others
    mixed = sorted(random.Random(0).sample(among, round(share * len(good) / (1 - share))))
    images = {kind: [p for p in paths if p not in mixed] for kind, paths in images.items()}
    model = keep / f"{name}-{share:g}.adacl" if keep else None
    with tempfile.TemporaryDirectory() as temporary:
        odd = [Path(temporary) / f"odd_{path.parent.name}_{path.name}" for path in mixed]
        copies = [Path(temporary) / path.name for path in good]
        for path, target in zip([*good, *mixed], [*copies, *odd], strict=True):
            shutil.copy(path, target)
        learnt = list_images(Path(temporary))
        if model and model.exists():
            detector = AnomalyDetector.load(model)
        else:
            detector = AnomalyDetector(preset="inspect", random_state=0).fit(temporary)
            if model:
                detector.save(model)
        of_learnt = -detector.score_samples(learnt)
    held_out = from_curve(detector.header.threshold)
    named = [learnt[number] for number in looked_at(of_learnt, held_out)]
    scores = {kind: -detector.score_samples(paths) for kind, paths in images.items()}
    return {
        "set": name,
        "share": share,
        "commit": commit(),
        "mixed_in": [path.name for path in odd],
        "named": [path.name for path in named],
        "of_mixed_in": {
            path.name: float(score)
            for path, score in zip(learnt, of_learnt, strict=True)
            if path in odd
        },
        "held_out": held_out,
        **measured(scores, images),
        **judged(held_out, *parted(scores)),
        "machine": machine(),
    }


def from_curve(threshold: Threshold) -> list[float]:
    """Return the scores of the normals that set a threshold, if they are few enough."""
    scores, shares = zip(*threshold.curve, strict=True)
    above = np.rint(np.array(shares) * threshold.n).astype(int)
    times = -np.diff(above, prepend=threshold.n)
    return [score for score, count in zip(scores, times, strict=True) for _ in range(count)]


def looked_at(scores: NDArray[Any], held_out: Sequence[float]) -> list[int]:
    """Return the numbers of the images that a fit names, those held out known by their score."""
    unseen = np.zeros(len(scores), bool)
    unseen[np.abs(scores[:, None] - np.array(held_out)).argmin(0)] = True
    numbers, rest = np.flatnonzero(unseen), np.flatnonzero(~unseen)
    chosen = from_normal_scores(held_out, FPR, CONFIDENCE, "hold-out", set_aside=1).value
    return least_normal(numbers, scores[unseen], chosen, rest, scores[rest])


def judged(
    held_out: Sequence[float] | NDArray[Any], normal: NDArray[Any], anomalous: NDArray[Any]
) -> dict[str, Any]:
    """Return what two thresholds find and flag: the second highest score, and that of a fit."""
    second = float(np.sort(held_out)[-2])
    chosen = from_normal_scores(held_out, FPR, CONFIDENCE, "hold-out", set_aside=1)
    return {
        name: {
            "threshold": value,
            "found": float((anomalous > value).mean()),
            "flagged": float((normal > value).mean()),
        }
        for name, value in (("second highest", second), ("fit", chosen.value))
    } | {"upper_bound": chosen.upper_bound}


def put_among(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what thresholds of normals with and without anomalies among them do, on average."""
    normal, anomalous = parted(entry["scores"])
    rng = np.random.default_rng(0)
    outcomes: dict[str, list[list[float]]] = {"clean": [], "with defects": []}
    for _ in range(DRAWS):
        usual, odd = rng.permutation(normal), rng.permutation(anomalous)
        for name, held_out in (
            ("clean", usual[:HELD_OUT]),
            ("with defects", np.append(usual[:HELD_OUT], odd[:ODD])),
        ):
            result = judged(held_out, usual[HELD_OUT:], odd[ODD:])
            outcomes[name].append(
                [
                    result[rule][of]
                    for rule in ("second highest", "fit")
                    for of in ("found", "flagged")
                ]
            )
    means = {
        name: dict(
            zip(
                ("found before", "flagged before", "found", "flagged"),
                np.mean(values, axis=0).tolist(),
                strict=True,
            )
        )
        for name, values in outcomes.items()
    }
    return {**{name: entry[name] for name in ("set", "fold", "seed")}, **means}


def _enough(entry: dict[str, Any]) -> bool:
    good = len(entry["scores"]["good"])
    return bool(entry["preset"] == "inspect" and good >= 2 * HELD_OUT and entry["auroc"] > 0.5)


if __name__ == "__main__":
    main()
