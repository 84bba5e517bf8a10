"""Squares cut out of normal images, at random places, scales, contrasts and poses."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from adacl.config import Config
from adacl.data.samples import Samples
from adacl.imaging.mask import FILL, Mask
from adacl.imaging.reflection import reflected
from adacl.imaging.smoothing import box_mean, shrunk
from adacl.networks.dense import coordinates
from adacl.training import foreground

SCALE, DETAIL = 0.22, 0.35
"""Natural logarithms of the largest factors of scale and of local contrast."""
BROAD = 15
"""Side in pixels of the mean that local contrast is about."""


class Cuts(NamedTuple):
    """Squares of images, and planes (N, 1, S, S) of what is where in them.

    Parameters
    ----------
    images
        (N, C, S, S).
    part
        Where most changes are made: on the part and inside the mask; None is anywhere.
    look
        Where the mask looks; elsewhere nothing is changed nor learnt. None is everywhere.
    """

    images: Tensor
    part: Tensor | None
    look: Tensor | None = None


def take_crops(
    samples: Samples, config: Config, rng: np.random.Generator, part: float | None = None
) -> Cuts:
    """Cut a square at a random place out of each image.

    Parameters
    ----------
    samples
        Normal images of any sizes, in the order in which they are cut.
    config
        ``training.crop`` is the side of the squares, once they are shrunk by ``network.shrink``,
        ``training.vary`` how far their scale and their local contrast vary. With
        ``training.mirror`` half of them are mirrored left to right and, unless the network is told
        places, half of them upside down; with ``training.turned`` they are turned by quarters, and
        half of them by up to ``training.tilt`` degrees.
        ``network.place`` tells whether two channels say where in the image they are.
    rng
        Source of randomness.
    part
        What tells a part from its background, as in :class:`adacl.training.crops.Pixels`.

    Returns
    -------
    Cuts
        Images (N, C, S, S) in [0, 1], with the coordinates as two more channels. Images that are
        smaller than the square are continued by their reflection.
    """
    side, vary, channels = config.training.crop, config.training.vary, samples.spec.channels
    shrink = config.network.shrunk
    told = config.network.place == "coordinates"
    crops = []
    for image in samples:
        cut = round(side * math.exp(rng.uniform(-SCALE, SCALE) * vary))
        span = cut * shrink
        rows, columns = _place(image.shape[:2], span, samples.mask, rng)
        pixels = np.ascontiguousarray(image[rows[:, None], columns])[None]
        crop = samples.spec.to_tensor(pixels, torch.device("cpu")).contiguous()
        planes = []
        if samples.mask:
            look = torch.from_numpy(samples.mask.at(image.shape[:2], rows, columns))[None, None]
            crop = torch.where(look, crop[:, :channels], FILL)
            planes.append(look.to(crop))
        if samples.mask or part is not None:
            planes.append(foreground.shown(image, samples.spec, part, samples.mask, rows, columns))
        crop = torch.cat([crop, *planes], 1)
        if config.training.tilt and rng.random() < 0.5:
            crop = _tilted(crop, rng.uniform(-1, 1) * config.training.tilt)
        if told:
            crop = torch.cat([crop, coordinates(image.shape[:2], rows, columns)], 1)
        crop = shrunk(crop, shrink)
        if cut != side:
            size = (side, side)
            crop = functional.interpolate(crop, size, mode="bilinear", antialias=True)
        if vary:
            crop = _contrasted(crop, channels, math.exp(rng.uniform(-DETAIL, DETAIL) * vary))
        for axis in (-1,) if told else (-1, -2):
            if config.training.mirror and rng.random() < 0.5:
                crop = crop.flip(axis)
        if config.training.turned == "yes":
            crop = crop.rot90(int(rng.integers(4)), (-2, -1))
        crops.append(crop)
    found = torch.cat(crops)
    count = 2 if samples.mask else int(part is not None)
    if not count:
        return Cuts(found, None)
    where = found[:, channels : channels + count, None] > 0.5
    images = torch.cat([found[:, :channels], found[:, channels + count :]], 1)
    return Cuts(images, where[:, -1], where[:, 0] if samples.mask else None)


def _place(
    size: tuple[int, int], span: int, mask: Mask | None, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the rows and columns of a square; one of which a mask hides all is drawn again.

    The second is around one of the pixels looked at: those may be few and far apart.
    """
    extents = [reflected(extent, span) for extent in size]
    if mask is None:
        rows, columns = (_cut(pixels, span, rng) for pixels in extents)
        return rows, columns
    boxes = mask.box(*size)
    for _ in range(2):
        rows, columns = (
            _cut(pixels, span, rng, box) for pixels, box in zip(extents, boxes, strict=True)
        )
        if mask.at(size, rows, columns).any():
            break
        boxes = mask.spot(*size, rng)
    return rows, columns


def _cut(
    pixels: NDArray[np.int64],
    side: int,
    rng: np.random.Generator,
    box: tuple[int, int] | None = None,
) -> NDArray[np.int64]:
    """Draw ``side`` pixels of a row, so that those at its ends are seen half as often as others.

    Crops may reach beyond the border by half their side, and are then moved inside. Drawn inside
    the image alone, hardly any would reach a border pixel.
    """
    extent = len(pixels)
    low, high = box or (0, extent)
    first = int(np.clip(rng.integers(low - side // 2, high - side // 2), 0, extent - side))
    return pixels[first : first + side]


def _tilted(crop: Tensor, degrees: float) -> Tensor:
    """Turn a crop around its middle; its corners are continued by reflection."""
    turn = math.radians(degrees)
    cosine, sine = math.cos(turn), math.sin(turn)
    matrix = torch.tensor([[[cosine, -sine, 0.0], [sine, cosine, 0.0]]])
    grid = functional.affine_grid(matrix, list(crop.shape), align_corners=False)
    return functional.grid_sample(crop, grid, padding_mode="reflection", align_corners=False)


def _contrasted(crop: Tensor, channels: int, factor: float) -> Tensor:
    """Multiply by a factor what the first channels differ from the mean around each pixel."""
    pixels = crop[:, :channels]
    smooth = box_mean(pixels, BROAD)
    contrasted = (smooth + factor * (pixels - smooth)).clamp(0, 1)
    return torch.cat([contrasted, crop[:, channels:]], 1)
