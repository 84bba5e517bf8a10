"""What scores are usual in the normal footage, row by row; deviations from it are the scores.

Far things are small and slow, and their tiles score otherwise than near ones. Each row of tiles
is therefore brought to the same mean and spread, as is the motion energy that joins the score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.errors import ModelFileError

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

ROW_SAMPLES = 50


@dataclass(frozen=True)
class Level:
    """Mean and standard deviation of a value in each row of tiles; the last entry is overall."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        values = [*self.mean, *self.std]
        if len(self.mean) != len(self.std) or not np.isfinite(values).all() or min(self.std) <= 0:
            raise ModelFileError("levels: need as many means as positive standard deviations")

    @classmethod
    def measure(cls, values: Floats, rows: Rows, count: int, by_row: bool) -> Level:
        """Measure the level of values (S,) in some of ``count`` rows (S,).

        Rows with few values take the level of all, as do all rows unless ``by_row``.
        """
        groups = [values[rows == row] if by_row else values for row in range(count)]
        groups = [group if len(group) >= ROW_SAMPLES else values for group in groups]
        means, stds = zip(
            *((float(g.mean()), max(float(g.std()), 1e-6)) for g in [*groups, values]), strict=True
        )
        return cls(means, stds)

    def deviation(self, values: Floats, rows: Rows) -> Floats:
        """Return values (S,) in standard deviations from the mean of their rows (S,)."""
        found: Floats = (values - np.array(self.mean)[rows]) / np.array(self.std)[rows]
        return found


@dataclass(frozen=True)
class Levels:
    """Turns the network's scores and the motion energies of tiles into their scores.

    Parameters
    ----------
    network
        Level of the raw regression.
    motion
        Level of :func:`adacl.video.motion.stack_energy`, or None where it does not count.
    weight
        Its weight beside the network's.
    """

    network: Level
    motion: Level | None = None
    weight: float = 0.0

    def __post_init__(self) -> None:
        if self.motion and len(self.motion.mean) != len(self.network.mean):
            raise ModelFileError("levels: network and motion must have as many rows")
        if not 0 <= self.weight < np.inf:
            raise ModelFileError(f"levels: need a weight of at least 0, got {self.weight}")

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Levels:
        """Build levels from plain values, as :func:`adacl.config.sections.plain` returns them."""
        network, motion = (
            Level(tuple(part["mean"]), tuple(part["std"])) if part else None
            for part in (tree["network"], tree["motion"])
        )
        if network is None:
            raise ModelFileError("levels: those of the network are missing")
        return cls(network, motion, tree["weight"])

    @property
    def rows(self) -> int:
        """Number of rows of tiles."""
        return len(self.network.mean) - 1

    @property
    def floor(self) -> float:
        """The lowest score of a frame: what deviates less than usual, or is still, is normal."""
        return self.network.mean[-1] + self.network.std[-1]

    def apply(self, raw: Floats, energy: Floats | None, rows: Rows) -> Floats:
        """Return the scores (S,) of tiles, on the scale of the raw regression.

        Parameters
        ----------
        raw
            (S,) the raw regression.
        energy
            (S,) the motion energy, if it counts.
        rows
            (S,) the row of each tile.
        """
        deviation = self.network.deviation(raw, rows)
        if self.motion is not None and energy is not None:
            moving = self.motion.deviation(energy, rows)
            deviation = (deviation + self.weight * moving) / (1 + self.weight)
        scores: Floats = self.network.mean[-1] + self.network.std[-1] * deviation
        return scores
