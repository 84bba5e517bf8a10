"""The Gaussian that smooths images; at the rim it is the mean of what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["box_mean", "gaussian", "smoothed"]


def gaussian(length: int, deviation: float) -> NDArray[np.float32]:
    """Return the weights (length, length) that pixels along a side have for each other."""
    place = np.arange(length)
    distance = (place[:, None] - place) / deviation
    weights: NDArray[np.float32] = np.exp(-(distance**2) / 2).astype(np.float32)
    return weights


def box_mean(images: Tensor, side: int) -> Tensor:
    """Return the mean of images N x C x H x W over squares of an odd side around each pixel.

    At the rim it is the mean of what is there. Rows and columns come one after the other, which
    is many times faster than a square at once.
    """
    from torch.nn import functional

    rows = functional.avg_pool2d(
        images.contiguous(), (side, 1), 1, (side // 2, 0), count_include_pad=False
    )
    means: Tensor = functional.avg_pool2d(
        rows, (1, side), 1, (0, side // 2), count_include_pad=False
    )
    return means


def smoothed(images: Tensor, deviation: float) -> Tensor:
    """Return images N x C x H x W after a Gaussian of a standard deviation in pixels."""
    import torch

    down, across = (
        torch.from_numpy(gaussian(side, deviation)).to(images) for side in images.shape[2:]
    )
    return (down / down.sum(1, keepdim=True)) @ images @ (across / across.sum(0))
