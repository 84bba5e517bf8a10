"""Anomalies made from normal images: cut-paste, puzzling, rotation, mix-up (paper, 3.2.3).

For stacks of video frames there is one more, skip: the same place at a higher speed. Kinds that
the paper does not have are in :mod:`adacl.further_kinds`.

Each kind is a function of a batch of images, N x C x H x W in [0, 1], and a
``torch.Generator`` on the same device; it returns a new batch of the same form. Cut-paste,
puzzling and rotation only move pixels, so each of them is a map from places to source places
and needs no interpolation.

A further kind takes one function and one registration::

    @register("mirror")
    def mirror(images: Tensor, generator: torch.Generator) -> Tensor:
        return images.flip(-1)

Non-square images: rotation and mix-up turn the largest square that fits, at a random place
along the longer side, and leave the rest as it is. Turning the whole image would need a
resize, whose blur would betray every made anomaly to the network.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from adacl import further_kinds  # noqa: F401  (registers them)
from adacl.config import AnomalyConfig
from adacl.config.method import Interval
from adacl.errors import ConfigError, InputError
from adacl.kinds import (
    KINDS,
    below,
    check_range,
    choose,
    patch_sizes,
    places,
    rectangles,
    register,
    take,
    uniform,
)

__all__ = [
    "KINDS",
    "check_anomaly_config",
    "cut_paste",
    "draw_kinds",
    "make",
    "make_mixture",
    "mix_up",
    "puzzling",
    "register",
    "rotation",
    "skip",
]

SMALLEST_SIDE = 8
MAX_REDRAWS = 4


@register("cut_paste")
def cut_paste(
    images: Tensor,
    generator: torch.Generator,
    area: Interval = (0.1, 0.5),
    aspect: Interval = (0.3, 3.3),
) -> Tensor:
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
    Tensor
        Batch (N, C, H, W) in [0, 1].
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
    rows, columns = places(images)
    return take(images, rows - down * inside, columns - right * inside)


@register("puzzling")
def puzzling(images: Tensor, generator: torch.Generator) -> Tensor:
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
    Tensor
        Batch (N, C, H, W) in [0, 1].
    """
    count, _, height, width = images.shape
    half_h, half_w = height // 2, width // 2
    shift_h, shift_w = height - half_h, width - half_w
    orders = torch.tensor(list(itertools.permutations(range(4)))[1:], device=images.device)
    draws = torch.randint(len(orders), (count,), generator=generator, device=images.device)
    order = orders[draws]

    rows, columns = places(images)
    lower, right = rows >= shift_h, columns >= shift_w
    middle = ((rows >= half_h) & ~lower) | ((columns >= half_w) & ~right)
    quarter = (2 * lower + 1 * right).view(1, -1).expand(count, -1)
    source = order.gather(1, quarter).view(count, height, width)
    source_rows = rows - shift_h * lower + shift_h * (source // 2)
    source_columns = columns - shift_w * right + shift_w * (source % 2)
    return take(
        images,
        torch.where(middle, rows, source_rows),
        torch.where(middle, columns, source_columns),
    )


@register("rotation")
def rotation(images: Tensor, generator: torch.Generator, turns: Sequence[int] = (1, 3)) -> Tensor:
    """Rotate each image by a random choice of quarter turns.

    Parameters
    ----------
    images
        Batch (N, C, H, W) in [0, 1]. Of a non-square image the largest square is turned, at
        a random place along the longer side.
    generator
        Source of randomness, on the device of ``images``.
    turns
        Numbers of counter-clockwise quarter turns to choose from.

    Returns
    -------
    Tensor
        Batch (N, C, H, W) in [0, 1].
    """
    count, _, height, width = images.shape
    side = min(height, width)
    turn = choose(turns, count, generator).view(-1, 1, 1) % 4
    room = torch.full((count,), abs(height - width) + 1, device=images.device)
    offset = below(room, generator).view(-1, 1, 1)
    top, left = (offset, 0 * offset) if height > width else (0 * offset, offset)

    rows, columns = places(images)
    i, j = rows - top, columns - left
    inside = (i >= 0) & (i < side) & (j >= 0) & (j < side)
    last = side - 1
    source_i = torch.where(turn == 1, j, torch.where(turn == 2, last - i, last - j))
    source_j = torch.where(turn == 1, last - i, torch.where(turn == 2, last - j, i))
    moved = inside & (turn != 0)
    return take(
        images,
        torch.where(moved, source_i + top, rows),
        torch.where(moved, source_j + left, columns),
    )


@register("mix_up")
def mix_up(
    images: Tensor,
    generator: torch.Generator,
    rotated: Interval = (0.3, 0.7),
    original: Interval | None = None,
    turns: Sequence[int] = (1, 3),
) -> Tensor:
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
        Numbers of quarter turns to choose from.

    Returns
    -------
    Tensor
        Batch (N, C, H, W), clipped to [0, 1].
    """
    check_range("rotated", rotated)
    count = len(images)
    of_rotated = uniform(rotated, count, generator).view(-1, 1, 1, 1)
    if original is None:
        of_original = 1 - of_rotated
    else:
        check_range("original", original)
        of_original = uniform(original, count, generator).view(-1, 1, 1, 1)
    turned = rotation(images, generator, turns)
    return (of_original * images + of_rotated * turned).clamp_(0, 1)


@register("skip")
def skip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Play each stack of video frames faster: anomalous motion, made from normal motion.

    Parameters
    ----------
    images
        Batch (N, C, H, W) of stacks as :class:`adacl.video.stream.Chunk` lays them out: the frames
        t - k, t, t + k; the place, if it is given (C even); then pairs of frames
        (t - j, t + j) further away, which the network never sees.
    generator
        Source of randomness: one of the pairs is drawn for each sample.

    Returns
    -------
    Tensor
        Batch (N, C, H, W) in which that pair takes the place of (t - k, t + k).

    Raises
    ------
    InputError
        If there is no such pair.
    """
    count, channels = images.shape[:2]
    pairs = (channels - 3) // 2
    if pairs < 1:
        raise InputError(
            f"the kind skip needs stacked video frames, got {channels} channels; use it with "
            "adacl video fit"
        )
    drawn = torch.randint(pairs, (count,), generator=generator, device=images.device)
    before = channels - 2 * (pairs - drawn)
    everyone = torch.arange(count, device=images.device)
    made = images.clone()
    made[:, 0] = images[everyone, before]
    made[:, 2] = images[everyone, before + 1]
    return made


def _barely_changed(images: Tensor, made: Tensor) -> Tensor:
    """Tell which samples differ from the original on less than 0.5 % of their pixels.

    A pixel counts as different where a channel moved by more than a tenth of the image's own
    range of values.
    """
    tenth = (images.amax((1, 2, 3)) - images.amin((1, 2, 3))).view(-1, 1, 1, 1) / 10
    moved = ((made - images).abs() > tenth).any(dim=1)
    return moved.float().mean(dim=(1, 2)) < 0.005


def make(kind: str, images: Tensor, generator: torch.Generator, **options: object) -> Tensor:
    """Make one kind of anomaly from each image, drawing near no-ops again.

    Parameters
    ----------
    kind
        Name of a registered kind.
    images
        Batch (N, C, H, W) in [0, 1], at least 8 x 8.
    generator
        Source of randomness, on the device of ``images``.
    **options
        Arguments of the kind's function.

    Returns
    -------
    Tensor
        Batch (N, C, H, W) in [0, 1]. An image that hardly changes in five draws, such as a
        blank one, is returned as it came out last.

    Raises
    ------
    ConfigError
        If the kind is not registered.
    InputError
        If the batch does not have the form above.
    """
    if kind not in KINDS:
        raise ConfigError(f"anomaly kind {kind!r} is not known; known are {', '.join(KINDS)}")
    if images.ndim != 4 or min(images.shape[-2:]) < SMALLEST_SIDE:
        raise InputError(
            f"anomalies are made from batches N x C x H x W with H, W >= {SMALLEST_SIDE}, "
            f"got shape {tuple(images.shape)}"
        )
    made = KINDS[kind](images, generator, **options)
    for _ in range(MAX_REDRAWS):
        again = _barely_changed(images, made).nonzero().squeeze(1)
        if not len(again):
            break
        made[again] = KINDS[kind](images[again], generator, **options)
    return made


def draw_kinds(count: int, generator: torch.Generator, config: AnomalyConfig) -> Tensor:
    """Draw ``count`` kinds by their weights, as places in ``config.kinds``."""
    weights = [float(config.weights[kind]) for kind in config.kinds]
    shares = torch.tensor(weights, device=generator.device)
    return shares.multinomial(count, replacement=True, generator=generator)


def make_mixture(
    images: Tensor, generator: torch.Generator, config: AnomalyConfig | None = None
) -> tuple[Tensor, Tensor]:
    """Make an anomaly of a randomly drawn kind from each image.

    Parameters
    ----------
    images
        Batch (N, C, H, W) in [0, 1], at least 8 x 8.
    generator
        Source of randomness, on the device of ``images``.
    config
        Weights and options of the kinds; the four of the paper, equally often, by default.

    Returns
    -------
    tuple of Tensor
        The made batch (N, C, H, W) in [0, 1], and the drawn kinds (N,) as places in
        ``config.kinds``.
    """
    config = config or AnomalyConfig()
    kinds = config.kinds
    drawn = draw_kinds(len(images), generator, config)
    made = torch.empty_like(images)
    for place, kind in enumerate(kinds):
        chosen = (drawn == place).nonzero().squeeze(1)
        if len(chosen):
            options = config.options.get(kind, {})
            made[chosen] = make(kind, images[chosen], generator, **options)
    return made, drawn


def check_anomaly_config(config: AnomalyConfig) -> None:
    """Check that every kind is registered and takes the options given for it.

    Raises
    ------
    ConfigError
        If a kind or an option is not known, or an option's value is not possible.
    """
    for kind in [*config.weights, *config.options]:
        if kind not in KINDS:
            known = ", ".join(sorted(KINDS))
            raise ConfigError(f"anomaly kind {kind!r} is not known; known are {known}")
    for kind, options in config.options.items():
        known_options = list(inspect.signature(KINDS[kind]).parameters)[2:]
        for option in options:
            if option not in known_options:
                raise ConfigError(
                    f"anomalies.options.{kind}.{option}: unknown option; known are "
                    f"{', '.join(known_options) or 'none'}"
                )
        try:
            generator = torch.Generator().manual_seed(0)
            KINDS[kind](torch.rand((2, 1, 8, 8), generator=generator), generator, **options)
        except Exception as error:
            raise ConfigError(f"anomalies.options.{kind}: {error}") from error
