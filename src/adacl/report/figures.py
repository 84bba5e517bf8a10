"""The figures of the report, each as a matplotlib figure."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adacl.history import History
from adacl.metrics import roc

__all__ = ["evaluation_figure", "examples_figure", "history_figure", "tidy", "to_png", "to_svg"]

NORMAL, ANOMALOUS, INK = "#0072b2", "#d55e00", "#444444"
Scores = NDArray[np.float64]


def tidy(axes: Axes, title: str, x: str, y: str) -> None:
    """Give axes a title and names, and no frame."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)


def evaluation_figure(normal: Scores, abnormal: Scores, threshold: float, area: float) -> Figure:
    """Draw the histogram of scores with the threshold, and the ROC curve.

    Parameters
    ----------
    normal, abnormal
        Raw anomaly scores (N,), (M,).
    threshold
        Marked in both.
    area
        The AUROC.
    """
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    bins = np.linspace(0, 1, 41)
    for scores, colour, name in ((normal, NORMAL, "normal"), (abnormal, ANOMALOUS, "anomalous")):
        share = np.full(len(scores), 100 / len(scores))
        label = f"{name} ({len(scores)})"
        left.hist(scores.clip(0, 1), bins, weights=share, color=colour, alpha=0.65, label=label)
    left.axvline(threshold, color=INK, linestyle="--", label=f"threshold {threshold:.3f}")
    left.set_xlim(0, 1)
    left.legend(frameon=False)
    tidy(left, "Anomaly scores", "anomaly score", "% of images")

    fpr, tpr, _ = roc(normal, abnormal)
    right.plot(fpr, tpr, color=ANOMALOUS)
    right.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    right.plot(np.mean(normal > threshold), np.mean(abnormal > threshold), "o", color=INK)
    tidy(right, f"ROC, area {area:.4f}", "false-positive rate", "true-positive rate")
    right.set_aspect("equal")
    return figure


def history_figure(history: History) -> Figure:
    """Draw loss and validation AUROC, in all and per kind of made anomaly, over the epochs."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    numbers = [record.epoch + 1 for record in history.epochs]
    left.plot(numbers, [record.loss for record in history.epochs], color=INK, marker=".")
    tidy(left, "Training loss", "epoch", "loss")
    for kind in history.best.kind_auroc:
        areas = [record.kind_auroc[kind] for record in history.epochs]
        right.plot(numbers, areas, linewidth=1, label=kind)
    overall = [record.validation_auroc for record in history.epochs]
    right.plot(numbers, overall, color=INK, linewidth=2, label="all kinds")
    right.axvline(history.best_epoch + 1, color=INK, linestyle=":", linewidth=1)
    right.legend(frameon=False, fontsize=8)
    tidy(right, "AUROC against made anomalies", "epoch (dotted: kept)", "AUROC")
    return figure


def examples_figure(rows: dict[str, NDArray[np.float32]]) -> Figure:
    """Draw rows of images, each N x H x W x C in [0, 1], under their titles."""
    columns = max(len(images) for images in rows.values())
    figure = Figure(figsize=(9, 1.15 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for line, (title, images) in zip(grid, rows.items(), strict=True):
        line[0].set_title(title, loc="left", fontsize=10, fontweight="bold")
        for axes, image in zip(line, images, strict=False):
            axes.imshow(image if image.shape[-1] == 3 else image[..., 0], "gray", vmin=0, vmax=1)
    return figure


def to_svg(figure: Figure) -> str:
    """Return a figure as an SVG element, the same each time."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "adacl"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()
