"""Figures 1, 2 and 7 to 10 of the paper: computed gradients, and curves and bars from cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adacl.protocols.figures import ANOMALOUS, INK, NORMAL, tidy
from adacl.protocols.summary import Cells, alike

Array = NDArray[np.float64]

LABELS = (("paper", "continuous labels", NORMAL), ("discrete", "discrete labels", ANOMALOUS))


def runs(cells: Cells, variant: str) -> dict[str, list[dict[str, Any]]]:
    """Return the cells of a variant by class, in the order of their seeds."""
    by_class: dict[str, list[dict[str, Any]]] = {}
    for cell in sorted(cells, key=lambda cell: int(cell["seed"])):
        if cell["variant"] == variant:
            by_class.setdefault(cell["class"], []).append(cell)
    return by_class


def figure1_sigmoid() -> Figure:
    """Draw the sigmoid and its derivative (equations 1 and 2)."""
    x = np.linspace(-8, 8, 401)
    h = 1 / (1 + np.exp(-x))
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(x, h, color=NORMAL, label="h(x)")
    axes.plot(x, h * (1 - h), color=ANOMALOUS, label="h'(x)")
    axes.legend(frameon=False)
    tidy(axes, "Figure 1: sigmoid and its derivative", "x", "")
    return figure


def figure2_loss_gradients() -> Figure:
    """Draw the gradients of MSE and BCE for the target 1, by prediction and by network output."""
    p = np.linspace(0.02, 1, 400)
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(p, 2 * (1 - p), color=NORMAL, label="MSE: 2 (1 - p)")
    left.plot(p, 1 / p, color=ANOMALOUS, label="BCE: 1 / p")
    left.set_ylim(0, 6)
    left.legend(frameon=False)
    tidy(left, "Figure 2a: by the prediction p", "p (target 1)", "size of the gradient")
    right.plot(p, 2 * (1 - p), color=NORMAL, label="MSE, linear output: 2 (1 - p)")
    right.plot(p, 1 - p, color=ANOMALOUS, label="BCE, sigmoid output: 1 - p")
    right.plot(p, 2 * (1 - p) * p * (1 - p), color=INK, linestyle="--", label="MSE, sigmoid output")
    right.legend(frameon=False)
    tidy(right, "Figure 2b: by the network's output", "p (target 1)", "size of the gradient")
    return figure


def figure7_loss(cells: Cells, data: str = "cifar10") -> Figure | None:
    """Draw the test AUROC after every epoch, MSE against BCE; band: one standard deviation."""
    cells = alike(cells, data, ("mse-epochs", "bce-epochs"))
    if not cells:
        return None
    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    for variant, name, colour in (
        ("mse-epochs", "MSE", NORMAL),
        ("bce-epochs", "BCE", ANOMALOUS),
    ):
        by_class = runs(cells, variant)
        curves = _mean_over_classes(by_class, lambda cell: cell["test_auroc_by_epoch"])
        epochs = np.arange(1, curves.shape[1] + 1)
        mean = curves.mean(0)
        axes.plot(epochs, mean, color=colour, marker=".", label=_counted(name, by_class))
        if len(curves) > 1:
            sd = curves.std(0, ddof=1)
            axes.fill_between(epochs, mean - sd, mean + sd, color=colour, alpha=0.2, linewidth=0)
    axes.legend(frameon=False)
    tidy(axes, f"Figure 7: {data}, test AUROC by epoch", "epoch", "AUROC %")
    return figure


def figure8_validation_variance(cells: Cells, data: str = "cifar10") -> Figure | None:
    """Draw the variance over seeds of the validation AUROC (mean of the classes) by epoch."""
    cells = alike(cells, data, [variant for variant, _, _ in LABELS])
    if min((len(found) for found in runs(cells, "paper").values()), default=0) < 2:
        return None
    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    for variant, name, colour in LABELS:
        by_class = runs(cells, variant)
        curves = _mean_over_classes(by_class, _validation)
        variance = curves.var(0, ddof=1)
        label = _counted(name, by_class)
        axes.plot(np.arange(1, len(variance) + 1), variance, color=colour, marker=".", label=label)
    axes.set_ylim(0)
    axes.legend(frameon=False)
    tidy(axes, f"Figure 8: {data}, variance of validation AUROC", "epoch", "variance (% squared)")
    return figure


def figure9_test_variance(cells: Cells, data: str = "cifar10") -> Figure | None:
    """Draw the variance over seeds of the test AUROC per class."""
    cells = alike(cells, data, [variant for variant, _, _ in LABELS])
    names = [name for name, found in runs(cells, "paper").items() if len(found) > 1]
    if not names:
        return None
    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    for shift, (variant, name, colour) in zip((-0.2, 0.2), LABELS, strict=True):
        by_class = {x: runs(cells, variant)[x] for x in names}
        variances = [
            np.var([100 * cell["auroc"] for cell in found], ddof=1) for found in by_class.values()
        ]
        label = _counted(name, by_class)
        axes.bar(np.arange(len(names)) + shift, variances, 0.38, color=colour, label=label)
    axes.margins(y=0.25)
    axes.set_xticks(range(len(names)), names)
    axes.legend(frameon=False)
    tidy(axes, f"Figure 9: {data}, variance of test AUROC", "", "variance (% squared)")
    return figure


def figure10_augmentations(cells: Cells, data: str = "mnist") -> Figure | None:
    """Draw the AUROC with every kind of made anomaly alone, and with all."""
    names = {
        "cut-paste": "cut-paste",
        "puzzling": "puzzling",
        "rotation-1": "one turn",
        "rotation-3": "three turns",
        "mix-up-0.3": "mix-up .3",
        "mix-up-0.5": "mix-up .5",
        "mix-up-0.7": "mix-up .7",
        "paper": "all",
    }
    cells = alike(cells, data, list(names))
    if not cells:
        return None
    values = {
        variant: [100 * cell["auroc"] for cell in cells if cell["variant"] == variant]
        for variant in names
    }
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    means = [np.mean(areas) for areas in values.values()]
    colours = [INK] * (len(values) - 1) + [NORMAL]
    bars = axes.bar(list(names.values()), means, color=colours)
    axes.bar_label(bars, fmt="%.1f", fontsize=8)
    axes.tick_params(axis="x", rotation=30)
    axes.set_ylim(max(0, min(means) - 10), 100)
    shown = _counted(f"Figure 10: {data}, each kind alone", runs(cells, "paper"))
    tidy(axes, shown, "", "AUROC %")
    return figure


def _validation(cell: dict[str, Any]) -> list[float]:
    return [record["validation_auroc"] for record in cell["history"]["epochs"]]


def _mean_over_classes(by_class: dict[str, list[dict[str, Any]]], curve: Any) -> Array:
    """Return curves in per cent, one for each seed that every class has (seeds, epochs)."""
    by_seed = [{cell["seed"]: curve(cell) for cell in cells} for cells in by_class.values()]
    seeds = sorted(set.intersection(*(set(curves) for curves in by_seed)))
    epochs = min(len(curves[seed]) for curves in by_seed for seed in seeds)
    per_class = [[curves[seed][:epochs] for seed in seeds] for curves in by_seed]
    curves_of_mean: Array = 100 * np.mean(per_class, axis=0)
    return curves_of_mean


def _counted(name: str, by_class: dict[str, list[dict[str, Any]]]) -> str:
    counts = sorted({len(found) for found in by_class.values()})
    return f"{name} ({len(by_class)} classes × {'–'.join(map(str, counts))} runs)"


def draw_all(cells: Cells) -> dict[str, Figure | None]:
    """Draw all figures of this module; None where the cells for one are missing."""
    return {
        "figure1": figure1_sigmoid(),
        "figure2": figure2_loss_gradients(),
        "figure7": figure7_loss(cells),
        "figure8": figure8_validation_variance(cells),
        "figure9": figure9_test_variance(cells),
        "figure10": figure10_augmentations(cells),
    }
