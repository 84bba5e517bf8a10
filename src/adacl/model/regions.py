"""Regions of an image: connected places of its map above the threshold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adacl.imaging.spec import Array


class Region(NamedTuple):
    """A region of an image above the threshold, in pixels of the image.

    Parameters
    ----------
    top, left, bottom, right
        The smallest box around it; rows ``top`` to ``bottom`` - 1.
    area
        Pixels.
    peak
        The highest raw regression in it.
    row, column
        Its centre: the mean of its pixels.
    """

    top: int
    left: int
    bottom: int
    right: int
    area: int
    peak: float
    row: float
    column: float


def find_regions(
    scores: Array, threshold: float, size: tuple[int, int], least_area: int
) -> tuple[Region, ...]:
    """Return the regions of an image, the highest first.

    Parameters
    ----------
    scores
        The map (ceil(H / 2), ceil(W / 2)): raw regression.
    threshold
        Places above it belong to a region; those that touch, corners included, to the same.
    size
        Height and width of the image.
    least_area
        Pixels of the smallest region. If all are smaller, the highest is named; without a place
        above the threshold there is none.
    """
    rows, starts, ends, numbers = _runs(scores > threshold)
    if not len(rows):
        return ()
    tops, lefts = 2 * rows, 2 * starts
    bottoms, rights = np.minimum(tops + 2, size[0]), np.minimum(2 * ends, size[1])
    areas = (bottoms - tops) * (rights - lefts)
    order = np.argsort(numbers, kind="stable")
    first = np.unique(numbers[order], return_index=True)[1]

    def of_each(reduce: np.ufunc, values: Array) -> Array:
        """Reduce values of the runs (R,) to one for each region."""
        found: Array = reduce.reduceat(values[order], first)
        return found

    area = of_each(np.add, areas)
    boxes = (
        of_each(np.minimum, tops),
        of_each(np.minimum, lefts),
        of_each(np.maximum, bottoms),
        of_each(np.maximum, rights),
    )
    peaks = of_each(np.maximum, _peaks(scores, rows, starts, ends))
    centres = (
        of_each(np.add, (tops + bottoms) * areas) / 2 / area,
        of_each(np.add, (lefts + rights) * areas) / 2 / area,
    )
    columns = (column.tolist() for column in (*boxes, area, peaks, *centres))
    regions = [Region(*values) for values in zip(*columns, strict=True)]
    regions.sort(key=lambda region: -region.peak)
    return tuple([r for r in regions if r.area >= least_area] or regions[:1])


def _peaks(
    scores: Array, rows: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> Array:
    """Return the highest score of each run."""
    before = rows * scores.shape[1]
    bounds = np.stack([before + starts, before + ends], 1).ravel()
    bounds = bounds[bounds < scores.size]  # without the end of the last run, if it is that of all
    peaks: Array = np.maximum.reduceat(scores.ravel(), bounds)[::2]
    return peaks


def _runs(above: NDArray[np.bool_]) -> tuple[NDArray[np.int64], ...]:
    """Return row, start and end of each run of places along a row, and its region's number."""
    steps = np.diff(np.pad(above, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = (steps == 1).nonzero()
    ends = (steps == -1).nonzero()[1]
    region = list(range(len(rows)))

    def first(run: int) -> int:
        while region[run] != run:
            region[run] = run = region[region[run]]
        return run

    of_row = np.searchsorted(rows, np.arange(len(above) + 1))
    for row in range(1, len(above)):
        earlier, last = int(of_row[row - 1]), int(of_row[row])
        for run in range(last, int(of_row[row + 1])):
            while earlier < last and ends[earlier] < starts[run]:
                earlier += 1
            touching = earlier
            while touching < last and starts[touching] <= ends[run]:
                region[first(run)] = first(touching)
                touching += 1
    return rows, starts, ends, np.array([first(run) for run in range(len(rows))], int)
