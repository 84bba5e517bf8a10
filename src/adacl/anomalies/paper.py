"""Anomalies made from normal images: cut-paste, puzzling, rotation, mix-up (paper, 3.2.3).

Cut-paste, puzzling and rotation only move pixels, so each of them maps pixels to source pixels
and needs no interpolation.

Non-square images: rotation and mix-up turn the largest square that fits, at a random place
along the longer side, and leave the rest as it is. Turning the whole image would need a
resize, whose blur would betray every made anomaly to the network.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from adacl.anomalies.drawing import (
    below,
    check_range,
    choose,
    everywhere,
    patch_sizes,
    pixel_grid,
    rectangles,
    take,
    uniform,
)
from adacl.anomalies.registry import Changed
from adacl.config.sections import Interval
from adacl.errors import ConfigError


def cut_paste(
    images: Tensor,
    generator: torch.Generator,
    area: Interval = (0.1, 0.5),
    aspect: Interval = (0.3, 3.3),
) -> Changed:
    """Copy a random rectangle to a random other place of the same image.

    Parameters
    ----------
    images
        Batch (N, C, H, W) in [0, 1].
    generator
        Source of randomness, on the device of ``images``.
    area
        Range of the rectangle's share of the image, drawn uniformly; within (0, 1).
    aspect
        Range of its width over its height, drawn log-uniformly.

    Returns
    -------
    Changed
    """
    height, width = images.shape[-2:]
    patch_h, patch_w = patch_sizes(images, generator, area, aspect)
    whole = (patch_h >= height) & (patch_w >= width)
    patch_w = torch.where(whole, patch_w - 1, patch_w)
    free_h, free_w = height - patch_h + 1, width - patch_w + 1
    source = below(free_h * free_w, generator)
    other = below(free_h * free_w - 1, generator)
    target = other + (other >= source)

    free_w = free_w.long()
    inside = rectangles(images, target // free_w, target % free_w, patch_h, patch_w)
    down = (target // free_w - source // free_w).view(-1, 1, 1)
    right = (target % free_w - source % free_w).view(-1, 1, 1)
    rows, columns = pixel_grid(images)
    anomalies = take(images, rows - down * inside, columns - right * inside)
    return Changed(anomalies, inside.unsqueeze(1))


def puzzling(images: Tensor, generator: torch.Generator) -> Changed:
    """Shuffle the quarters of each image, never back to the original order.

    With an odd height or width the middle row or column stays where it is.

    Parameters
    ----------
    images
        Batch (N, C, H, W) in [0, 1].
    generator
        Source of randomness, on the device of ``images``.

    Returns
    -------
    Changed
    """
    count, _, height, width = images.shape
    half_h, half_w = height // 2, width // 2
    shift_h, shift_w = height - half_h, width - half_w
    orders = torch.tensor(list(itertools.permutations(range(4)))[1:], device=images.device)
    draws = torch.randint(len(orders), (count,), generator=generator, device=images.device)
    order = orders[draws]

    rows, columns = pixel_grid(images)
    lower, right = rows >= shift_h, columns >= shift_w
    middle = ((rows >= half_h) & ~lower) | ((columns >= half_w) & ~right)
    quarter = (2 * lower + 1 * right).view(1, -1).expand(count, -1)
    source = order.gather(1, quarter).view(count, height, width)
    source_rows = rows - shift_h * lower + shift_h * (source // 2)
    source_columns = columns - shift_w * right + shift_w * (source % 2)
    anomalies = take(
        images,
        torch.where(middle, rows, source_rows),
        torch.where(middle, columns, source_columns),
    )
    moved = ~middle & (source != quarter.view_as(source))
    return Changed(anomalies, moved.unsqueeze(1))


def rotation(images: Tensor, generator: torch.Generator, turns: Sequence[int] = (1, 3)) -> Changed:
    """Rotate each image by a random choice of quarter turns.

    Parameters
    ----------
    images
        Batch (N, C, H, W) in [0, 1]. Of a non-square image the largest square is turned, at
        a random place along the longer side.
    generator
        Source of randomness, on the device of ``images``.
    turns
        Numbers of counter-clockwise quarter turns to choose from; none is a multiple of 4.

    Returns
    -------
    Changed
    """
    if not isinstance(turns, Sequence) or not turns or not all(map(_turns_around, turns)):
        raise ConfigError(f"turns: need whole numbers that are no multiples of 4, got {turns}")
    count, _, height, width = images.shape
    side = min(height, width)
    turn = choose(turns, count, generator).view(-1, 1, 1) % 4
    room = torch.full((count,), abs(height - width) + 1, device=images.device)
    offset = below(room, generator).view(-1, 1, 1)
    top, left = (offset, 0 * offset) if height > width else (0 * offset, offset)

    rows, columns = pixel_grid(images)
    i, j = rows - top, columns - left
    inside = (i >= 0) & (i < side) & (j >= 0) & (j < side)
    last = side - 1
    source_i = torch.where(turn == 1, j, torch.where(turn == 2, last - i, last - j))
    source_j = torch.where(turn == 1, last - i, torch.where(turn == 2, last - j, i))
    moved = inside & (turn != 0)
    anomalies = take(
        images,
        torch.where(moved, source_i + top, rows),
        torch.where(moved, source_j + left, columns),
    )
    return Changed(anomalies, moved.unsqueeze(1))


def _turns_around(turn: object) -> bool:
    return isinstance(turn, int) and turn % 4 != 0


def mix_up(
    images: Tensor,
    generator: torch.Generator,
    rotated: Interval = (0.3, 0.7),
    original: Interval | None = None,
    turns: Sequence[int] = (1, 3),
) -> Changed:
    """Add a rotated copy to each image, each multiplied by its coefficient.

    Parameters
    ----------
    images
        Batch (N, C, H, W) in [0, 1].
    generator
        Source of randomness, on the device of ``images``.
    rotated
        Range of the rotated copy's coefficient, drawn uniformly.
    original
        Range of the original's coefficient; by default the two coefficients add up to 1.
    turns
        As for :func:`rotation`.

    Returns
    -------
    Changed
        Clipped to [0, 1].
    """
    check_range("rotated", rotated)
    count = len(images)
    of_rotated = uniform(rotated, count, generator).view(-1, 1, 1, 1)
    if original is None:
        of_original = 1 - of_rotated
    else:
        check_range("original", original)
        of_original = uniform(original, count, generator).view(-1, 1, 1, 1)
    turned, mask = rotation(images, generator, turns)
    anomalies = (of_original * images + of_rotated * turned).clamp_(0, 1)
    return Changed(anomalies, mask if original is None else everywhere(images))
