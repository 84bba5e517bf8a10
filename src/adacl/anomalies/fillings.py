"""Fillings of local anomalies: the pixels that replace those inside a shape.

Each filling is a function of images (N, C, H, W) in [0, 1], the smallest change that shows, and a
generator; it returns images of the same form, which need not stay within [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from adacl.anomalies.drawing import below, choose, uniform
from adacl.imaging.smoothing import box_mean

STRONGEST = 0.6
BLUR_SIDES = (3, 5, 9, 15)
NEAREST_MOVE = 8
COPIES, SHADOW = 6, 4
"""Moved copies whose background is taken, from so many pixels beside the part on."""


def _ground(images: Tensor, part: Tensor, generator: torch.Generator) -> Tensor:
    """Return the background alone, as if the part (N, 1, H, W) were not there.

    Pixels of the background come from copies of the image that are moved, so that their grain is
    its own; what those do not cover has the mean colour of the background.
    """
    bare = functional.max_pool2d(part.float(), 2 * SHADOW + 1, 1, SHADOW) == 0
    total = (images * bare).sum((2, 3))
    pixels = bare.sum((2, 3))
    usual = (total.sum(0) + images.mean((0, 2, 3))) / (pixels.sum() + 1)
    colour = (total + usual) / (pixels + 1)
    filled, open_ = colour[:, :, None, None].expand_as(images), torch.ones_like(part)
    for _ in range(COPIES):
        down, right = below(
            torch.tensor(images.shape[-2:], device=images.device), generator
        ).tolist()
        found = bare.roll((down, right), (-2, -1)) & open_
        filled = torch.where(found, images.roll((down, right), (-2, -1)), filled)
        open_ = open_ & ~found
    return filled


def _another(images: Tensor, visible: float, generator: torch.Generator) -> Tensor:
    """Return other images of the batch, moved and sometimes mirrored."""
    order = torch.randperm(len(images), generator=generator, device=images.device)
    moved = _rolled(images[order], generator)
    return moved.flip(-1) if float(_draw(generator)) < 0.5 else moved


def _moved(images: Tensor, visible: float, generator: torch.Generator) -> Tensor:
    """Return the images themselves, moved."""
    return _rolled(images, generator)


def _tone(images: Tensor, visible: float, generator: torch.Generator) -> Tensor:
    """Make all channels brighter or darker alike, or move them in a direction of colour."""
    return images + _change(images, visible, generator)


def _flat(images: Tensor, visible: float, generator: torch.Generator) -> Tensor:
    """Return one colour: a random one, or that of a random pixel."""
    count, channels = images.shape[:2]
    colour = torch.rand((count, channels), generator=generator, device=images.device)
    pixels = torch.full((count,), images[0, 0].numel(), device=images.device)
    pixel = images.flatten(2).gather(
        2, below(pixels, generator).view(-1, 1, 1).expand(-1, channels, 1)
    )
    random = uniform((0, 1), count, generator).view(-1, 1) < 0.5
    flat = torch.where(random, colour, pixel.squeeze(2))
    return flat[:, :, None, None].expand_as(images)


def _blur(images: Tensor, visible: float, generator: torch.Generator) -> Tensor:
    """Return the images, blurred."""
    side = int(choose(BLUR_SIDES, 1, generator))
    return box_mean(images, side)


def _noise(images: Tensor, visible: float, generator: torch.Generator) -> Tensor:
    """Add noise of a random grain."""
    height, width = images.shape[-2:]
    grain = float(uniform((0, math.log(min(height, width) / 2)), 1, generator).exp())
    coarse = [max(2, int(extent / grain)) for extent in (height, width)]
    noise = torch.randn((len(images), 1, *coarse), generator=generator, device=images.device)
    noise = functional.interpolate(noise, (height, width), mode="bilinear", align_corners=True)
    return images + _change(images, visible, generator) * noise


def _rolled(images: Tensor, generator: torch.Generator) -> Tensor:
    limits = torch.tensor(images.shape[-2:], device=images.device)
    near = (limits // 4).clamp(max=NEAREST_MOVE)
    down, right = (near + below(limits - 2 * near + 1, generator)).tolist()
    return images.roll((down, right), (-2, -1))


def _change(images: Tensor, visible: float, generator: torch.Generator) -> Tensor:
    """Draw a change of tone (N, C, 1, 1), log-uniformly from a visible one up."""
    count, channels = images.shape[:2]
    size = uniform((math.log(visible), math.log(max(STRONGEST, 2 * visible))), count, generator)
    size = size.exp() * choose((-1, 1), count, generator)
    colour = torch.randn((count, channels), generator=generator, device=images.device)
    colour = colour / colour.norm(dim=1, keepdim=True).clamp(min=1e-6) * math.sqrt(channels)
    alike = uniform((0, 1), count, generator).view(-1, 1) < 0.6
    direction = colour if channels > 1 else torch.ones_like(colour)
    direction = torch.where(alike, torch.ones_like(colour), direction)
    return (size.view(-1, 1) * direction)[:, :, None, None]


def _draw(generator: torch.Generator) -> Tensor:
    return torch.rand((), generator=generator, device=generator.device)


Filling = Callable[[Tensor, float, torch.Generator], Tensor]

FILLINGS: dict[str, Filling] = {
    "another": _another,
    "blur": _blur,
    "flat": _flat,
    "moved": _moved,
    "noise": _noise,
    "tone": _tone,
}
"""Name of a filling to its function."""
GROUND = "ground"
"""Name of the filling that takes away pieces of a part: the background behind it."""
FAMILIES = ("piece", "scar", "texture", "tone")
"""What a network with a map has an output for, each."""
FAMILY_OF = {
    "another": "piece",
    "blur": "texture",
    "flat": "tone",
    GROUND: "piece",
    "moved": "piece",
    "noise": "texture",
    "tone": "tone",
}
"""The family of what is changed by a filling, unless along a scar."""
SCAR_FILLINGS: dict[str, float] = {"flat": 1.0, "tone": 3.0}
"""Shares of the fillings of scars: others would not show along a line."""


def without_ground(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the fillings of images that show no part on a plain background."""
    return {name: share for name, share in weights.items() if name != GROUND}


