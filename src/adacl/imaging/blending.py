"""Blend the values of overlapping windows into a map without seams, in the memory of the map."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from adacl.imaging.tiles import starts

Map = NDArray[np.float32]
Slices = tuple[slice, slice]
"""Rows and columns of a window."""


class Blend:
    """A map under construction: each pixel is the weighted mean of the windows over it.

    The weights fall to nearly nothing towards the rim of a window, so that none shows.

    Parameters
    ----------
    shape
        Height and width of the map.
    window
        Height and width of the windows.
    step
        Pixels from one window to the next, down and across.
    """

    def __init__(
        self, shape: tuple[int, int], window: tuple[int, int], step: tuple[int, int]
    ) -> None:
        self.window = window
        self._rows, self._columns = (
            starts(*sides) for sides in zip(shape, window, step, strict=True)
        )
        self.weight = hill(window[0])[:, None] * hill(window[1])
        self._total = np.zeros(shape, np.float32)

    def __len__(self) -> int:
        return len(self._rows) * len(self._columns)

    def batches(self, most: int) -> Iterator[list[Slices]]:
        """Yield the slices of all windows, row by row, at most so many at once."""
        (height, width), batch = self.window, []
        for top in self._rows:
            for left in self._columns:
                batch.append((slice(top, top + height), slice(left, left + width)))
                if len(batch) == most:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def add(self, window: Slices, value: float | Map) -> None:
        """Add the value of a window: one number, or one for each of its pixels."""
        self._total[window] += self.weight * np.asarray(value, np.float32)

    def finished(self) -> Map:
        """Return the map, once every window has been added."""
        sides = zip(self._total.shape, self.window, (self._rows, self._columns), strict=True)
        down, across = (_sums(*side) for side in sides)
        self._total /= down[:, None]
        self._total /= across
        return self._total


def hill(side: int) -> Map:
    """Return weights (side,) that rise from nearly 0 at either end to 1 in the middle."""
    weights: Map = np.sin(np.pi * (np.arange(side) + 0.5) / side).astype(np.float32)
    return weights


def _sums(length: int, side: int, begins: list[int]) -> Map:
    """Return the sums (length,) of the weights of windows that begin at some pixels."""
    sums = np.zeros(length, np.float32)
    for begin in begins:
        sums[begin : begin + side] += hill(side)
    return sums
