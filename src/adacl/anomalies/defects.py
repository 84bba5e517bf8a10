"""Kinds beyond the paper's that are defects of a place: pastes, blur, noise, tone, scars."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from adacl.anomalies.drawing import (
    below,
    check_range,
    choose,
    patch_sizes,
    pixel_grid,
    rectangles,
    uniform,
)
from adacl.anomalies.registry import Changed
from adacl.config.sections import Interval
from adacl.errors import ConfigError
from adacl.imaging.smoothing import smoothed

AREA: Interval = (0.05, 0.3)
ASPECT: Interval = (0.3, 3.3)


def foreign_paste(
    images: Tensor, generator: torch.Generator, area: Interval = AREA, aspect: Interval = ASPECT
) -> Changed:
    """Replace a rectangle of each image (N, C, H, W) by that of another image of the batch.

    A single image has none but itself, moved by half its height and width. ``area`` and ``aspect``
    are those of :func:`adacl.anomalies.cut_paste`.
    """
    inside = _rectangles(images, generator, area, aspect)
    count, _, height, width = images.shape
    if count == 1:
        others = images.roll((height // 2, width // 2), (2, 3))
    else:
        offset = below(torch.full((1,), count - 1, device=images.device), generator)
        others = images.roll(1 + int(offset), 0)
    return Changed(torch.where(inside, others, images), inside)


def blur(
    images: Tensor,
    generator: torch.Generator,
    area: Interval = AREA,
    aspect: Interval = ASPECT,
    radius: float = 0.06,
) -> Changed:
    """Blur a rectangle of each image (N, C, H, W).

    ``radius`` is the standard deviation of the Gaussian, in parts of the shorter side.
    """
    if not 0 < radius < 1:
        raise ConfigError(f"radius: need 0 < radius < 1, got {radius}")
    smooth = smoothed(images, radius * min(images.shape[-2:]))
    inside = _rectangles(images, generator, area, aspect)
    return Changed(torch.where(inside, smooth.clamp(0, 1), images), inside)


def noise(
    images: Tensor,
    generator: torch.Generator,
    area: Interval = AREA,
    aspect: Interval = ASPECT,
    deviation: Interval = (0.1, 0.3),
) -> Changed:
    """Add Gaussian noise to a rectangle of each image (N, C, H, W)."""
    check_range("deviation", deviation)
    inside = _rectangles(images, generator, area, aspect)
    size = uniform(deviation, len(images), generator).view(-1, 1, 1, 1)
    grain = torch.randn(images.shape, generator=generator, device=images.device)
    return Changed(torch.where(inside, (images + size * grain).clamp(0, 1), images), inside)


def tone(
    images: Tensor,
    generator: torch.Generator,
    area: Interval = AREA,
    aspect: Interval = ASPECT,
    by: Interval = (0.15, 0.4),
) -> Changed:
    """Make a rectangle of each image (N, C, H, W) brighter or darker, each channel by itself.

    ``by`` is the range of the change, drawn uniformly.
    """
    check_range("by", by)
    inside = _rectangles(images, generator, area, aspect)
    count = len(images) * images.shape[1]
    change = uniform(by, count, generator) * choose((-1, 1), count, generator)
    return Changed(
        torch.where(inside, (images + change.view(*images.shape[:2], 1, 1)).clamp(0, 1), images),
        inside,
    )


def scar(
    images: Tensor,
    generator: torch.Generator,
    length: Interval = (0.2, 0.7),
    width: Interval = (0.02, 0.06),
) -> Changed:
    """Draw a line of one colour across each image (N, C, H, W), at any place and angle.

    Parameters
    ----------
    images
        Batch (N, C, H, W) in [0, 1].
    generator
        Source of randomness, on the device of ``images``.
    length, width
        Ranges, in parts of the shorter side, drawn uniformly; at least one pixel wide.

    Returns
    -------
    Changed
    """
    check_range("length", length)
    check_range("width", width)
    count, channels, rows_in, columns_in = images.shape
    side = min(rows_in, columns_in)
    angle = uniform((0, math.pi), count, generator).view(-1, 1, 1)
    row, column = (
        uniform((0, size), count, generator).view(-1, 1, 1) for size in (rows_in, columns_in)
    )
    half_length, half_width = (
        (uniform(interval, count, generator) * side / 2).clamp(min=0.5).view(-1, 1, 1)
        for interval in (length, width)
    )
    rows, columns = pixel_grid(images)
    down, right = rows + 0.5 - row, columns + 0.5 - column
    along = (down * angle.sin() + right * angle.cos()).abs()
    across = (down * angle.cos() - right * angle.sin()).abs()
    line = ((along <= half_length) & (across <= half_width)).unsqueeze(1)
    colour = torch.rand((count, channels, 1, 1), generator=generator, device=images.device)
    return Changed(torch.where(line, colour, images), line)


def _rectangles(
    images: Tensor, generator: torch.Generator, area: Interval, aspect: Interval
) -> Tensor:
    """Draw a rectangle in each image and return its mask (N, 1, H, W)."""
    height, width = images.shape[-2:]
    patch_h, patch_w = patch_sizes(images, generator, area, aspect)
    top, left = below(height - patch_h + 1, generator), below(width - patch_w + 1, generator)
    return rectangles(images, top, left, patch_h, patch_w).unsqueeze(1)
