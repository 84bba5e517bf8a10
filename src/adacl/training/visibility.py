"""Grade the visibility of changes, relative to the variation of normal images.

A change shows where the mean of a few pixels moves, or the mean of many, or the strength of the
texture. Pixels that merely take each other's place within a texture do not: a piece of surface
moved on itself cannot be seen, and a network that is told it is anomalous learns noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adacl.data.samples import Samples
from adacl.imaging.smoothing import box_mean
from adacl.training.some_normals import shown, some_normals

FINE, COARSE, AROUND = 3, 9, 31
"""Sides in pixels of the means that are looked at, and of what they are compared with."""
LEAST_SCALE = 0.008
HALF_SEEN = 2.0
"""Units of a change whose grade is about a half."""


def grade_of(normal: Tensor, changed: Tensor, scales: Tensor) -> Tensor:
    """Return how visible the change of each pixel is (N, 1, H, W), in [0, 1).

    Parameters
    ----------
    normal, changed
        Images (N, C, H, W) in [0, 1], before and after.
    scales
        From :func:`learn_scales`.
    """
    distances = [
        (after - before).abs().amax(1, keepdim=True) / scale
        for before, after, scale in zip(
            _looks(normal), _looks(changed), scales.tolist(), strict=True
        )
    ]
    return torch.tanh((torch.stack(distances).amax(0) / HALF_SEEN) ** 2)


@torch.inference_mode()
def learn_scales(samples: Samples, shrink: int = 1) -> Tensor:
    """Return how far fine means, coarse means and texture vary around a pixel, (3,).

    Each is the mean absolute distance from the surroundings, over some of the normal images, as
    they are shrunk.
    """
    rows = []
    for image, look in some_normals(samples, shrink):
        distances = [(means - box_mean(means, AROUND)).abs() for means in _looks(image)]
        rows.append([float(shown(distance, look).mean()) for distance in distances])
    return torch.tensor(rows).mean(0).clamp(min=LEAST_SCALE)


def _looks(images: Tensor) -> list[Tensor]:
    coarse = box_mean(images, COARSE)
    return [box_mean(images, FINE), coarse, box_mean((images - coarse).abs(), COARSE)]
