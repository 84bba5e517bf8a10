"""The colour scale of heat maps: one for each model, from its held-out normals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from adacl.config.sections import finite
from adacl.model.threshold import Threshold, margin

UNKNOWN = 0.3
"""From where colours begin to where they are full, where no record of normals tells."""


@dataclass(frozen=True)
class MapScale:
    """Three raw scores between which the colours of heat maps run.

    Parameters
    ----------
    usual
        The median of normal images: colours begin above it. Without a record of normals, the
        threshold.
    threshold
        The threshold that the normals gave.
    far
        Full colour. With a record, the threshold lies in the middle between it and the usual score.

    Raises
    ------
    ValueError
        If they are not finite, or do not rise.
    """

    usual: float
    threshold: float
    far: float

    def __post_init__(self) -> None:
        for name in ("usual", "threshold", "far"):
            finite(f"map_scale {name}", getattr(self, name))
        if not self.usual <= self.threshold < self.far:
            raise ValueError(f"map_scale: need rising numbers, got {self}")

    @classmethod
    def of(cls, threshold: Threshold) -> Self:
        """Return the scale that belongs to a threshold and its record of normals."""
        usual = value = threshold.value
        if threshold.curve:
            scores, shares = zip(*threshold.curve, strict=True)
            usual = float(np.interp(-0.5, -np.array(shares), scores))
        least = 2 * margin(value)
        if value - usual < least:
            value = usual
        reach = 2 * (value - usual) or max(UNKNOWN, least)
        return cls(usual, value, usual + reach)
