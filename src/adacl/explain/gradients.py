"""Anomaly maps by gradients: the pixels that the score depends on."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from adacl.explain.occlusion import PART
from adacl.imaging.smoothing import smoothed
from adacl.imaging.spec import Array, ImageSpec
from adacl.networks.regressor import Regressor

STEPS = 8
"""Points between the blurred and the sharp image at which the gradient is taken."""
BLUR = 0.05
SPREAD = 0.08
"""Standard deviations of the blur and of the map, in parts of the shorter side."""


def gradient_map(network: Regressor, spec: ImageSpec, image: Array) -> NDArray[np.float32]:
    """Return how much the score would fall, to first order, if each place were blurred, H x W.

    Integrated gradients (Sundararajan, Taly, Yan 2017) from a blurred copy to the image; what
    raises the score is gathered around each pixel, over as much as a faded piece of
    :func:`adacl.explain.occlusion.occlusion_map` covers, so that both maps have the same unit.

    Parameters
    ----------
    network
        The network.
    spec
        Form of the image.
    image
        H x W x C.
    """
    network.eval()
    sharp = spec.to_tensor(image[None], network.mean.device)
    shorter = min(image.shape[:2])
    blurred = smoothed(sharp, BLUR * shorter)
    shares = (torch.arange(STEPS, device=sharp.device) + 0.5) / STEPS
    between = torch.lerp(blurred, sharp, shares[:, None, None, None]).requires_grad_()
    (gradients,) = torch.autograd.grad(network.raw_score(between).sum(), between)
    raised = (
        (gradients.mean(0, keepdim=True) * (sharp - blurred)).sum(1, keepdim=True).clamp_(min=0)
    )
    piece = math.prod(image.shape[:2]) * (2 / math.pi / PART) ** 2
    falls: NDArray[np.float32] = (smoothed(raised, SPREAD * shorter) * piece)[0, 0].cpu().numpy()
    return falls
