"""Anomaly maps: which places of an image make it anomalous, in units of the raw score.

``occlusion`` covers the image piece by piece with what surrounds the piece, and sees how much
the score falls; any runtime can do that. ``gradient`` estimates the same from one backward
pass, and needs PyTorch. Models of tiles score tiles that overlap far more than for the image's
score, and blend them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from adacl.errors import ConfigError, InputError
from adacl.pixels import Array, ImageSpec
from adacl.tiles import Tiling

__all__ = ["Explainable", "Method", "anomaly_map"]

Method = Literal["occlusion", "gradient"]
Map = NDArray[np.float32]

WINDOWS = (4, 8)
"""Parts of the image's sides that are covered at once, as divisors."""
VALUES = 1 << 21
"""Values that the samples scored at once have, at most: what bounds the memory."""
NORMAL = 0.3
"""Tiles that score lower than this are normal: the top of the labels of normal images."""


class Explainable(Protocol):
    """What scores: a :class:`~adacl.model.Model`, or a :class:`~adacl.runtime.Scorer`."""

    spec: ImageSpec
    tiling: Tiling | None

    def raw(self, samples: Array) -> Array:
        """Return the raw regression (S,) of samples S x H x W x C."""


def anomaly_map(model: Explainable, image: Array, method: Method = "occlusion") -> Map:
    """Return what each pixel contributes to the score of an image.

    Parameters
    ----------
    model
        A model, or a scorer of an exported one.
    image
        H x W x C, stored as ``model.spec`` says. For models of whole images of the size that the
        network takes, for models of tiles of any size.
    method
        ``occlusion``, or ``gradient``, for which PyTorch is needed.

    Returns
    -------
    ndarray
        H x W, in units of the raw score; 0 and below where nothing is anomalous.

    Raises
    ------
    ConfigError
        If the method is not known.
    InputError
        If it is ``gradient`` and the model an exported one.
    """
    if method not in get_args(Method):
        raise ConfigError(f"method {method!r}: need one of {', '.join(get_args(Method))}")
    network = getattr(model, "network", None)
    if method == "gradient" and network is None:
        raise InputError(
            "method gradient: needs a model file and PyTorch, not an exported one; use occlusion"
        )
    if model.tiling is not None:
        return _blended(model, image, model.tiling)
    if network is not None and method == "gradient":
        from adacl.gradients import gradient_maps

        found: Map = gradient_maps(network, model.spec, image[None])[0]
        return found
    return _occlusion(model, image)


def _occlusion(model: Explainable, image: Array) -> Map:
    """Return by how much the score falls when a place is covered, averaged over the covers."""
    height, width = image.shape[:2]
    whole = float(model.raw(image[None])[0])
    total = np.zeros((height, width), np.float32)
    for divisor in WINDOWS:
        window = max(2, height // divisor), max(2, width // divisor)
        places = _places(height, width, window)
        falls = np.zeros((height, width), np.float32)
        times = np.zeros((height, width), np.float32)
        most = max(1, VALUES // image.size)
        for start in range(0, len(places), most):
            some = places[start : start + most]
            covered = np.stack([_covered(image, place, window) for place in some])
            for (top, left), raw in zip(some, model.raw(covered), strict=True):
                here = np.s_[top : top + window[0], left : left + window[1]]
                falls[here] += whole - raw
                times[here] += 1
        total += falls / times
    total /= len(WINDOWS)
    return total


def _places(height: int, width: int, window: tuple[int, int]) -> list[tuple[int, int]]:
    def starts(length: int, side: int) -> list[int]:
        last = length - side
        return sorted({*range(0, last, max(1, side // 2)), last})

    return [(top, left) for top in starts(height, window[0]) for left in starts(width, window[1])]


def _covered(image: Array, place: tuple[int, int], window: tuple[int, int]) -> Array:
    """Return a copy in which a window holds the mean of the pixels around it."""
    (top, left), (height, width) = place, window
    ring = max(1, min(window) // 4)
    above, before = max(0, top - ring), max(0, left - ring)
    around = image[above : top + height + ring, before : left + width + ring]
    inside = image[top : top + height, left : left + width]
    count = around.shape[0] * around.shape[1] - height * width
    mean = (around.sum((0, 1), dtype=float) - inside.sum((0, 1), dtype=float)) / max(1, count)
    found = image.copy()
    found[top : top + height, left : left + width] = mean.astype(image.dtype)
    return found


def _blended(model: Explainable, image: Array, tiling: Tiling) -> Map:
    """Return the scores of overlapping tiles, blended by weights that add up to 1 everywhere."""
    height, width = image.shape[:2]
    short = max(0, tiling.height - height), max(0, tiling.width - width)
    image = np.pad(image, ((0, short[0]), (0, short[1]), (0, 0)), mode="edge")
    step = max(1, min(tiling.height, tiling.width) // 4)
    places = Tiling(tiling.height, tiling.width, step).places(height + short[0], width + short[1])
    rows, columns = _hill(tiling.height), _hill(tiling.width)
    weight = rows[:, None] * columns
    padded = height + short[0], width + short[1]
    total = np.zeros(padded, np.float32)
    for place, raw in _tile_scores(model, image, tiling, places):
        total[_inside(place, tiling)] += (raw - NORMAL) * weight
    total /= _sums(padded[0], rows, {top for top, _ in places})[:, None]
    total /= _sums(padded[1], columns, {left for _, left in places})
    return total[:height, :width]


def _tile_scores(
    model: Explainable, image: Array, tiling: Tiling, places: list[tuple[int, int]]
) -> Iterator[tuple[tuple[int, int], float]]:
    most = max(1, VALUES // (tiling.height * tiling.width * image.shape[2]))
    for start in range(0, len(places), most):
        some = places[start : start + most]
        raw = model.raw(np.stack([image[_inside(place, tiling)] for place in some]))
        yield from zip(some, raw.tolist(), strict=True)


def _inside(place: tuple[int, int], tiling: Tiling) -> tuple[slice, slice]:
    top, left = place
    return slice(top, top + tiling.height), slice(left, left + tiling.width)


def _hill(side: int) -> Map:
    """Return weights (side,) that rise smoothly from near 0 at both ends to 1 in the middle."""
    found: Map = np.sin(np.pi * (np.arange(side) + 0.5) / side).astype(np.float32) ** 2
    return found


def _sums(length: int, weights: Map, starts: set[int]) -> Map:
    """Return the sums (length,) of weights laid at each start."""
    found = np.zeros(length, np.float32)
    for start in starts:
        found[start : start + len(weights)] += weights
    return found
