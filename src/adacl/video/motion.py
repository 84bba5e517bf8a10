"""Which tiles of a frame show something that moves.

The paper trains on tiles with pedestrians and tests on tiles with pedestrians or other objects
(4.2), but does not say how these are found. Here a tile is kept where its mean absolute
difference, to an earlier frame or to a background, exceeds a threshold that is fixed on training
footage alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.errors import DataError
from adacl.imaging.tiles import Tiling

Image = NDArray[np.uint8]
Energies = NDArray[np.float64]

STEP = 0.5
"""Grey levels."""
OFFSET = 0.1
BINS = 256


@dataclass
class FrameDifference:
    """Difference, in grey levels, to the frame ``lag`` frames earlier."""

    lag: int
    _earlier: deque[Image] = field(default_factory=deque, init=False, repr=False)

    def difference(self, image: Image) -> Image | None:
        """Return the difference H x W to a frame H x W x 1, None for the first ``lag`` frames."""
        self._earlier.append(image[..., 0])
        if len(self._earlier) <= self.lag:
            return None
        return _distance(self._earlier[-1], self._earlier.popleft())


@dataclass
class Background:
    """Difference to a background that creeps towards every frame (an approximate median).

    Each pixel of the background moves by up to ``STEP`` towards the frame, so what stays for long
    becomes background, and what passes does not.
    """

    _background: NDArray[np.float32] | None = field(default=None, init=False, repr=False)

    def difference(self, image: Image) -> Image | None:
        """Return the difference H x W to a frame H x W x 1, None for the first frame."""
        grey = image[..., 0]
        if self._background is None:
            self._background = grey.astype(np.float32)
            return None
        found = _distance(grey, self._background.round().astype(np.uint8))
        self._background += np.clip(grey - self._background, -STEP, STEP)
        return found


def tile_energy(difference: Image, tiling: Tiling) -> Energies:
    """Return the mean difference (T,) of each tile of a frame, in the order of its places.

    The frame is not smaller than a tile.
    """
    height, width = difference.shape
    area = np.zeros((height + 1, width + 1), np.int64)
    area[1:, 1:] = difference.astype(np.int64).cumsum(0).cumsum(1)
    top, left = np.array(tiling.corners(height, width)).T
    bottom, right = top + tiling.height, left + tiling.width
    sums = area[bottom, right] - area[top, right] - area[bottom, left] + area[top, left]
    energies: Energies = sums / (tiling.height * tiling.width)
    return energies


def stack_energy(samples: Image) -> Energies:
    """Return the motion energy (S,) of stacks S x H x W x C, on a logarithmic scale.

    It is the mean absolute difference, in grey levels, of the frames in the first and third channel
    to the one between them.
    """
    before, centre, after = (samples[..., channel] for channel in range(3))
    grey = (_distance(before, centre).mean((1, 2)) + _distance(after, centre).mean((1, 2))) / 2
    energies: Energies = np.log(grey + OFFSET)
    return energies


def motion_threshold(energies: NDArray[Any]) -> float:
    """Return the energy that best parts still from moving tiles of training footage (Otsu).

    The two classes are sought on a logarithmic scale, where both are compact.

    Raises
    ------
    DataError
        If all energies are equal, as in footage in which nothing moves.

    References
    ----------
    Otsu: A threshold selection method from gray-level histograms, 1979.
    """
    logarithms = np.log(np.asarray(energies, np.float64).ravel() + OFFSET)
    if not len(logarithms) or np.ptp(logarithms) < 1e-9:
        raise DataError("nothing moves in the training footage; is it the right video?")
    counts, edges = np.histogram(logarithms, BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()[:-1]
    above = counts.sum() - below
    sum_below = (counts * centres).cumsum()[:-1]
    mean_below = sum_below / below
    mean_above = ((counts * centres).sum() - sum_below) / above
    between = below * above * (mean_above - mean_below) ** 2
    best = np.flatnonzero(np.isclose(between, between.max(), rtol=1e-9))
    return float(np.exp(edges[1:-1][best].mean()) - OFFSET)


def _distance(a: Image, b: Image) -> Image:
    distance: Image = np.maximum(a, b) - np.minimum(a, b)
    return distance
