"""Shapes of local anomalies: where an image is changed, and how much, as soft masks.

All shapes of a batch are drawn at once, each in its own coordinates: *along* and *across*, in
pixels, from the shape's centre and turned by its angle. A mask is a smooth step over the signed
distance to the rim, so thin shapes are dimmer than thick ones of the same opacity, as they are in
photographs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from adacl.anomalies.drawing import below, uniform

SMALLEST_RADIUS = 2.5
LARGEST_RADIUS = 0.3
"""Of compact shapes, in parts of the shorter side: an ellipse covers a quarter at most."""
ASPECT = 3.0
RIM = (0.4, 3.0)
"""Softness of the rim in pixels."""
SHORTEST_SCAR, LONGEST_SCAR = 10.0, 1.2
"""Length in pixels, and in parts of the shorter side."""
SCAR_WIDTH = (0.5, 3.0)
"""Half the width of a scar in pixels."""
SCAR_RIM = 0.8
WALK = 64
"""Points of the random walk that a scar follows."""
SMOOTH, CALM = 11, 0.7
"""Points that a walk is averaged over, twice, and the share of scars of which it is."""
BESIDE, ANYWHERE = 8, 0.1
"""How far in pixels the middle of a shape may lie beside a part, and the share of shapes that may
lie anywhere."""
HARMONICS = (0.45, 0.35, 0.3, 0.2, 0.15, 0.1)
"""Largest amplitudes of a blob's rim, from two lobes upwards, in parts of its radius."""


class _Frame(NamedTuple):
    """Coordinates (N, H, W) in pixels from each shape's centre, and its half axes (N, 1, 1)."""

    along: Tensor
    across: Tensor
    length: Tensor
    width: Tensor
    side: int


def _rectangle(frame: _Frame, generator: torch.Generator) -> Tensor:
    return torch.maximum(frame.along.abs() - frame.length, frame.across.abs() - frame.width)


def _ellipse(frame: _Frame, generator: torch.Generator) -> Tensor:
    radius = torch.hypot(frame.along / frame.length, frame.across / frame.width)
    return (radius - 1) * torch.minimum(frame.length, frame.width)


def _blob(frame: _Frame, generator: torch.Generator) -> Tensor:
    along, across = frame.along / frame.length, frame.across / frame.width
    angle = torch.atan2(across, along)
    rim = torch.ones_like(angle)
    for lobes, most in enumerate(HARMONICS, start=2):
        size, phase = (
            uniform(interval, len(angle), generator).view(-1, 1, 1)
            for interval in ((0, most), (0, 2 * math.pi))
        )
        rim += size * torch.cos(lobes * angle + phase)
    distance = torch.hypot(along, across) - rim.clamp(min=0.25)
    return distance * torch.minimum(frame.length, frame.width)


