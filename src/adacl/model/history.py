"""The record of each epoch of a training, and which epoch was kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

WEAK_AUROC = 0.6


@dataclass(frozen=True)
class EpochRecord:
    """The results of one epoch: mean loss, validation AUROC overall and per kind, last rate."""

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

    def table(self) -> list[dict[str, Any]]:
        """Return a row for each epoch, for ``pandas.DataFrame`` and the like; epochs from 1.

        The AUROC of each kind of made anomaly has a column of its own, ``kept`` is True for the
        epoch whose network was kept. Model files keep no ``seconds``, so that equal fits write
        equal files.
        """
        rows = []
        timed = any(record.seconds for record in self.epochs)
        for number, record in enumerate(self.epochs):
            row = asdict(record)
            if not timed:
                del row["seconds"]
            kinds = row.pop("kind_auroc")
            rows.append({**row, "epoch": number + 1, "kept": number == self.best_epoch, **kinds})
        return rows

    def __str__(self) -> str:
        """Return the table as text."""
        rows = self.table()
        names = list(dict.fromkeys(name for row in rows for name in row))
        cells = [names, *([_cell(row.get(name, "")) for name in names] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in cells
        )

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


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "kept" if value else ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
