"""Where a part lies on a plain background, told from the normal images alone."""

from __future__ import annotations

import logging
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adacl.data.samples import Samples, release
from adacl.imaging.frame import FINE, RING
from adacl.imaging.mask import Mask
from adacl.imaging.spec import ImageSpec

log = logging.getLogger("adacl")

SOME = 64
PLAIN = 0.1
"""A ring is plain if 95 % of it lie within this of its median. Of the sets at hand the rings of
parts on a table have 0.00 to 0.08, those of surfaces and of parts that fill the image 0.14 or
more."""
LEAST_LIMIT = 0.05
SHARES = (0.02, 0.9)
"""Shares of an image that a part on a background covers."""


def learn_limit(samples: Samples) -> float | None:
    """Return from which distance to the tone of the border on a pixel belongs to the part.

    Parameters
    ----------
    samples
        Normal images of any sizes.

    Returns
    -------
    float or None
        In units of the network's input, [0, 1]; None if the images have no plain background: their
        borders are as varied as surfaces, or hidden by a mask by more than a half, or the part
        would cover hardly anything or everything.
    """
    found = _limit_and_share(samples)
    return None if found is None else found[0]


def on_plain_ground(samples: Samples) -> Samples:
    """Return the samples without what varies around a part: its shadow, and light on the table.

    They are made when they are asked for, and not kept. Images without a plain background are
    returned as they are.
    """
    found = _limit_and_share(samples)
    if found is None:
        return samples
    limit, share = found
    log.info(
        "anomalies are made mostly on the parts (they cover %.0f %% of an image; the rest is plain "
        "background)",
        100 * share,
    )
    return Samples(_OnPlainGround(samples, limit), samples.spec)


class _OnPlainGround:
    """Images by number, of which all but the part has the median tone of the border."""

    def __init__(self, samples: Samples, limit: float) -> None:
        self.samples, self.limit = samples, limit

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: Any) -> Any:
        samples = self.samples
        image = samples.pixels[samples.numbers[number]]
        every = map(np.arange, image.shape[:2])
        inside = shown(image, samples.spec, self.limit, samples.mask, *every)
        tone = np.median(_ring(image, samples.mask), axis=0).astype(image.dtype)
        seen = np.where(inside[0, 0, ..., None].numpy() > 0, image, tone)
        release(samples.pixels)
        return seen


def _limit_and_share(samples: Samples) -> tuple[float, float] | None:
    """Return the limit of :func:`learn_limit`, and the share of an image that the part covers."""
    chosen, mask = samples.thinned(SOME), samples.mask
    if mask is not None and (
        _ring(mask.pixels).mean() < 0.5 or not all(_shows_ring(mask, image) for image in chosen)
    ):
        return None
    rings = np.array(
        [
            np.quantile(
                _distance(_ring(_coarse(image), mask), image, samples.spec, mask), (0.95, 0.99)
            )
            for image in chosen
        ]
    )
    usual, most = np.median(rings, axis=0)
    limit = max(LEAST_LIMIT, 2 * float(most))
    share = float(np.median([part(image, samples.spec, limit, mask).mean() for image in chosen]))
    if usual > PLAIN or not SHARES[0] <= share <= SHARES[1]:
        return None
    return limit, share


def part(
    image: NDArray[np.generic],
    spec: ImageSpec,
    limit: float,
    mask: Mask | None = None,
    at: Any = ...,
) -> NDArray[np.bool_]:
    """Return what belongs to the part (h, w), at a resolution of every n-th pixel, :func:`step`.

    With a mask only what it looks at does. ``at`` indexes what is asked for of it.
    """
    coarse = _coarse(image)
    found: NDArray[np.bool_] = _distance(coarse[at], image, spec, mask) > limit
    return found if mask is None else found & mask.resized(*coarse.shape[:2])[at]


def shown(
    image: NDArray[np.generic],
    spec: ImageSpec,
    limit: float | None,
    mask: Mask | None,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> torch.Tensor:
    """Return what belongs to the part among some rows and columns, 0 or 1 (1, 1, R, C).

    With a mask only what it looks at does; without a limit all of that.
    """
    inside = np.ones((len(rows), len(columns)), bool)
    if limit is not None:
        every = step(image)
        down, row = np.unique(rows // every, return_inverse=True)
        across, column = np.unique(columns // every, return_inverse=True)
        inside = part(image, spec, limit, mask, np.ix_(down, across))[row[:, None], column]
    if mask is not None:
        inside &= mask.at((image.shape[0], image.shape[1]), rows, columns)
    return torch.from_numpy(inside).float()[None, None]


def step(image: NDArray[np.generic]) -> int:
    """Return how many pixels of an image :func:`part` goes on at a time."""
    side: int = min(image.shape[:2])
    return max(1, side // FINE)


def _coarse(image: NDArray[Any]) -> NDArray[Any]:
    every = step(image)
    return image[::every, ::every]


def _distance(
    pixels: NDArray[Any], image: NDArray[Any], spec: ImageSpec, mask: Mask | None
) -> NDArray[np.float32]:
    """Return how far pixels (..., C) of an image are from the median tone of its border (...)."""
    tone = np.median(_in_unit(_ring(_coarse(image), mask), spec), axis=0)
    away = np.abs(_in_unit(pixels, spec) - tone)
    # Several times faster than the maximum along an axis of three.
    return reduce(np.maximum, np.moveaxis(away, -1, 0))


def _in_unit(pixels: NDArray[Any], spec: ImageSpec) -> NDArray[np.float32]:
    """Return the channels of pixels as the network sees them, without its coordinates."""
    values = pixels[..., : spec.channels].astype(np.float32)
    unit: NDArray[np.float32] = ((values - spec.low) / (spec.high - spec.low)).clip(0, 1)
    return unit


def _shows_ring(mask: Mask, image: NDArray[Any]) -> bool:
    """Tell whether a mask, as finely as an image is looked at, shows any of the border's ring."""
    return bool(_ring(mask.resized(*_coarse(image).shape[:2])).any())


def _ring(pixels: NDArray[Any], mask: Mask | None = None) -> NDArray[Any]:
    """Return the pixels (R, ...) along the border of an image (h, w, ...) that a mask looks at."""
    wide = max(1, min(pixels.shape[:2]) // RING)
    inner = pixels[wide:-wide]
    sides = (pixels[:wide], pixels[-wide:], inner[:, :wide], inner[:, -wide:])
    ring = np.concatenate([side.reshape(-1, *pixels.shape[2:]) for side in sides])
    return ring if mask is None else ring[_ring(mask.resized(*pixels.shape[:2]))]
