"""Turn a part on a plain background upright: along its axis, about its centre, and back.

The axis is the principal one of the part's pixels, and the end with the longer tail of them comes
first. So a part shows the same in the same place, however it lies; one without an axis of its own
comes out at any angle.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from adacl.imaging.frame import FINE, LEAST_AXIS, LEAST_TAIL, RING, Frame


class Pose(NamedTuple):
    """Where parts lie: row and column of their centres in pixels, and their axes, (N,) each.

    ``down`` and ``right`` are the axis as a vector of length 1.
    """

    row: Tensor
    column: Tensor
    down: Tensor
    right: Tensor


def pose_of(images: Tensor, limit: float) -> Pose:
    """Find the part in each image.

    Parameters
    ----------
    images
        N x C x H x W in [0, 1].
    limit
        From which distance to the median tone of the border on a pixel belongs to the part.

    Returns
    -------
    Pose
        That of the whole image where there is no part.
    """
    step = max(1, min(images.shape[-2:]) // FINE)
    inside = part_of(images[..., ::step, ::step], limit)
    rows, columns = (
        torch.arange(extent, dtype=torch.float64, device=images.device)
        for extent in inside.shape[1:]
    )
    count = inside.sum((1, 2))
    row = (inside.sum(2) @ rows) / count
    column = (inside.sum(1) @ columns) / count
    down = (rows - row[:, None])[:, :, None]
    across = (columns - column[:, None])[:, None, :]
    tall = (inside * down**2).sum((1, 2))
    wide = (inside * across**2).sum((1, 2))
    both = (inside * down * across).sum((1, 2))
    apart = ((wide - tall) ** 2 + 4 * both**2).sqrt().clamp(min=LEAST_AXIS)
    larger = ((1 + (wide - tall).abs() / apart) / 2).sqrt()
    smaller = both.abs() / (apart * larger)
    lying = wide >= tall
    cosine = torch.where(lying, larger, smaller)
    sine = torch.where(lying, smaller, larger) * (1 - 2 * (both < 0).double())
    along = across * cosine[:, None, None] + down * sine[:, None, None]
    cubes = inside * along**3
    longer = cubes.sum((1, 2)) > LEAST_TAIL * cubes.abs().sum((1, 2))
    sign = 1 - 2 * longer.double()
    return Pose(row * step, column * step, sine * sign, cosine * sign)


def part_of(images: Tensor, limit: float) -> Tensor:
    """Return where the part is in each of the images N x C x h x w, (N, h, w) of 0 and 1.

    It is everywhere where there is none.
    """
    wide = max(1, min(images.shape[-2:]) // RING)
    inner = images[..., wide:-wide, :]
    sides = (images[..., :wide, :], images[..., -wide:, :], inner[..., :wide], inner[..., -wide:])
    ring = torch.cat([side.flatten(2) for side in sides], 2)
    tone = ring.sort(2).values[..., ring.shape[2] // 2]
    far = ((images - tone[..., None, None]).abs().amax(1, keepdim=True) > limit).float()
    sure = functional.avg_pool2d(far, 3, 1, 1, count_include_pad=False) > 0.5
    inside = sure[:, 0].double()
    return torch.where(inside.any(2).any(1)[:, None, None], inside, torch.ones_like(inside))


def upright(images: Tensor, pose: Pose, frame: Frame) -> Tensor:
    """Return what is seen of parts that are upright, N x C x h x w; see :class:`Frame`.

    What lies outside an image is continued by its border.
    """
    height, width = frame.size
    rows, columns = _numbers(height, width, images.device)
    along, beside = (rows - frame.above)[:, None], (columns - frame.left)[None, :]
    middle_row, middle_column, down, right = (part[:, None, None] for part in pose)
    where = (
        middle_row + along * down - beside * right,
        middle_column + along * right + beside * down,
    )
    return _sampled(images, *where, "border")


def turned_back(
    maps: Tensor, pose: Pose, frame: Frame, size: tuple[int, int], shrink: int
) -> Tensor:
    """Return maps N x K x h x w of upright parts as maps of their images, N x K x H x W.

    What a map does not show is 0.

    Parameters
    ----------
    maps
        At half the size of ``frame``.
    pose, frame
        As for :func:`upright`.
    size
        Height and width of the images' maps: half of those of the images.
    shrink
        By which the images were shrunk before their pose was found.
    """
    rows, columns = _numbers(*size, maps.device)
    middle_row, middle_column, down, right = (part[:, None, None] for part in pose)
    rows, columns = (((2 * numbers + 1) / shrink - 0.5) for numbers in (rows, columns))
    lower, farther = rows[:, None] - middle_row, columns - middle_column
    along = lower * down + farther * right + frame.above
    beside = farther * down - lower * right + frame.left
    return _sampled(maps, (along - 0.5) / 2, (beside - 0.5) / 2, "zeros")


def _numbers(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    rows = torch.arange(height, dtype=torch.float64, device=device)
    return rows, torch.arange(width, dtype=torch.float64, device=device)


def _sampled(images: Tensor, rows: Tensor, columns: Tensor, beyond: str) -> Tensor:
    """Return images N x C x H x W between their pixels, at rows and columns (N, h, w)."""
    height, width = images.shape[-2:]
    down, right = (
        2 * part / max(1, extent - 1) - 1 for part, extent in ((rows, height), (columns, width))
    )
    grid = torch.stack([right, down], 3).to(images)
    return functional.grid_sample(images, grid, "bilinear", beyond, align_corners=True)
