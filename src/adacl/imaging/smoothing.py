"""Smooth images by Gaussians and box means; at the edge the weights are normalised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def gaussian(length: int, deviation: float) -> NDArray[np.float32]:
    """Return the weights (length, length) that pixels along a side have for each other."""
    index = np.arange(length)
    distance = (index[:, None] - index) / deviation
    weights: NDArray[np.float32] = np.exp(-(distance**2) / 2).astype(np.float32)
    return weights


def box_mean(images: Tensor, side: int) -> Tensor:
    """Return the mean of images N x C x H x W over squares of an odd side around each pixel.

    At the rim it is the mean of what is there.
    """
    height, width = images.shape[-2:]
    sums = _sums(_sums(images, side, -1), side, -2)
    return sums * (_shares(height, side, images).view(-1, 1) * _shares(width, side, images))


def shrunk(images: Tensor, side: int) -> Tensor:
    """Return the means of images N x C x H x W over squares, padding with the edge."""
    from torch.nn import functional

    if side == 1:
        return images
    down, right = (-extent % side for extent in images.shape[-2:])
    return functional.avg_pool2d(functional.pad(images, [0, right, 0, down], "replicate"), side)


def _sums(images: Tensor, side: int, axis: int) -> Tensor:
    """Return sums over ``side`` pixels along an axis, beyond the rim zeros.

    Sums of 2, 4, 8, … pixels are made of two of half the length: several times faster than a
    pooling layer.
    """
    from torch.nn import functional

    extent, rim = images.shape[axis], 2 * [side // 2]
    block = functional.pad(images, rim if axis == -1 else [0, 0, *rim])
    total, start, length = None, 0, 1
    while True:
        if side & length:
            part = block.narrow(axis, start, extent)
            total = part if total is None else total + part
            start += length
        if 2 * length > side:
            assert total is not None
            return total
        rest = block.shape[axis] - length
        block = block.narrow(axis, 0, rest) + block.narrow(axis, length, rest)
        length *= 2


def _shares(extent: int, side: int, like: Tensor) -> Tensor:
    """Return 1 / the number of pixels of a window that lie inside, for every pixel of a side."""
    import torch

    index = torch.arange(extent, device=like.device)
    inside = (index + side // 2).clamp(max=extent - 1) - (index - side // 2).clamp(min=0) + 1
    return 1 / inside.to(like.dtype)


def smoothed(images: Tensor, deviation: float) -> Tensor:
    """Return images N x C x H x W after a Gaussian of a standard deviation in pixels."""
    import torch

    down, across = (
        torch.from_numpy(gaussian(side, deviation)).to(images) for side in images.shape[2:]
    )
    return (down / down.sum(1, keepdim=True)) @ images @ (across / across.sum(0))
