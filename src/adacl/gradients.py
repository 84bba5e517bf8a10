"""Which pixels the score depends on, from one backward pass through the network."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from adacl.networks import Regressor
from adacl.pixels import Array, ImageSpec

__all__ = ["gradient_maps"]


def gradient_maps(network: Regressor, spec: ImageSpec, samples: Array) -> NDArray[np.float32]:
    """Return the gradient times what stands out from the image's mean, S x H x W.

    Parameters
    ----------
    network
        The network.
    spec
        Form of the samples.
    samples
        S x H x W x C.
    """
    network.eval()
    images = spec.to_tensor(samples, network.mean.device).requires_grad_()
    (gradient,) = torch.autograd.grad(network.raw_score(images).sum(), images)
    with torch.no_grad():
        found = (gradient * (images - images.mean((2, 3), keepdim=True))).sum(1)
    maps: NDArray[np.float32] = found.float().cpu().numpy()
    return maps
