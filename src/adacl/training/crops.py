"""What one step of a network with a map sees: crops of normals, changed in places, and labels."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from adacl.anomalies.fillings import FAMILIES
from adacl.anomalies.local import Made, make_local
from adacl.config import Config, LabelConfig
from adacl.data.samples import Samples
from adacl.imaging.mask import FILL
from adacl.imaging.reflection import reflected
from adacl.imaging.smoothing import box_mean, shrunk
from adacl.imaging.spec import ImageSpec
from adacl.networks.dense import coordinates
from adacl.training.visibility import grade_of, learn_scales

STRIDE = 2
"""Pixels from one place of the map to the next."""
SOME = 64
LEAST_TONE = 0.03
SCALE, DETAIL = 0.22, 0.35
"""Natural logarithms of the largest factors of scale and of local contrast."""
BROAD = 15
"""Side in pixels of the mean that local contrast is about."""


class Pixels(NamedTuple):
    """What is learnt of the normals' pixels.

    Parameters
    ----------
    mean, std
        Mean and standard deviation (C,).
    scales
        What visible changes are measured by, see :mod:`adacl.training.visibility`.
    """

    mean: Tensor
    std: Tensor
    scales: Tensor

    @property
    def visible(self) -> float:
        """The smallest change of tone that is made."""
        return LEAST_TONE + 2 * float(self.scales[0])


class Crops(NamedTuple):
    """Network input (N, C, S, S), labels (N, 1, h, w) and weights (N, K, h, w) of a step."""

    images: Tensor
    labels: Tensor
    weights: Tensor


def learn_pixels(samples: Samples, shrink: int = 1) -> Pixels:
    """Learn mean, deviation and visibility from some of the normal images, as they are shrunk."""
    means, deviations = [], []
    for image in samples.thinned(SOME).batches(torch.device("cpu"), 1):
        image = shrunk(image[:, : samples.spec.channels], shrink)
        means.append(image.mean((0, 2, 3)))
        deviations.append(image.std((0, 2, 3)))
    mean, std = torch.stack(means).mean(0), torch.stack(deviations).mean(0).clamp(min=1e-3)
    return Pixels(mean, std, learn_scales(samples, shrink))


def take_crops(samples: Samples, config: Config, rng: np.random.Generator) -> Tensor:
    """Cut a square at a random place out of each image.

    Parameters
    ----------
    samples
        Normal images of any sizes, in the order in which they are cut.
    config
        ``training.crop`` is the side of the squares, once they are shrunk by ``network.shrink``,
        ``training.vary`` how far their scale and
        their local contrast vary. With ``training.mirror`` half of them are mirrored left to right
        and, unless the network is told places, half of them upside down; with ``training.turned``
        they are turned by quarters. ``network.place`` tells whether two channels say where in the
        image they are.
    rng
        Source of randomness.

    Returns
    -------
    Tensor
        (N, C, S, S) in [0, 1], with the coordinates as two more channels, and what the mask of the
        samples looks at, if they have one, as the last. Images that are smaller than the square are
        continued by their reflection.
    """
    side, vary, channels = config.training.crop, config.training.vary, samples.spec.channels
    shrink = config.network.shrunk
    told = config.network.place == "coordinates"
    crops = []
    for image in samples:
        cut = round(side * math.exp(rng.uniform(-SCALE, SCALE) * vary))
        span = cut * shrink
        boxes = samples.mask.box(*image.shape[:2]) if samples.mask else (None, None)
        rows, columns = (
            _cut(reflected(extent, span), span, rng, box)
            for extent, box in zip(image.shape[:2], boxes, strict=True)
        )
        pixels = np.ascontiguousarray(image[rows[:, None], columns])[None]
        crop = samples.spec.to_tensor(pixels, torch.device("cpu")).contiguous()
        if told:
            crop = torch.cat([crop, coordinates(image.shape[:2], rows, columns)], 1)
        if samples.mask:
            look = torch.from_numpy(samples.mask.at(image.shape[:2], rows, columns))
            crop[:, :channels] = torch.where(look, crop[:, :channels], FILL)
            crop = torch.cat([crop, look.expand(1, 1, -1, -1).to(crop)], 1)
        crop = shrunk(crop, shrink)
        if cut != side:
            size = (side, side)
            crop = functional.interpolate(crop, size, mode="bilinear", antialias=True)
        if vary:
            crop = _contrasted(crop, channels, math.exp(rng.uniform(-DETAIL, DETAIL) * vary))
        for axis in (-1,) if told else (-1, -2):
            if config.training.mirror and rng.random() < 0.5:
                crop = crop.flip(axis)
        if config.training.turned == "yes":
            crop = crop.rot90(int(rng.integers(4)), (-2, -1))
        crops.append(crop)
    return torch.cat(crops)


def draw_crops(
    crops: Tensor,
    generator: torch.Generator,
    config: Config,
    spec: ImageSpec,
    pixels: Pixels,
    masked: bool = False,
) -> Crops:
    """Vary the light of crops, go back to the grid of stored values, change places, label all.

    To the output of a family its own changes are anomalous, and what was not changed is normal;
    changes of other families say nothing.

    Parameters
    ----------
    crops
        From :func:`take_crops`.
    generator
        Source of randomness, on the device of ``crops``.
    config
        The method.
    spec
        Form of the images.
    pixels
        What is learnt of the normals' pixels.
    masked
        Whether the last channel says where to look; elsewhere nothing is changed nor learnt.
    """
    levels = grid(spec)
    normal = crops[:, : spec.channels]
    if config.training.light:
        normal = _lit(normal, config.training.light, generator)
    normal = (normal.clamp(0, 1) * levels).round() / levels
    made = make_local(normal, generator, config.local, pixels.visible, levels)
    if masked:
        crops, look = crops[:, :-1], crops[:, -1:] > 0.5
        normal = torch.where(look, normal, FILL)
        made = made.inside(normal, look)
    labels, changed, family = label_places(normal, made, generator, config.labels, pixels.scales)
    unchanged = ~changed
    if masked:
        looked_at = functional.max_pool2d(look.float(), STRIDE, ceil_mode=True) > 0
        changed, unchanged = changed & looked_at, unchanged & looked_at
    own = changed & (family == torch.arange(len(FAMILIES), device=family.device).view(1, -1, 1, 1))
    weights = (unchanged / unchanged.sum().clamp(min=1)).expand_as(own) / len(FAMILIES)
    share = own / own.sum((0, 2, 3), keepdim=True).clamp(min=1) / len(FAMILIES)
    weights = weights + config.training.made_weight * share
    images = torch.cat([made.images, crops[:, spec.channels :]], 1)
    return Crops(images.contiguous(memory_format=torch.channels_last), labels, weights)


def grid(spec: ImageSpec) -> int:
    """Return the number of steps of the stored values of images from 0 to 1."""
    return 65535 if spec.dtype == "float32" else round(spec.high - spec.low)


def label_places(
    normal: Tensor, made: Made, generator: torch.Generator, config: LabelConfig, scales: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return label, whether it is changed, and family of every place, (N, 1, H / 2, W / 2) each.

    A place has a label from the normal interval where nothing was changed. With the visibility of
    the change it rises towards one from the anomalous interval (section 3.2.2 per place, where a
    change is seen or not). Labels are drawn once for the background of an image, and once for each
    region of changes.
    """
    region = functional.max_pool2d(made.region.float(), 3, 1, 1)
    grade = grade_of(normal, made.images, scales) * (region > 0)
    count, regions = len(normal), int(made.region.max()) + 1
    draws = torch.rand((count, regions + 1), generator=generator, device=normal.device)
    region = functional.max_pool2d(region, STRIDE, ceil_mode=True).long()
    grade = functional.max_pool2d(grade, STRIDE, ceil_mode=True)
    changed = region > 0
    family = made.families.gather(1, (region.flatten(1) - 1).clamp(min=0)).view_as(region)
    if config.scheme == "discrete":
        return changed.float(), changed, family
    (low, high), (low_made, high_made) = config.normal, config.anomalous
    background = low + (high - low) * draws[:, -1].view(-1, 1, 1, 1)
    peak = low_made + (high_made - low_made) * draws.gather(1, region.flatten(1)).view_as(grade)
    return background + (peak - background) * grade, changed, family


