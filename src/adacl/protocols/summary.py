"""Sum up the cells of a folder: per data set and variant, over classes and seeds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adacl.config import Config
from adacl.datasets import catalogue
from adacl.errors import DataError
from adacl.files import atomic_file
from adacl.scale.grid import read_cells

Group = dict[str, Any]
Cells = Sequence[dict[str, Any]]


def alike(cells: Cells, data: str, variants: Sequence[str]) -> list[dict[str, Any]]:
    """Return the cells of the classes and seeds that all variants of a data set share.

    Only these compare like with like.
    """
    cells_of = {
        variant: {
            (cell["class"], cell["seed"]): cell
            for cell in cells
            if (cell["data"], cell["variant"]) == (data, variant)
        }
        for variant in variants
    }
    common = set.intersection(*(set(by_key) for by_key in cells_of.values()))
    return [by_key[key] for by_key in cells_of.values() for key in sorted(common)]


def summarise(cells: Cells) -> list[Group]:
    """Sum up cells.

    Raises
    ------
    DataError
        If cells of different configurations, or of different copies of the data, are mixed.

    Returns
    -------
    list of dict
        One for each data set and variant: per class and for their mean the AUROC in per cent
        with its standard deviation over seeds; parameters, epochs, FLOPs, seconds, versions,
        configuration, and the checksums of the data. The mean over classes is taken seed by
        seed, over those seeds for which every class is finished.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    copies: dict[tuple[str, str], str] = {}
    for cell in cells:
        data, name = cell["data"], cell["class"]
        if copies.setdefault((data, name), cell["data_sha256"]) != cell["data_sha256"]:
            raise DataError(
                f"{data} {name}: cells of different copies of the data are mixed; give each a "
                "folder of its own"
            )
        groups.setdefault((cell["data"], cell["variant"]), []).append(cell)
    return [_summarise(data, variant, cells) for (data, variant), cells in groups.items()]


def write(folder: Path) -> list[Group]:
    """Sum up the cells of a folder in its ``results.json``, and return the groups."""
    groups = summarise(read_cells(folder))
    with atomic_file(folder / "results.json", "w") as file:
        json.dump(groups, file, indent=1)
    return groups


def find(groups: Sequence[Group], data: str, variant: str) -> Group | None:
    """Return the group of a data set and variant, if it has a cell."""
    return next((g for g in groups if (g["data"], g["variant"]) == (data, variant)), None)


def missing(groups: Sequence[Group]) -> list[str]:
    """Return ``data-class-seed-variant`` of the cells that groups lack, given their own seeds."""
    return [
        f"{g['data']}-{name}-seed{seed}-{g['variant']}"
        for g in groups
        for name in g["per_class"]
        for seed in g["seeds"]
        if seed not in g["per_class"][name]["seeds"]
    ]


def _summarise(data: str, variant: str, cells: list[dict[str, Any]]) -> Group:
    configs = [Config.of_model(cell["config"]) for cell in cells if cell.get("config")]
    by_preset = {config.preset: config for config in configs}  # accurate becomes one or the other
    if len(configs) not in (0, len(cells)) or any(c != by_preset[c.preset] for c in configs):
        raise DataError(
            f"{data} {variant}: cells of different configurations are mixed; delete the old ones"
        )
    names = _ordered(data, {cell["class"] for cell in cells})
    by_class = {
        name: {c["seed"]: 100 * c["auroc"] for c in cells if c["class"] == name} for name in names
    }
    complete = sorted(set.intersection(*(set(areas) for areas in by_class.values())))
    means = [statistics.mean(by_class[name][seed] for name in names) for seed in complete]
    histories = [cell["history"] for cell in cells if "history" in cell]
    flops = [cell["training_gflop"] for cell in cells if "training_gflop" in cell]
    return {
        "data": data,
        "variant": variant,
        "cells": len(cells),
        "seeds": sorted({cell["seed"] for cell in cells}),
        "per_class": {
            name: mean_sd(list(areas.values())) | {"seeds": sorted(areas)}
            for name, areas in by_class.items()
        },
        "mean": mean_sd(means) if means else None,
        "parameters": round(statistics.mean(cell["parameters"] for cell in cells)),
        "epochs": sorted({len(history["epochs"]) for history in histories}),
        "training_seconds": round(sum(cell["training_seconds"] for cell in cells), 1),
        "scoring_seconds": round(sum(cell["scoring_seconds"] for cell in cells), 1),
        "training_gflop": round(sum(flops), 1) if flops else None,
        "threads": sorted({cell["threads"] for cell in cells}),
        "devices": sorted({cell["device"] for cell in cells}),
        "presets": sorted(by_preset),
        "versions": cells[0]["versions"],
        "config": cells[0].get("config"),
        "data_sha256": {cell["class"]: cell["data_sha256"] for cell in cells},
    }


def _ordered(data: str, names: set[str]) -> list[str]:
    if data in catalogue.BENCHMARKS:
        return [name for name in catalogue.get(data).classes if name in names]
    return sorted(names)


def mean_sd(values: Sequence[float]) -> dict[str, Any]:
    """Return mean, sample standard deviation (None for one value) and number of values."""
    return {
        "mean": round(statistics.mean(values), 6),
        "sd": round(statistics.stdev(values), 6) if len(values) > 1 else None,
        "n": len(values),
    }


def class_means(group: Group) -> dict[str, float]:
    """Return the mean AUROC in per cent of each class."""
    return {name: value["mean"] for name, value in group["per_class"].items()}
