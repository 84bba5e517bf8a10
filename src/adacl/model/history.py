"""What each epoch of a training brought, and which epoch was kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

WEAK_AUROC = 0.6


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch brought: mean loss, validation AUROC in all and per kind, last rate."""

    epoch: int
    loss: float
    validation_auroc: float
    kind_auroc: dict[str, float]
    rate: float
    seconds: float = 0.0


@dataclass
class History:
    """The epochs of one training, and which of them was kept (``best_epoch``, from 0)."""

    epochs: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = -1

    @property
    def best(self) -> EpochRecord:
        """The record of the epoch that was kept."""
        return self.epochs[self.best_epoch]

    def weak_kinds(self) -> list[str]:
        """Return the kinds that the kept network hardly tells from normal (AUROC < 0.6).

        Such a kind, rotation of round parts for instance, is best dropped: its images are
        normal, and calling them anomalous only confuses the network.
        """
        return [kind for kind, area in self.best.kind_auroc.items() if area < WEAK_AUROC]

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> History:
        """Build a history from what :meth:`to_dict` returned.

        Raises
        ------
        ValueError
            If the epoch that was kept is not among the epochs.
        """
        history = cls([EpochRecord(**record) for record in tree["epochs"]], tree["best_epoch"])
        if not 0 <= history.best_epoch < len(history.epochs):
            raise ValueError(f"best epoch {history.best_epoch} of {len(history.epochs)}")
        return history