def _scar(frame: _Frame, generator: torch.Generator) -> Tensor:
    count = len(frame.along)
    lengths = (math.log(SHORTEST_SCAR / 2), math.log(max(LONGEST_SCAR * frame.side, 12) / 2))
    half = uniform(lengths, count, generator).exp().view(-1, 1, 1)
    thick = uniform((math.log(SCAR_WIDTH[0]), math.log(SCAR_WIDTH[1])), count, generator).exp()
    steps = torch.randn((count, WALK), generator=generator, device=generator.device)
    walk = steps.cumsum(1)
    smooth = functional.avg_pool1d(walk.unsqueeze(1), SMOOTH, 1, SMOOTH // 2, False, False)
    smooth = functional.avg_pool1d(smooth, SMOOTH, 1, SMOOTH // 2, False, False).squeeze(1)
    calm = uniform((0, 1), count, generator).view(-1, 1) < CALM
    walk = torch.where(calm, smooth, walk)
    walk -= torch.linspace(0, 1, WALK, device=walk.device) * walk[:, -1:]
    bend = uniform((0.05, 0.5), count, generator) / math.sqrt(WALK)
    walk = walk * bend[:, None] * half.view(-1, 1)
    position = (frame.along / half + 1) / 2 * (WALK - 1)
    before = position.clamp(0, WALK - 2).floor()
    index = before.long().flatten(1)
    low, high = (walk.gather(1, index + step).view_as(position) for step in (0, 1))
    middle = low + (high - low) * (position - before).clamp(0, 1)
    slope = (high - low) * (WALK - 1) / (2 * half)
    distance = (frame.across - middle).abs() / (1 + slope**2).sqrt() - thick.view(-1, 1, 1)
    return torch.maximum(distance, frame.along.abs() - half)


SHAPES: dict[str, Callable[[_Frame, torch.Generator], Tensor]] = {
    "blob": _blob,
    "ellipse": _ellipse,
    "rectangle": _rectangle,
    "scar": _scar,
}
"""Name of a shape to the function that returns its signed distance (N, H, W), in pixels."""


def draw_shapes(
    count: int,
    size: tuple[int, int],
    weights: Mapping[str, float],
    generator: torch.Generator,
    part: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw one shape for each image.

    Parameters
    ----------
    count
        Number of shapes N.
    size
        Height and width of the images in pixels.
    weights
        Name of a shape in ``SHAPES`` to its share.
    generator
        Source of randomness; the masks are on its device.
    part
        Where a part is (N, 1, H, W): nine shapes in ten have their middle there or close by.

    Returns
    -------
    masks, scars
        How much each pixel belongs to the shape (N, 1, H, W), in [0, 1], and whether the shape is
        a scar (N,).
    """
    height, width = size
    side = min(size)
    device = generator.device
    names = sorted(name for name, weight in weights.items() if weight > 0)
    shares = torch.tensor([float(weights[name]) for name in names], device=device)
    drawn = shares.multinomial(count, replacement=True, generator=generator)
    row, column = (uniform((0, extent), count, generator).view(-1, 1, 1) for extent in size)
    if part is not None:
        row, column = _moved_to(part, row, column, generator)
    angle = uniform((0, math.pi), count, generator).view(-1, 1, 1)
    radii = (math.log(SMALLEST_RADIUS), math.log(max(LARGEST_RADIUS * side, 2 * SMALLEST_RADIUS)))
    radius = uniform(radii, count, generator).exp()
    aspect = uniform((-math.log(ASPECT), math.log(ASPECT)), count, generator).exp().sqrt()
    rim = uniform((math.log(RIM[0]), math.log(RIM[1])), count, generator).exp()
    down = torch.arange(height, device=device).view(1, -1, 1) - row
    right = torch.arange(width, device=device).view(1, 1, -1) - column
    along = right * angle.cos() + down * angle.sin()
    across = down * angle.cos() - right * angle.sin()
    length, breadth = (radius * aspect).view(-1, 1, 1), (radius / aspect).view(-1, 1, 1)
    distance = torch.empty_like(along)
    for index, name in enumerate(names):
        chosen = (drawn == index).nonzero().squeeze(1)
        if len(chosen):
            frame = _Frame(along[chosen], across[chosen], length[chosen], breadth[chosen], side)
            distance[chosen] = SHAPES[name](frame, generator)
    scars = drawn == (names.index("scar") if "scar" in names else -1)
    rim = torch.where(scars, rim.clamp(max=SCAR_RIM), rim)
    return torch.sigmoid(-2 * distance / rim.view(-1, 1, 1)).unsqueeze(1), scars


def draw_ends(part: Tensor, generator: torch.Generator) -> Tensor:
    """Draw all that lies beyond a line through each part (N, 1, H, W), as soft masks like it."""
    count, _, height, width = part.shape
    row, column = (uniform((0, size), count, generator).view(-1, 1, 1) for size in (height, width))
    row, column = _moved_to(part, row, column, generator)
    angle = uniform((0, 2 * math.pi), count, generator).view(-1, 1, 1)
    rim = uniform((math.log(RIM[0]), math.log(RIM[1])), count, generator).exp()
    down = torch.arange(height, device=part.device).view(1, -1, 1) - row
    right = torch.arange(width, device=part.device).view(1, 1, -1) - column
    beyond = right * angle.cos() + down * angle.sin()
    return torch.sigmoid(2 * beyond / rim.view(-1, 1, 1)).unsqueeze(1)


def _moved_to(
    part: Tensor, row: Tensor, column: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return middles (N, 1, 1) of which most are on a part (N, 1, H, W) or close by.

    Those of images that do not show the part stay where they are.
    """
    count, width = len(part), part.shape[-1]
    passed = part.flatten(1).cumsum(1)
    pixels = passed[:, -1]
    shown = pixels > 0
    place = torch.searchsorted(passed, below(pixels.clamp(min=1), generator)[:, None] + 1)
    beside = uniform((-BESIDE, BESIDE), 2 * count, generator).view(2, count, 1, 1)
    moved = (shown & (uniform((0, 1), count, generator) >= ANYWHERE)).view(-1, 1, 1)
    place = place.view(-1, 1, 1)
    row = torch.where(moved, place // width + beside[0], row)
    return row, torch.where(moved, place % width + beside[1], column)
