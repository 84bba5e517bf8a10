"""See each place relative to its surroundings, so that the light hardly matters."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from adacl.networks.architecture import CELL, CELLS, LEAST_SPREAD


def local_contrast(images: Tensor, deviation: float) -> Tensor:
    """Return how far each place lies above its surroundings, in units of their spread.

    A factor and an offset of the light, which the whole image or a part of it has, cancel out,
    except where the spread is small.

    Parameters
    ----------
    images
        N x C x H x W.
    deviation
        Standard deviation within normal images.
    """
    apart = images - _around(images)
    spread = _around(apart.square().mean(1, keepdim=True))
    return apart / (spread + (LEAST_SPREAD * deviation) ** 2).sqrt()


def _around(images: Tensor) -> Tensor:
    """Return the mean of what surrounds each place."""
    height, width = images.shape[-2:]
    rim = [0, -width % CELL, 0, -height % CELL]
    cells = functional.avg_pool2d(functional.pad(images, rim, mode="reflect"), CELL)
    means = functional.avg_pool2d(cells, CELLS, 1, CELLS // 2, count_include_pad=False)
    large = functional.interpolate(means, scale_factor=CELL, mode="bilinear", align_corners=False)
    return large[..., :height, :width]
