"""What the rivals from PyOD share: flat rows in, ``decision_function`` out, seeds in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from adacl.protocols.image.rivals import Fitted, Images, rows

__all__ = ["count_weights", "fit_pyod"]


def fit_pyod(
    make: Callable[[int], Any], parameters: Callable[[Any], int], images: Images, seed: int
) -> Fitted:
    """Fit a detector of PyOD on normal images.

    PyOD draws from the global generators, which are therefore seeded here; a rival runs in a
    process of its own.

    Parameters
    ----------
    make
        Makes the detector for rows of so many numbers.
    parameters
        Counts the numbers that the fitted detector scores with.
    images
        Normal images (N, H, W, C).
    seed
        Seed.
    """
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    data = rows(images)
    detector = make(data.shape[1])
    detector.fit(data)
    return Fitted(lambda test: detector.decision_function(rows(test)), parameters(detector))


def count_weights(*networks: torch.nn.Module) -> int:
    """Return the number of parameters of networks."""
    return sum(weight.numel() for network in networks for weight in network.parameters())
