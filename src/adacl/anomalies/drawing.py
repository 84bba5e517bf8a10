"""Helpers that draw anomalies: random numbers, rectangles, grids of pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from adacl.config.sections import Interval
from adacl.errors import ConfigError


def uniform(interval: Interval, count: int, generator: torch.Generator) -> Tensor:
    """Draw numbers (count,) uniformly from an interval."""
    low, high = interval
    draws = torch.rand(count, generator=generator, device=generator.device)
    return low + (high - low) * draws


def check_range(name: str, interval: Interval, below: float = math.inf) -> None:
    """Raise ``ConfigError`` unless an option is an interval of numbers from 0 up to a limit."""
    try:
        low, high = interval
        inside = 0 <= low <= high < below
    except (TypeError, ValueError):
        inside = False
    if not inside:
        limit = f" < {below}" if math.isfinite(below) else ""
        raise ConfigError(f"{name}: need two numbers, 0 <= low <= high{limit}, got {interval}")


def below(limits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw integers uniformly from 0 up to, but not including, each limit."""
    draws = torch.rand(limits.shape, generator=generator, device=generator.device)
    return (draws * limits).long().clamp(max=limits.long() - 1)


def choose(options: Sequence[int], count: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` whole numbers from ``options``, all equally likely."""
    index = torch.randint(len(options), (count,), generator=generator, device=generator.device)
    return torch.tensor(list(options), device=generator.device)[index]


def everywhere(images: Tensor) -> Tensor:
    """Return the mask (N, 1, H, W) of images that are changed as a whole."""
    return torch.ones_like(images[:, :1], dtype=torch.bool)


def pixel_grid(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return row and column numbers, shaped (1, H, 1) and (1, 1, W)."""
    height, width = images.shape[-2:]
    rows = torch.arange(height, device=images.device).view(1, -1, 1)
    return rows, torch.arange(width, device=images.device).view(1, 1, -1)


def take(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Take each output pixel from its source row and column (N, H, W)."""
    count, channels, height, width = images.shape
    index = (rows * width + columns).expand(count, height, width).reshape(count, 1, -1)
    flat = images.reshape(count, channels, -1)
    return flat.gather(2, index.expand(-1, channels, -1)).view(images.shape)


def patch_sizes(
    images: Tensor, generator: torch.Generator, area: Interval, aspect: Interval
) -> tuple[Tensor, Tensor]:
    """Draw the height and width (N,), in whole pixels, of a rectangle in each image.

    ``area`` is its share of the image, drawn uniformly, ``aspect`` its width over its height,
    drawn log-uniformly.
    """
    check_range("area", area, 1)
    check_range("aspect", aspect)
    if not aspect[0] > 0:
        raise ConfigError(f"aspect: need more than 0, got {aspect}")
    count, _, height, width = images.shape
    pixels = uniform(area, count, generator) * height * width
    log_aspect = (math.log(aspect[0]), math.log(aspect[1]))
    ratio = uniform(log_aspect, count, generator).exp()
    patch_h = torch.maximum((pixels / ratio).sqrt(), pixels / width).round().clamp(1, height)
    return patch_h, (pixels / patch_h).round().clamp(1, width)


def rectangles(
    images: Tensor, top: Tensor, left: Tensor, patch_h: Tensor, patch_w: Tensor
) -> Tensor:
    """Return which pixels (N, H, W) lie in the rectangle of each image; all are (N,), in pixels."""
    rows, columns = pixel_grid(images)
    top, left, patch_h, patch_w = (
        part.long().view(-1, 1, 1) for part in (top, left, patch_h, patch_w)
    )
    in_rows = (rows >= top) & (rows < top + patch_h)
    return in_rows & (columns >= left) & (columns < left + patch_w)
