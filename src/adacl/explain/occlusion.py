"""Anomaly maps by occlusion: cover an image piece by piece, and score it again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from adacl.imaging.blending import Blend, Slices
from adacl.imaging.smoothing import gaussian
from adacl.imaging.spec import Array

PART = 6
"""A piece has this part of the image's height and width."""
REACH = 1 / 4
"""How far around a piece its cover is taken from, as a standard deviation, in pieces."""
VALUES = 1 << 21
"""Values that the covered copies scored at once have, at most: what bounds the memory."""

Floats = NDArray[np.float32]


def occlusion_map(raw: Callable[[Array], Array], image: Array) -> Floats:
    """Return how much the score falls when each place is covered, H x W.

    Pieces overlap by half, and are faded into the mean of what surrounds them, weighted by a
    Gaussian: a cover that looks normal where the surroundings do. Where the score rises
    instead, the place was normal and counts as 0.

    Parameters
    ----------
    raw
        Returns the raw regression (S,) of samples S x H x W x C.
    image
        H x W x C.
    """
    height, width = image.shape[:2]
    piece = max(2, round(height / PART)), max(2, round(width / PART))
    blend = Blend((height, width), piece, (piece[0] // 2, piece[1] // 2))
    cover = _Cover(image, blend)
    score = float(raw(image[None])[0])
    for windows in blend.batches(max(1, VALUES // image.size)):
        copies = np.repeat(image[None], len(windows), 0)
        for copy, window in zip(copies, windows, strict=True):
            copy[window] = cover(window)
        for window, covered in zip(windows, raw(copies), strict=True):
            blend.add(window, max(0.0, score - covered))
    return blend.finished()


class _Cover:
    """Fades pieces of an image into their surroundings.

    The Gaussian mean of what is around a piece is that of everything less that of the piece, so
    that the image has to be gone through only once.
    """

    def __init__(self, image: Array, blend: Blend) -> None:
        self.dtype = image.dtype
        self.pixels = image.astype(np.float32)
        self.weight = blend.weight[..., None]
        deviation = REACH * min(blend.window)
        down, across = (gaussian(side, deviation) for side in image.shape[:2])
        self.everything = _spread(down, self.pixels, across)
        self.everywhere = down.sum(1)[:, None] * across.sum(1)
        self.down, self.across = (gaussian(side, deviation) for side in blend.window)
        self.inside = self.down.sum(1)[:, None] * self.across.sum(1)

    def __call__(self, window: Slices) -> Array:
        piece = self.pixels[window]
        around = self.everything[window] - _spread(self.down, piece, self.across)
        around /= (self.everywhere[window] - self.inside)[..., None]
        covered = piece + self.weight * (around - piece)
        if self.dtype.kind == "f":
            return covered
        return covered.round().clip(0, np.iinfo(self.dtype).max).astype(self.dtype)


def _spread(down: Floats, pixels: Floats, across: Floats) -> Floats:
    """Return the weighted sums H x W x C along both sides."""
    planes = (down @ np.moveaxis(pixels, 2, 0) @ across).astype(np.float32, copy=False)
    return np.moveaxis(planes, 0, 2)
