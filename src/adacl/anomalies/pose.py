"""Kinds beyond the paper's that change the pose: flips and shifts of the whole image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from adacl.anomalies.drawing import check_range, choose, everywhere, pixel_grid, take, uniform
from adacl.anomalies.registry import Changed
from adacl.config.sections import Interval
from adacl.errors import ConfigError


def flip(
    images: Tensor, generator: torch.Generator, ways: Sequence[str] = ("left-right", "up-down")
) -> Changed:
    """Mirror each image (N, C, H, W) in a way drawn at random from ``ways``."""
    axes = {"left-right": -1, "up-down": -2}
    if not ways or not set(ways) <= set(axes):
        raise ConfigError(f"ways: need some of {', '.join(axes)}, got {list(ways)}")
    drawn = choose([axes[way] for way in ways], len(images), generator).view(-1, 1, 1, 1)
    flipped = torch.where(drawn == -1, images.flip(-1), images.flip(-2))
    return Changed(flipped, everywhere(images))


def shift(images: Tensor, generator: torch.Generator, by: Interval = (0.15, 0.4)) -> Changed:
    """Move each image (N, C, H, W) in any direction, repeating its rim.

    ``by`` is the range of the distance, in parts of the shorter side, drawn uniformly.
    """
    check_range("by", by, 1)
    count, _, height, width = images.shape
    distance = uniform(by, count, generator) * min(height, width)
    angle = uniform((0, 2 * math.pi), count, generator)
    rows, columns = pixel_grid(images)
    down, right = (
        (distance * part).round().long().view(-1, 1, 1) for part in (angle.sin(), angle.cos())
    )
    rows, columns = (rows - down).clamp(0, height - 1), (columns - right).clamp(0, width - 1)
    return Changed(take(images, rows, columns), everywhere(images))
