"""Table 3 of the paper beside what is measured here, and curves of each clip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from adacl.errors import DataError
from adacl.files import atomic_file
from adacl.protocols.figures import to_png
from adacl.protocols.paper.tables import table3 as paper_table3
from adacl.protocols.summary import mean_sd
from adacl.scale.grid import read_cells

TITLES = {
    "ucsd-ped1": "UCSD Ped1",
    "ucsd-ped2": "UCSD Ped2",
    "ucsd-ped1-two-fold": "UCSD Ped1, in two folds by clip",
    "ucsd-ped2-two-fold": "UCSD Ped2, in two folds by clip",
    "avenue": "CUHK Avenue, the clips at hand",
}
FIGURES = (
    "auroc_smoothed",
    "auroc_raw",
    "eer_smoothed",
    "eer_raw",
    "auroc_smoothed_mean_over_clips",
    "auroc_raw_mean_over_clips",
    "auroc_tiles",
)

Groups = list[dict[str, Any]]


def summarise(cells: Sequence[dict[str, Any]]) -> Groups:
    """Sum up cells per data set and variant: every figure in per cent, mean and sd over seeds.

    Raises
    ------
    DataError
        If cells of different settings, or of different copies of the frames, are mixed.
    """
    together: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for cell in cells:
        together.setdefault((cell["data"], cell["variant"]), []).append(cell)
    for data in {cell["data"] for cell in cells}:
        if len({cell["original_frames"] for cell in cells if cell["data"] == data}) > 1:
            raise DataError(
                f"{data}: cells of different copies of the frames are mixed; delete the old ones"
            )
    groups = []
    for (data, variant), alike in together.items():
        first = alike[0]
        for key in ("config", "video"):
            if any(cell[key] != first[key] for cell in alike):
                raise DataError(
                    f"{data} {variant}: cells that differ in {key} are mixed; delete the old ones"
                )
        folds = [fold for cell in alike for fold in cell["folds"]]
        groups.append(
            {
                "data": data,
                "variant": variant,
                "method": first["method"],
                "seeds": sorted(cell["seed"] for cell in alike),
                **{
                    name: mean_sd([100 * cell[name] for cell in alike])
                    for name in FIGURES
                    if name in first
                },
                "frames": first["frames"],
                "abnormal_frames": first["abnormal_frames"],
                "parameters": max(fold["parameters"] for fold in folds),
                "epochs": sorted({fold["epochs"] for fold in folds if "epochs" in fold}),
                "validation_auroc": _mean(folds, "validation_auroc"),
                "epoch_seconds": _mean(folds, "epoch_seconds"),
                "scoring_seconds": _mean(folds, "scoring_seconds"),
                "original_frames": first["original_frames"],
                "threads": sorted({cell["threads"] for cell in alike}),
                "versions": first["versions"],
                "video": first["video"],
                "config": first["config"],
            }
        )
    return groups


def _mean(folds: list[dict[str, Any]], name: str) -> float | None:
    values = [fold[name] for fold in folds if name in fold]
    return round(float(np.mean(values)), 4) if values else None


def table3(groups: Groups) -> str:
    """Return table 3 in the paper's arrangement, and one of each protocol, as Markdown."""
    parts = [paper_table3(groups).markdown().rstrip()]
    for data, title in TITLES.items():
        found = [g for g in groups if g["data"] == data]
        if found:
            parts += [_title(title, found[0]), _measured(found)]
    return "\n\n".join(parts) + "\n"


def _title(title: str, group: dict[str, Any]) -> str:
    copy = "the published frames" if group["original_frames"] else "not the published frames"
    said = "" if group["data"] == "avenue" else f"; {copy}"
    return (
        f"{title}: {group['abnormal_frames']:,} abnormal of {group['frames']:,} frames{said}. "
        "AUROC and EER in %, frame level; the last column is of tiles, where masks exist."
    )


def _measured(groups: Groups) -> str:
    rows = [
        [
            g["variant"],
            len(g["seeds"]),
            *(_figure(g, name) for name in ("auroc_smoothed", "auroc_raw", "eer_smoothed")),
            _figure(g, "auroc_smoothed_mean_over_clips"),
            _figure(g, "auroc_tiles"),
            f"{g['parameters']:,}",
        ]
        for g in sorted(groups, key=lambda g: -g["auroc_smoothed"]["mean"])
    ]
    head = ["Variant", "Seeds", "AUROC", "before smoothing", "EER", "mean over clips", "tiles"]
    return str(tabulate(rows, [*head, "Parameters"], "github", disable_numparse=True))


def _figure(group: dict[str, Any], name: str) -> str:
    if name not in group:
        return "-"
    value = group[name]
    return f"{value['mean']:.2f}" + ("" if value["sd"] is None else f" ± {value['sd']:.2f}")


def curves(cells: Sequence[dict[str, Any]], data: str, variant: str) -> Any:
    """Draw each test clip's smoothed score: median and range over seeds, abnormal spans shaded."""
    from matplotlib.figure import Figure

    chosen = [cell for cell in cells if (cell["data"], cell["variant"]) == (data, variant)]
    clips = sorted(chosen[0]["scores"])
    columns = min(3, len(clips))
    lines = -(-len(clips) // columns)
    figure = Figure((4.2 * columns, 1.7 * lines + 0.6), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    for panel in axes[len(clips) :]:
        panel.set_axis_off()
    for panel, clip in zip(axes, clips, strict=False):
        scores = np.array([cell["scores"][clip]["smoothed"] for cell in chosen])
        abnormal = np.array(chosen[0]["scores"][clip]["abnormal"], bool)
        number = np.arange(len(abnormal))
        panel.fill_between(
            number, 0, 1, abnormal, step="mid", color="#d55e00", alpha=0.22, linewidth=0,
            transform=panel.get_xaxis_transform(),
        )  # fmt: skip
        panel.fill_between(number, scores.min(0), scores.max(0), color="#0072b2", alpha=0.25)
        panel.plot(number, np.median(scores, 0), color="#0072b2", linewidth=1.2)
        panel.set_title(clip, fontsize=9)
        panel.set_ylim(0, 1.2)
        panel.tick_params(labelsize=7)
    figure.suptitle(
        f"{TITLES[data]}, {variant}: score of each frame (median and range of {len(chosen)} "
        "seeds); shaded: abnormal",
        fontsize=10,
    )
    return figure


def write(out: Path) -> Groups:
    """Write ``results.json``, ``table3.md`` and the curves of our variants into a folder.

    Raises
    ------
    DataError
        If a file cannot be written, or cells do not belong together.
    """
    cells = [cell for cell in read_cells(out) if "video" in cell]
    groups = summarise(cells)
    with atomic_file(out / "results.json", "w") as file:
        json.dump(groups, file, indent=1)
    with atomic_file(out / "table3.md", "w") as file:
        file.write(table3(groups))
    for group in groups:
        if group["method"] == "adacl":
            with atomic_file(out / f"curves-{group['data']}-{group['variant']}.png") as file:
                file.write(to_png(curves(cells, group["data"], group["variant"])))
    return groups
