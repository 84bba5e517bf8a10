"""Labels of normal images and made anomalies (paper, section 3.2.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from adacl.config import LabelConfig


def draw_labels(
    anomalous: Tensor, generator: torch.Generator, config: LabelConfig | None = None
) -> Tensor:
    """Draw one label for each sample, fresh at every call.

    Parameters
    ----------
    anomalous
        Boolean tensor of any shape: whether each sample is an anomaly.
    generator
        Source of randomness, on the device of ``anomalous``.
    config
        Scheme and intervals; the paper's [0, 0.3] and [0.7, 1] by default.

    Returns
    -------
    Tensor
        Float tensor of that shape in [0, 1]: uniform draws from the two intervals with the
        ``continuous`` scheme, 0 and 1 with the ``discrete`` one.
    """
    config = config or LabelConfig()
    if config.scheme == "discrete":
        return anomalous.float()
    draws = torch.rand(anomalous.shape, generator=generator, device=anomalous.device)
    (low, high), (low_made, high_made) = config.normal, config.anomalous
    return torch.where(
        anomalous, low_made + (high_made - low_made) * draws, low + (high - low) * draws
    )
