"""What one step of a network with a map sees: crops of normals, changed in places, and labels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from adacl.anomalies.fillings import FAMILIES
from adacl.anomalies.local import make_local
from adacl.config import Config
from adacl.data.samples import Samples
from adacl.imaging.mask import FILL
from adacl.imaging.spec import ImageSpec
from adacl.training import foreground
from adacl.training.cuts import Cuts
from adacl.training.place_labels import STRIDE, label_places
from adacl.training.recording import learn_grain, recorded
from adacl.training.some_normals import shown, some_normals
from adacl.training.visibility import learn_scales

LEAST_TONE = 0.03
RELIT = 4
"""One of so many crops is also seen in another light, rounded up."""
FARTHER = 1.2
"""How much farther that light may be from the crop's own than ``training.light``."""


class Pixels(NamedTuple):
    """What is learnt of the normals' pixels.

    Parameters
    ----------
    mean, std
        Mean and standard deviation (C,).
    scales
        What visible changes are measured by, see :mod:`adacl.training.visibility`.
    grain
        By how much neighbouring pixels differ in the mean.
    part
        From which distance to the tone of the border on a pixel belongs to the part, see
        :func:`adacl.training.foreground.learn_limit`; None where there is no plain background.
    """

    mean: Tensor
    std: Tensor
    scales: Tensor
    grain: float
    part: float | None

    @property
    def visible(self) -> float:
        """The smallest change of tone that is made."""
        return LEAST_TONE + 2 * float(self.scales[0])


class Crops(NamedTuple):
    """Network input (N + M, C, S, S), labels (N, 1, h, w) and weights (N, K, h, w) of a step.

    The last M of the input are the first M crops in another light; M may be 0.
    """

    images: Tensor
    labels: Tensor
    weights: Tensor


def learn_pixels(samples: Samples, shrink: int = 1) -> Pixels:
    """Learn mean, deviation and visibility from some of the normal images, as they are shrunk.

    What a mask hides does not count.
    """
    means: list[list[float]] = []
    deviations: list[list[float]] = []
    for image, look in some_normals(samples, shrink):
        image = shown(image, look)
        means.append(image.mean((0, 2, 3)).tolist())
        several = image[0, 0].numel() > 1
        deviations.append(image.std((0, 2, 3)).tolist() if several else [0.0] * len(means[-1]))
    mean, std = torch.tensor(means).mean(0), torch.tensor(deviations).mean(0).clamp(min=1e-3)
    scales, grain = learn_scales(samples, shrink), learn_grain(samples, shrink)
    return Pixels(mean, std, scales, grain, foreground.learn_limit(samples))


def draw_crops(
    cuts: Cuts,
    generator: torch.Generator,
    config: Config,
    spec: ImageSpec,
    pixels: Pixels,
) -> Crops:
    """Vary the light of crops, change places, label all, and record the images anew.

    To the output of a family its own changes are anomalous, and what was not changed is normal;
    changes of other families say nothing.

    Parameters
    ----------
    cuts
        From :func:`adacl.training.cuts.take_crops`.
    generator
        Source of randomness, on the device of ``cuts``.
    config
        The method.
    spec
        Form of the images.
    pixels
        What is learnt of the normals' pixels.
    """
    levels, training = grid(spec), config.training
    normal = cuts.images[:, : spec.channels]
    if training.light or training.tint:
        normal = _lit(normal, training.light, training.tint, generator)
    normal = (normal.clamp(0, 1) * levels).round() / levels
    made = make_local(normal, generator, config.local, pixels.visible, levels, cuts.part)
    look = cuts.look
    if look is not None:
        normal = torch.where(look, normal, FILL)
        made = made.inside(normal, look)
    labels, changed, family = label_places(normal, made, generator, config.labels, pixels.scales)
    unchanged = ~changed
    if look is not None:
        looked_at = functional.max_pool2d(look.float(), STRIDE, ceil_mode=True) > 0
        changed, unchanged = changed & looked_at, unchanged & looked_at
    own = changed & (family == torch.arange(len(FAMILIES), device=family.device).view(1, -1, 1, 1))
    weights = (unchanged / unchanged.sum().clamp(min=1)).expand_as(own) / len(FAMILIES)
    share = own / own.sum((0, 2, 3), keepdim=True).clamp(min=1) / len(FAMILIES)
    weights = weights + training.made_weight * share
    images = made.images
    if training.record:
        images = recorded(images, generator, training.record, pixels.grain, levels)
    if training.light_loss and training.light:
        again = images[: -(-len(images) // RELIT)]
        relit = _lit(again, FARTHER * training.light, 0, generator)
        images = torch.cat([images, (relit.clamp(0, 1) * levels).round() / levels])
    seen = torch.arange(len(images), device=images.device) % len(normal)
    if look is not None:
        images = torch.where(look[seen], images, FILL)
    images = torch.cat([images, cuts.images[seen, spec.channels :]], 1)
    return Crops(images.contiguous(memory_format=torch.channels_last), labels, weights)


def grid(spec: ImageSpec) -> int:
    """Return the number of steps of the stored values of images from 0 to 1."""
    return 65535 if spec.dtype == "float32" else round(spec.high - spec.low)


def _lit(images: Tensor, light: float, tint: float, generator: torch.Generator) -> Tensor:
    """Vary brightness by a factor and an offset, and each of several channels by a factor."""
    count, channels = images.shape[:2]
    draws = torch.rand((2 + channels, count), generator=generator, device=images.device)
    gain, offset, *own = (2 * draws - 1).view(-1, count, 1, 1, 1)
    lit: Tensor = images * (1 + light * gain) + light / 2 * offset
    return lit * (1 + tint * torch.cat(own, 1)) if channels > 1 else lit
