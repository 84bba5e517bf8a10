"""Choose batch, dropout, cut-paste and mixture for each data set by the other two (leave one out).

    python -m benchmarks.research.select_recipe --data-dir DATA
        --out benchmarks/results/select_recipe --jobs 2
    python -m benchmarks.research.select_recipe --out benchmarks/results/select_recipe --summary

What suits MNIST is chosen by the test AUROC on Fashion-MNIST and CIFAR-10, and so on around, so no
data set is reported with a setting that its own test labels chose. One seed, a few classes each.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from adacl.protocols import summary
from adacl.protocols.image.one_vs_rest import Variant, cells, paper_config, run_cell
from adacl.scale import grid

CLASSES = {
    "mnist": ("2", "8"),
    "fashion-mnist": ("t-shirt", "sandal", "shirt"),
    "cifar10": ("plane", "cat", "deer"),
}


def _area(low: float, high: float) -> dict[str, Any]:
    return {"anomalies__options": {"cut_paste": {"area": [low, high]}}}


SMALL, LARGE = _area(0.05, 0.3), _area(0.1, 0.5)
CANDIDATES: dict[str, dict[str, Any]] = {
    "small-cut-paste": SMALL,
    "batch64": SMALL | {"training__batch_size": 64},
    "batch256": SMALL | {"training__batch_size": 256},
    "large-cut-paste": LARGE,
    "large-batch256": LARGE | {"training__batch_size": 256},
    "larger-cut-paste": _area(0.2, 0.7),
    "large-dropout": LARGE | {"network__conv_dropout": 0.2, "network__dropout": 0.5},
    "large-rotation": LARGE
    | {"anomalies__weights": {"cut_paste": 1.0, "puzzling": 1.0, "rotation": 2.0, "mix_up": 1.0}},
}


def show(folder: Path) -> None:
    """Print the mean AUROC of every candidate per data set, and what the others would choose."""
    groups = summary.summarise(grid.read_cells(folder))
    means: dict[str, dict[str, float]] = {}
    for group in groups:
        if len(group["per_class"]) == len(CLASSES[group["data"]]):
            areas = summary.class_means(group).values()
            means.setdefault(group["variant"], {})[group["data"]] = statistics.mean(areas)
    print(f"{'candidate':16}", *(f"{data:>14}" for data in CLASSES))
    for name in CANDIDATES:
        row = means.get(name, {})
        print(f"{name:16}", *(f"{row[d]:14.2f}" if d in row else f"{'-':>14}" for d in CLASSES))
    whole = {name: row for name, row in means.items() if len(row) == len(CLASSES)}
    for data in CLASSES:
        others = [other for other in CLASSES if other != data]
        gains = {
            name: statistics.mean(row[x] - whole["small-cut-paste"][x] for x in others)
            for name, row in whole.items()
        }
        best = max(gains, key=lambda name: gains[name])
        print(f"{data}: the other two choose {best} ({gains[best]:+.2f} over small-cut-paste)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--summary", action="store_true")
    arguments = parser.parse_args()
    if not arguments.summary:
        todo = [
            cell
            for name, changes in CANDIDATES.items()
            for data, classes in CLASSES.items()
            for cell in cells(
                data,
                classes,
                [0],
                [Variant(name, paper_config(data).replace(**changes))],
                arguments.data_dir,
                "cpu",
            )
        ]
        for result in grid.run_cells(run_cell, todo, arguments.out, arguments.jobs):
            print("done:", result["cell"], flush=True)
    show(arguments.out)


if __name__ == "__main__":
    main()
