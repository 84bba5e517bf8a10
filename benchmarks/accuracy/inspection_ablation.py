"""What each part of the preset ``inspect`` is worth: one network without it, on development sets.

    python -m benchmarks.accuracy.inspection_ablation bottle=DIR kolektor=DIR --seeds 0,1

Folders as for :mod:`benchmarks.accuracy.inspection`. Every network learns for half as many steps as
that of the preset, so that there is time for more of them, and the mean of the 20 highest places of
the map is the score, as when the first of them were recorded. Records are appended to
``benchmarks/results/inspection_ablation.jsonl``; those that are there are not run again.

The foreground also decides whether parts are turned upright, and what the filling ``ground`` shows:
the network without it learns parts as they lie, and no missing pieces.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adacl import AnomalyDetector
from adacl.anomalies.fillings import FAMILIES
from adacl.config.presets import preset
from adacl.training import crops, foreground
from benchmarks.accuracy.inspection import append, commit, folds, measured, read, test_images
from benchmarks.common import RESULTS, machine

RECORDS = RESULTS / "inspection_ablation.jsonl"

WITHOUT: dict[str, dict[str, Any]] = {
    "nothing left out": {},
    "continuous labels (0 and 1 instead)": {"labels__scheme": "discrete"},
    "the place (no coordinates)": {"network__place": "no"},
    "cameras (blur, noise, JPEG, tilt)": {"training__record": 0.0, "training__tilt": 0.0},
    "scales (one size and contrast)": {"training__vary": 0.0},
    "fillings (pieces of other images alone)": {"local__fillings": {"another": 1.0}},
    "hair lines (no scars)": {"local__shapes": {"blob": 0.35, "ellipse": 0.2, "rectangle": 0.15}},
    "families (every output learns every change)": {},
    "the foreground (changes anywhere)": {},
}


@contextmanager
def replaced(without: str) -> Iterator[None]:
    """Replace what no setting leaves out."""
    label_places, learn_limit = crops.label_places, foreground.learn_limit

    def of_every_family(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        labels, changed, _ = label_places(*arguments)
        return labels, changed, torch.arange(len(FAMILIES)).view(1, -1, 1, 1)

    if without.startswith("families"):
        crops.label_places = of_every_family
    if without.startswith("the foreground"):
        foreground.learn_limit = lambda samples: None
    try:
        yield
    finally:
        crops.label_places, foreground.learn_limit = label_places, learn_limit


def main() -> None:
    """Run what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sets", nargs="*", metavar="NAME=DIR")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        print("\n".join(table(read(RECORDS))))
        return
    for seed in map(int, arguments.seeds.split(",")):
        for without in WITHOUT:
            for name, folder in (entry.split("=", 1) for entry in arguments.sets):
                for fold, fold_name in folds(Path(folder)):
                    wanted = {"set": name, "fold": fold_name, "preset": without, "seed": seed}
                    if not any(wanted.items() <= record.items() for record in read(RECORDS)):
                        append(RECORDS, wanted | run(fold, without, seed))


def run(folder: Path, without: str, seed: int) -> dict[str, Any]:
    """Learn from the good images of a folder, and score its test images."""
    whole = preset("inspect")
    half = whole.training.min_epoch_images // 2
    config = whole.replace(
        training__min_epoch_images=half, network__top=20, network__few=0, **WITHOUT[without]
    )
    started = time.perf_counter()
    with replaced(without):
        detector = AnomalyDetector(config=config, random_state=seed).fit(folder / "train" / "good")
    seconds = time.perf_counter() - started
    images = test_images(folder)
    scores = {kind: -detector.score_samples(paths) for kind, paths in images.items()}
    return {
        "commit": commit(),
        **measured(scores, images),
        "parameters": detector.header.training["parameters"],
        "epochs": len(detector.history_.epochs),
        "fit_seconds": seconds,
        "machine": machine(),
    }


def table(records: list[dict[str, Any]]) -> list[str]:
    """Return a line for each part left out: the AUROC of each set, seed by seed."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        found[record["preset"]][record["set"]].append(100 * record["auroc"])
    return [
        f"| {without} | "
        + " | ".join(
            f"{np.mean(values):.1f} ({', '.join(f'{value:.1f}' for value in values)})"
            for _, values in sorted(sets.items())
        )
        + " |"
        for without, sets in found.items()
    ]


if __name__ == "__main__":
    main()
