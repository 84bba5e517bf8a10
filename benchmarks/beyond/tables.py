"""The presets beside each other: mean AUROC over the classes, and over those that no trial saw.

    python benchmarks/beyond/tables.py --grid benchmarks/beyond/grid --paper benchmarks/paper

Cells are written by ``adacl bench one-vs-rest DATASET --preset PRESET --out DIR``.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from adacl.protocols import grid, summary

SEEN = {
    "cifar10": {"plane", "car", "cat", "deer", "frog"},
    "mnist": {"0", "8"},
    "fashion-mnist": {"bag", "sandal", "shirt"},
}
"""Classes whose training split's real anomalies were looked at in the trials."""


def row(name: str, values: list[str]) -> str:
    return f"| {name} | {' | '.join(values)} |"


def cell(value: dict[str, Any] | None) -> str:
    if value is None:
        return "–"
    spread = "" if value["sd"] is None else f" ± {value['sd']:.2f}"
    return f"{value['mean']:.2f}{spread}"


def unseen(group: dict[str, Any]) -> str:
    seen = SEEN.get(group["data"], set())
    areas = summary.class_means(group)
    return f"{statistics.mean(area for name, area in areas.items() if name not in seen):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=Path, required=True)
    parser.add_argument("--paper", type=Path, required=True)
    arguments = parser.parse_args()
    groups = summary.summarise(grid.read_cells(arguments.grid))
    groups += [
        group
        for group in summary.summarise(grid.read_cells(arguments.paper))
        if group["variant"] == "paper"
    ]
    for data in dict.fromkeys(group["data"] for group in groups):
        own = [group for group in groups if group["data"] == data]
        names = list(own[0]["per_class"])
        print(f"\n**{data}**\n")
        print(row("", [*names, "mean", "unseen", "seeds", "parameters", "mean s"]))
        print(row("---", ["---"] * (len(names) + 5)))
        for group in own:
            per_class = group["per_class"]
            values = [cell(per_class.get(name)) for name in names]
            spent = group["training_seconds"] / group["cells"]
            seeds = str(len(group["seeds"]))
            tail = [cell(group["mean"]), unseen(group), seeds, f"{group['parameters']:,}"]
            print(row(group["variant"], [*values, *tail, f"{spent:.0f}"]))


if __name__ == "__main__":
    main()
