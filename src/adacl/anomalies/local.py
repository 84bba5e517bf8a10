"""Local anomalies for networks with a map: a shape, a filling, and the change that it makes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from adacl.anomalies.drawing import uniform
from adacl.anomalies.fillings import FAMILIES, FAMILY_OF, GROUND, draw_fillings, without_ground
from adacl.anomalies.shapes import SHAPES, draw_ends, draw_shapes
from adacl.config import LocalConfig
from adacl.errors import ConfigError

PIECE = FAMILIES.index("piece")
STRONG = 0.5
"""Opacity of pieces of images and of scars, at least: fainter pieces look like double exposures."""

ENDS = 0.5
"""Share of the missing pieces of a part that are all of it beyond a line."""


class Made(NamedTuple):
    """Made images (N, C, H, W) in [0, 1], and what was changed where.

    Parameters
    ----------
    images
        Batch (N, C, H, W) in [0, 1].
    region
        (N, 1, H, W): the number of the last change that touched each pixel, from 1, or 0 where
        nothing was changed.
    families
        (N, R): the family of each of the R changes, as a number in ``FAMILIES``.
    """

    images: Tensor
    region: Tensor
    families: Tensor

    def inside(self, normal: Tensor, look: Tensor) -> Made:
        """Return the same with changes only where ``look`` (N, 1, H, W) is True."""
        images = torch.where(look, self.images, normal)
        return self._replace(images=images, region=torch.where(look, self.region, 0))


def check_local_config(config: LocalConfig) -> None:
    """Check that the shapes and fillings of local anomalies exist.

    Raises
    ------
    ConfigError
        If one does not.
    """
    known: dict[str, tuple[str, ...]] = {"shapes": tuple(SHAPES), "fillings": tuple(FAMILY_OF)}
    for setting, names in known.items():
        for name in getattr(config, setting):
            if name not in names:
                raise ConfigError(
                    f"local.{setting}: {name!r} is not known; known are {', '.join(sorted(names))}"
                )


def make_local(
    images: Tensor,
    generator: torch.Generator,
    config: LocalConfig,
    visible: float,
    levels: int,
    part: Tensor | None = None,
) -> Made:
    """Change up to ``config.most`` places of each image; a share of the images stays as it is.

    Parameters
    ----------
    images
        Batch (N, C, H, W) in [0, 1].
    generator
        Source of randomness, on the device of ``images``.
    config
        Shapes, fillings, opacity.
    visible
        The smallest change of tone that shows, in (0, 1).
    levels
        Grid of the stored values, 255 for 8 bits: made images go back to it, lest the network
        recognise them by values that no camera gives.
    part
        Where a part is (N, 1, H, W), on or near which places are changed, and of which pieces are
        taken away; by default places are changed anywhere.

    Returns
    -------
    Made
    """
    count, _, height, width = images.shape
    fillings = config.fillings if part is not None else without_ground(config.fillings)
    current, families = images, []
    region = torch.zeros((count, 1, height, width), dtype=torch.long, device=images.device)
    clean = uniform((0, 1), count, generator) < config.clean
    for number in range(1, config.most + 1):
        masks, scars = draw_shapes(count, (height, width), config.shapes, generator, part)
        filled, family, bare = draw_fillings(current, scars, fillings, visible, generator, part)
        families.append(family)
        strong = scars | (family == PIECE)
        opacity = uniform(config.opacity, count, generator)
        opacity = torch.where(strong, opacity.clamp(min=STRONG), opacity)
        if part is not None and GROUND in fillings:
            opacity = torch.where(bare, 1.0, opacity)
            ends = bare & (uniform((0, 1), count, generator) < ENDS)
            masks = torch.where(ends.view(-1, 1, 1, 1), draw_ends(part, generator), masks)
        left_out = clean | (uniform((0, 1), count, generator) < (0.3 if number > 1 else 0.0))
        opacity = torch.where(left_out, torch.zeros_like(opacity), opacity)
        changed = current + (filled - current) * (masks * opacity.view(-1, 1, 1, 1))
        changed = (changed.clamp(0, 1) * levels).round() / levels
        touched = (changed != current).any(1, keepdim=True)
        region = torch.where(touched, number, region)
        current = changed
    return Made(current, region, torch.stack(families, 1))
