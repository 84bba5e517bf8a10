"""Tell whether parts are to be turned upright, and how, from the normal images alone."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from adacl.data.samples import Samples, release
from adacl.errors import InputError
from adacl.imaging.frame import FINE, Frame
from adacl.imaging.smoothing import shrunk
from adacl.imaging.spec import Array, ImageSpec
from adacl.networks.upright import part_of, pose_of, upright
from adacl.training import foreground

log = logging.getLogger("adacl")

MARGIN = 0.08
"""Of the longer side of what is seen, all around the largest part."""
SCATTERED, ALIKE = 0.3, 0.5
"""Parts are turned upright if the places that they cover differ by more than the first, and then by
no more than the second of that. Parts in one place have 0.00 (bottles), screws that lie at any
angle 0.57 and 0.66 before, and 0.06 and 0.09 after."""
BETWEEN = 0.43
"""Between two stored values, where the limit lies, so that no mean of a few pixels is as far."""
SIDE = 32
SOME = 128
KEPT = 1 << 28
"""Bytes of images that are kept once they are turned; further ones are turned each time."""


class Upright(NamedTuple):
    """How parts are turned upright.

    Parameters
    ----------
    limit
        From which distance to the tone of the border on a pixel belongs to the part.
    frame
        What is seen of a part.
    shrink
        By which the images are shrunk before.
    """

    limit: float
    frame: Frame
    shrink: int

    def of(self, samples: Samples, kept: int = KEPT) -> Samples:
        """Return the samples, turned upright when they are asked for; ``kept`` bytes are kept."""
        height, width = self.frame.size
        spec = replace(samples.spec, height=height, width=width)
        return Samples(_TurnedUpright(samples, self, kept), spec, numbers=samples.numbers)


class _TurnedUpright:
    """Images by number, turned upright."""

    def __init__(self, samples: Samples, way: Upright, kept: int) -> None:
        self.pixels, self.spec, self.way = samples.pixels, samples.spec, way
        self.made: dict[int, Array] = {}
        self.room = kept

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, number: Any) -> Any:
        number = int(number)
        if number in self.made:
            return self.made[number]
        image = self.spec.to_tensor(self.pixels[number][None], torch.device("cpu"))
        release(self.pixels)
        image = shrunk(image, self.way.shrink)
        pixels = upright(image, pose_of(image, self.way.limit), self.way.frame)
        turned = _stored(pixels, self.spec)
        if turned.nbytes <= self.room:
            self.made[number] = turned
            self.room -= turned.nbytes
        return turned


def learn_way(samples: Samples, shrink: int = 1, least: int = 1) -> Upright:
    """Learn from normal images, as they are shrunk, how parts are turned upright.

    No side of what is seen has less than ``least`` pixels.

    Raises
    ------
    InputError
        If they show no part on a plain background.
    """
    limit = foreground.learn_limit(samples)
    if limit is None:
        raise InputError(
            "network.upright: the images show no part on a plain background; use no or auto"
        )
    return _way(samples, limit, shrink, least)


def _way(samples: Samples, limit: float, shrink: int = 1, least: int = 1) -> Upright:
    """Return how parts are turned that differ from the background by more than a limit."""
    if samples.spec.dtype != "float32":
        steps = samples.spec.high - samples.spec.low
        limit = (math.floor(limit * steps) + BETWEEN) / steps
    some = _images(samples.thinned(SOME))
    extents = np.array([_extents(shrunk(image, shrink), limit) for image in some])
    above, below, left, right = extents.max(0)
    margin = max(MARGIN * max(above + below, left + right), least / 2)
    frame = Frame(*(math.ceil(extent + margin) for extent in (above, below, left, right)))
    return Upright(limit, frame, shrink)


def wanted(samples: Samples) -> Upright | None:
    """Return how parts are turned upright, if they lie at any angle and have an axis.

    Their axis is looked at alone: images of upright parts have to differ by half of what the others
    do, or less.
    """
    limit = foreground.learn_limit(samples)
    if limit is None:
        return None
    way = _way(samples, limit)
    some = samples.thinned(SOME)
    before, after = (_differ(images, way.limit) for images in (some, way.of(some, kept=0)))
    found = before > SCATTERED and after <= ALIKE * before
    log.info(
        "parts are %s (the places that they cover differ by %.2f, and by %.2f once turned; they "
        "are turned above %.1f, if that halves it)",
        "turned upright before they are judged" if found else "judged as they lie, not turned",
        before,
        after,
        SCATTERED,
    )
    return way if found else None


def _differ(samples: Samples, limit: float) -> float:
    """Return how much the places that parts cover differ: 0 is not at all, 1 is as by chance."""
    covers = torch.empty(len(samples), SIDE, SIDE)
    for cover, image in zip(covers, _images(samples), strict=True):
        part = part_of(image, limit).float()
        cover.copy_(functional.adaptive_avg_pool2d(part, (SIDE, SIDE))[0])
    share = covers.mean()
    return float(covers.var(0).mean() / (share * (1 - share)).clamp(min=1e-9))


def _extents(image: torch.Tensor, limit: float) -> list[float]:
    """Return how far a part reaches before and after its centre, along and across its axis."""
    step = max(1, min(image.shape[-2:]) // FINE)
    pose = pose_of(image, limit)
    rows, columns = part_of(image[..., ::step, ::step], limit)[0].nonzero(as_tuple=True)
    down, right = rows * step - pose.row, columns * step - pose.column
    along = down * pose.down + right * pose.right
    beside = right * pose.down - down * pose.right
    ends = (-along.min(), along.max(), -beside.min(), beside.max())
    return [float(end) for end in ends]


def _images(samples: Samples) -> Iterator[torch.Tensor]:
    return samples.batches(torch.device("cpu"), 1)


def _stored(pixels: torch.Tensor, spec: ImageSpec) -> Array:
    """Return network input (1, C, H, W) as it is stored, H x W x C."""
    values = pixels[0].permute(1, 2, 0).numpy() * (spec.high - spec.low) + spec.low
    if spec.dtype == "float32":
        return values.astype(np.float32)
    return values.round().astype(spec.dtype)
