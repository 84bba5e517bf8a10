"""What is seen of a part that is turned upright, and how finely a part is looked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from adacl.imaging.spec import MAX_PIXELS

FINE = 128
"""Pixels of the shorter side at which a part is looked for, about."""
RING = 32
"""The ring along the border is this part of the shorter side."""
LEAST_AXIS = 1e-6
"""Below it a part has no axis."""
LEAST_TAIL = 1e-9
"""Below it the ends of a part are alike, and the axis points right, or down."""


class Frame(NamedTuple):
    """What is seen of a part that is upright: pixels before and after its centre.

    They are those of the image as it is shrunk.
    """

    above: int
    below: int
    left: int
    right: int

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Self:
        """Return the frame that a model holds.

        Raises
        ------
        ValueError
            If it is empty, or larger than images may be.
        """
        frame = cls(*map(int, numbers))
        height, width = frame.size
        if min(frame) < 0 or not 0 < height * width <= MAX_PIXELS:
            raise ValueError(f"upright: need a frame of 1 to {MAX_PIXELS} pixels, got {frame}")
        return frame

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.above + self.below, self.left + self.right
