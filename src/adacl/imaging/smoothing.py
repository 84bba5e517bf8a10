"""The Gaussian that smooths images; at the rim it is the mean of what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["gaussian", "smoothed"]


def gaussian(length: int, deviation: float) -> NDArray[np.float32]:
    """Return the weights (length, length) that pixels along a side have for each other."""
    place = np.arange(length)
    distance = (place[:, None] - place) / deviation
    weights: NDArray[np.float32] = np.exp(-(distance**2) / 2).astype(np.float32)
    return weights


def smoothed(images: Tensor, deviation: float) -> Tensor:
    """Return images N x C x H x W after a Gaussian of a standard deviation in pixels."""
    import torch

    down, across = (
        torch.from_numpy(gaussian(side, deviation)).to(images) for side in images.shape[2:]
    )
    return (down / down.sum(1, keepdim=True)) @ images @ (across / across.sum(0))
