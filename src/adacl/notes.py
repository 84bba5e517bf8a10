"""What a user should know of a training or an evaluation, with or without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from adacl.config import Config
from adacl.history import History
from adacl.thresholds import Threshold

__all__ = ["Trained", "advice", "notes"]

FAIR_AUROC = 0.75
FEW_FOUND = 0.5


class Trained(Protocol):
    """What a model, or the header of its file, says of its training."""

    @property
    def training(self) -> Mapping[str, Any]:
        """Numbers of images and of parameters."""

    @property
    def config(self) -> Config:
        """The method."""

    @property
    def history(self) -> History:
        """The epochs."""

    @property
    def threshold(self) -> Threshold:
        """The threshold, and where it comes from."""


def notes(trained: Trained) -> list[str]:
    """Say in sentences what a user should know about how a model was trained."""
    facts, best = trained.training, trained.history.best
    lines = [
        f"{facts['parameters']:,} parameters; {facts['train']} images to learn from, "
        f"{facts['validation']} for early stopping, {facts['calibration']} for the threshold",
        f"epoch {best.epoch + 1} of {len(trained.history.epochs)} kept: validation AUROC "
        f"{best.validation_auroc:.4f} against made anomalies",
    ]
    if facts["validation"] < trained.config.training.validation_size:
        lines.append(
            f"only {facts['validation']} normals could be spared for early stopping "
            f"({trained.config.training.validation_size} wanted); its AUROC is rough"
        )
    flagged = facts.get("validation_flagged") or 0
    if trained.threshold.method == "cross-fitting" and trained.threshold.refuted_by(
        flagged, facts["validation"]
    ):
        lines.append(
            f"the network flags {flagged} of the {facts['validation']} normals for early stopping, "
            "more than the threshold promises: networks of other folds score differently; train "
            "longer, or calibrate with further normals (adacl calibrate)"
        )
    for kind in trained.history.weak_kinds():
        lines.append(
            f"{kind} is hardly told from normal (AUROC {best.kind_auroc[kind]:.2f}): if longer "
            "training does not help, it hardly changes these images; consider leaving it out "
            f"(--drop {kind})"
        )
    return lines + trained.threshold.describe()


def advice(figures: Mapping[str, Any], tiled: bool) -> str | None:
    """Say what may help where anomalies score higher, but few of them above the threshold.

    Parameters
    ----------
    figures
        What :func:`adacl.metrics.evaluation` returned.
    tiled
        Whether the model cuts images into tiles.

    Returns
    -------
    str or None
        A sentence without its full stop; None where nothing of the kind is to be said.
    """
    if figures["auroc"] < FAIR_AUROC or figures["tpr"] >= FEW_FOUND:
        return None
    tiles = "" if tiled else "cut the images into tiles if the defects are small (--tile), "
    return (
        f"anomalies do score higher than normal images (AUROC {figures['auroc']:.2f}), but only "
        f"{figures['tpr']:.0%} of them score above the threshold; to find more, train longer "
        f"(adacl fit --epochs), {tiles}or accept more false alarms (adacl calibrate --fpr)"
    )
