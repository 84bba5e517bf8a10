"""The presets beside each other, and ``accurate`` beside itself with one thing changed.

    python -m benchmarks.research.tables --grid benchmarks/results/beyond/grid
        --paper benchmarks/results/paper

AUROC in %: mean over the classes, and over those that no trial saw; and by class what a change
does, against the unchanged preset with the same seeds. Cells are written by ``adacl bench
one-vs-rest DATASET --preset PRESET --out DIR`` and ``adacl bench ablation accurate --out DIR``.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from adacl.protocols import summary
from adacl.scale import grid

SEEN = {
    "cifar10": {"plane", "car", "cat", "deer", "frog"},
    "mnist": {"0", "2", "8"},
    "fashion-mnist": {"bag", "sandal", "shirt"},
}
"""Classes whose training split's real anomalies were looked at in the trials."""


CLASSES = 10
SETTING = "+training.precision=bfloat16"
UNCHANGED = "accurate" + SETTING


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


def print_presets(groups: list[dict[str, Any]]) -> None:
    names = list(groups[0]["per_class"])
    print(row("", [*names, "mean", "unseen", "seeds", "parameters", "mean s"]))
    print(row("---", ["---"] * (len(names) + 5)))
    for group in groups:
        values = [cell(group["per_class"].get(name)) for name in names]
        spent = group["training_seconds"] / group["cells"]
        seeds = str(len(group["seeds"]))
        tail = [cell(group["mean"]), unseen(group), seeds, f"{group['parameters']:,}"]
        print(row(group["variant"], [*values, *tail, f"{spent:.0f}"]))


def print_changes(cells: list[dict[str, Any]], data: str, changed: list[str]) -> None:
    own = [c for c in cells if c["data"] == data and c["variant"] in changed]
    names = list(dict.fromkeys(c["class"] for c in own))
    print(f"\n{data}, changed:\n")
    print(row("", [*names, "mean change"]))
    print(row("---", ["---"] * (len(names) + 1)))
    for variant in changed:
        pairs = summary.alike(cells, data, [UNCHANGED, variant])
        before, after = pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]
        areas = {name: [100 * c["auroc"] for c in after if c["class"] == name] for name in names}
        change = statistics.mean(
            100 * (c["auroc"] - b["auroc"]) for b, c in zip(before, after, strict=True)
        )
        values = [f"{statistics.mean(found):.2f}" if found else "–" for found in areas.values()]
        print(row(variant.removesuffix(SETTING), [*values, f"{change:+.2f}"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=Path, required=True)
    parser.add_argument("--paper", type=Path, required=True)
    arguments = parser.parse_args()
    cells = grid.read_cells(arguments.grid)
    groups = summary.summarise(cells)
    groups += [
        group
        for group in summary.summarise(grid.read_cells(arguments.paper))
        if group["variant"] == "paper"
    ]
    for data in dict.fromkeys(group["data"] for group in groups):
        own = [group for group in groups if group["data"] == data]
        whole = [group for group in own if len(group["per_class"]) == CLASSES]
        print(f"\n**{data}**\n")
        print_presets(whole)
        changed = [group["variant"] for group in own if group not in whole]
        if changed:
            print_changes(cells, data, changed)


if __name__ == "__main__":
    main()