def draw_fillings(
    images: Tensor,
    scars: Tensor,
    weights: Mapping[str, float],
    visible: float,
    generator: torch.Generator,
    part: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw a filling for each image.

    Parameters
    ----------
    images
        Batch (N, C, H, W) in [0, 1].
    scars
        Whether each is changed along a scar (N,).
    weights
        Name of a filling, ``ground`` or one in ``FILLINGS``, to its share.
    visible
        The smallest change of tone that shows, in (0, 1).
    generator
        Source of randomness, on the device of ``images``.
    part
        Where a part is (N, 1, H, W), for the filling ``ground``.

    Returns
    -------
    filled, families, bare
        Images (N, C, H, W), the number of each one's family in ``FAMILIES`` (N,), and whether it is
        the background (N,).
    """
    names = sorted(name for name, weight in weights.items() if weight > 0)
    shares = torch.tensor([float(weights[name]) for name in names], device=images.device)
    drawn = shares.multinomial(len(images), replacement=True, generator=generator)
    of_scars = torch.tensor(
        [SCAR_FILLINGS.get(name, 0.0) * (weights[name] > 0) for name in names], device=images.device
    )
    if bool(of_scars.sum() > 0):
        others = of_scars.multinomial(len(images), replacement=True, generator=generator)
        drawn = torch.where(scars, others, drawn)
    filled = torch.empty_like(images)
    for index, name in enumerate(names):
        chosen = (drawn == index).nonzero().squeeze(1)
        if len(chosen) and name == GROUND:
            assert part is not None
            filled[chosen] = _ground(images[chosen], part[chosen], generator)
        elif len(chosen):
            shown = images if name == "another" else images[chosen]
            filling = FILLINGS[name](shown, visible, generator)
            filled[chosen] = filling[chosen] if name == "another" else filling
    of_fillings = [FAMILIES.index(FAMILY_OF[name]) for name in names]
    families = torch.tensor(of_fillings, device=images.device)[drawn]
    families = torch.where(scars, torch.full_like(families, FAMILIES.index("scar")), families)
    bare = drawn == (names.index(GROUND) if GROUND in names else -1)
    return filled, families, bare