def _contrasted(crop: Tensor, channels: int, factor: float) -> Tensor:
    """Multiply by a factor what the first channels differ from the mean around each pixel."""
    pixels = crop[:, :channels]
    smooth = box_mean(pixels, BROAD)
    contrasted = (smooth + factor * (pixels - smooth)).clamp(0, 1)
    return torch.cat([contrasted, crop[:, channels:]], 1)


def _cut(
    pixels: NDArray[np.int64],
    side: int,
    rng: np.random.Generator,
    box: tuple[int, int] | None = None,
) -> NDArray[np.int64]:
    """Draw ``side`` pixels of a row, so that those at its ends are seen half as often as others.

    Crops may reach beyond the border by half their side, and are then moved inside. Drawn inside
    the image alone, hardly any would reach a border pixel.
    """
    extent = len(pixels)
    low, high = box or (0, extent)
    first = int(np.clip(rng.integers(low - side // 2, high - side // 2), 0, extent - side))
    return pixels[first : first + side]


def _lit(images: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Vary brightness by a factor and an offset."""
    draws = torch.rand((2, len(images), 1, 1, 1), generator=generator, device=images.device)
    gain, offset = 2 * draws - 1
    lit: Tensor = images * (1 + most * gain) + most / 2 * offset
    return lit
