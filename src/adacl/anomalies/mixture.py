"""Make anomalies of one kind, or of kinds drawn by their weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import torch
from torch import Tensor

from adacl.anomalies.drawing import everywhere
from adacl.anomalies.registry import KINDS, Changed
from adacl.config import AnomalyConfig
from adacl.errors import ConfigError, InputError
from adacl.imaging.spec import SMALLEST_SIDE

MAX_REDRAWS = 4


def _barely_changed(images: Tensor, anomalies: Tensor) -> Tensor:
    """Tell which samples differ from the original on less than 0.5 % of their pixels.

    A pixel counts as different where a channel moved by more than a tenth of the image's own
    range of values.
    """
    tenth = (images.amax((1, 2, 3)) - images.amin((1, 2, 3))).view(-1, 1, 1, 1) / 10
    moved = ((anomalies - images).abs() > tenth).any(dim=1)
    return moved.float().mean(dim=(1, 2)) < 0.005


def make(kind: str, images: Tensor, generator: torch.Generator, **options: object) -> Changed:
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
    Changed
        The made images, and the mask of what was changed in them. An image that hardly changes in
        five draws, such as a blank one, is returned as it came out last.

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
    anomalies, mask = _changed(kind, images, generator, options)
    for _ in range(MAX_REDRAWS):
        again = _barely_changed(images, anomalies).nonzero().squeeze(1)
        if not len(again):
            break
        anomalies[again], mask[again] = _changed(kind, images[again], generator, options)
    return Changed(anomalies, mask)


def _changed(
    kind: str, images: Tensor, generator: torch.Generator, options: Mapping[str, object]
) -> Changed:
    drawn = KINDS[kind](images, generator, **options)
    return Changed(drawn, everywhere(images)) if isinstance(drawn, Tensor) else Changed(*drawn)


def draw_kinds(count: int, generator: torch.Generator, config: AnomalyConfig) -> Tensor:
    """Draw ``count`` kinds by their weights, as indices of ``config.kinds``."""
    weights = [float(config.weights[kind]) for kind in config.kinds]
    shares = torch.tensor(weights, device=generator.device)
    return shares.multinomial(count, replacement=True, generator=generator)


def make_mixture(
    images: Tensor, generator: torch.Generator, config: AnomalyConfig | None = None
) -> tuple[Changed, Tensor]:
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
    anomalies, drawn
        The made images with their masks, and the drawn kinds (N,) as indices of ``config.kinds``.
    """
    config = config or AnomalyConfig()
    kinds = config.kinds
    drawn = draw_kinds(len(images), generator, config)
    anomalies, mask = torch.empty_like(images), everywhere(images)
    for index, kind in enumerate(kinds):
        chosen = (drawn == index).nonzero().squeeze(1)
        if len(chosen):
            options = config.options.get(kind, {})
            anomalies[chosen], mask[chosen] = make(kind, images[chosen], generator, **options)
    return Changed(anomalies, mask), drawn


def check_anomaly_config(
    config: AnomalyConfig, form: tuple[int, ...] = (1, SMALLEST_SIDE, SMALLEST_SIDE)
) -> None:
    """Check that every kind is registered and takes the options given for it.

    Parameters
    ----------
    config
        Weights and options of the kinds.
    form
        Channels, height and width of the images, on which the options are tried.

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
            KINDS[kind](torch.rand((2, *form), generator=generator), generator, **options)
        except Exception as error:
            raise ConfigError(f"anomalies.options.{kind}: {error}") from error
