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
from adacl.imaging.mask import FILL, Mask
from adacl.imaging.reflection import reflected
from adacl.imaging.smoothing import box_mean, shrunk
from adacl.imaging.spec import ImageSpec
from adacl.networks.dense import coordinates
from adacl.training import foreground
from adacl.training.recording import learn_grain, recorded
from adacl.training.some_normals import shown, some_normals
from adacl.training.visibility import grade_of, learn_scales

STRIDE = 2
"""Pixels from one place of the map to the next."""
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


class Cuts(NamedTuple):
    """Squares of images, and planes (N, 1, S, S) of what is where in them.

    Parameters
    ----------
    images
        (N, C, S, S).
    part
        Where changes are made: on the part and inside the mask; None is anywhere.
    look
        Where the mask looks; elsewhere nothing is changed nor learnt. None is everywhere.
    """

    images: Tensor
    part: Tensor | None
    look: Tensor | None = None


class Crops(NamedTuple):
    """Network input (N, C, S, S), labels (N, 1, h, w) and weights (N, K, h, w) of a step."""

    images: Tensor
    labels: Tensor
    weights: Tensor


def learn_pixels(samples: Samples, shrink: int = 1) -> Pixels:
    """Learn mean, deviation and visibility from some of the normal images, as they are shrunk.

    What a mask hides does not count.
    """
    means, deviations = [], []
    for image, look in some_normals(samples, shrink):
        image = shown(image, look)
        means.append(image.mean((0, 2, 3)))
        several = image[0, 0].numel() > 1
        deviations.append(image.std((0, 2, 3)) if several else torch.zeros_like(means[-1]))
    mean, std = torch.stack(means).mean(0), torch.stack(deviations).mean(0).clamp(min=1e-3)
    scales, grain = learn_scales(samples, shrink), learn_grain(samples, shrink)
    return Pixels(mean, std, scales, grain, foreground.learn_limit(samples))


def take_crops(
    samples: Samples, config: Config, rng: np.random.Generator, part: float | None = None
) -> Cuts:
    """Cut a square at a random place out of each image.

    Parameters
    ----------
    samples
        Normal images of any sizes, in the order in which they are cut.
    config
        ``training.crop`` is the side of the squares, once they are shrunk by ``network.shrink``,
        ``training.vary`` how far their scale and their local contrast vary. With
        ``training.mirror`` half of them are mirrored left to right and, unless the network is told
        places, half of them upside down; with ``training.turned`` they are turned by quarters, and
        half of them by up to ``training.tilt`` degrees.
        ``network.place`` tells whether two channels say where in the image they are.
    rng
        Source of randomness.
    part
        What tells a part from its background, as in :class:`Pixels`.

    Returns
    -------
    Cuts
        Images (N, C, S, S) in [0, 1], with the coordinates as two more channels. Images that are
        smaller than the square are continued by their reflection.
    """
    side, vary, channels = config.training.crop, config.training.vary, samples.spec.channels
    shrink = config.network.shrunk
    told = config.network.place == "coordinates"
    crops = []
    for image in samples:
        cut = round(side * math.exp(rng.uniform(-SCALE, SCALE) * vary))
        span = cut * shrink
        rows, columns = _place(image.shape[:2], span, samples.mask, rng)
        pixels = np.ascontiguousarray(image[rows[:, None], columns])[None]
        crop = samples.spec.to_tensor(pixels, torch.device("cpu")).contiguous()
        planes = []
        if samples.mask:
            look = torch.from_numpy(samples.mask.at(image.shape[:2], rows, columns))[None, None]
            crop = torch.where(look, crop[:, :channels], FILL)
            planes.append(look.to(crop))
        if samples.mask or part is not None:
            planes.append(foreground.shown(image, samples.spec, part, samples.mask, rows, columns))
        crop = torch.cat([crop, *planes], 1)
        if config.training.tilt and rng.random() < 0.5:
            crop = _tilted(crop, rng.uniform(-1, 1) * config.training.tilt)
        if told:
            crop = torch.cat([crop, coordinates(image.shape[:2], rows, columns)], 1)
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
    found = torch.cat(crops)
    count = 2 if samples.mask else int(part is not None)
    if not count:
        return Cuts(found, None)
    where = found[:, channels : channels + count, None] > 0.5
    images = torch.cat([found[:, :channels], found[:, channels + count :]], 1)
    return Cuts(images, where[:, -1], where[:, 0] if samples.mask else None)


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
        From :func:`take_crops`.
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
    if look is not None:
        images = torch.where(look, images, FILL)
    images = torch.cat([images, cuts.images[:, spec.channels :]], 1)
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


def _place(
    size: tuple[int, int], span: int, mask: Mask | None, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the rows and columns of a square; one of which a mask hides all is drawn again.

    The second is around one of the pixels looked at: those may be few and far apart.
    """
    extents = [reflected(extent, span) for extent in size]
    if mask is None:
        rows, columns = (_cut(pixels, span, rng) for pixels in extents)
        return rows, columns
    boxes = mask.box(*size)
    for _ in range(2):
        rows, columns = (
            _cut(pixels, span, rng, box) for pixels, box in zip(extents, boxes, strict=True)
        )
        if mask.at(size, rows, columns).any():
            break
        boxes = mask.spot(*size, rng)
    return rows, columns


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


def _tilted(crop: Tensor, degrees: float) -> Tensor:
    """Turn a crop around its middle; its corners are continued by reflection."""
    turn = math.radians(degrees)
    cosine, sine = math.cos(turn), math.sin(turn)
    matrix = torch.tensor([[[cosine, -sine, 0.0], [sine, cosine, 0.0]]])
    grid = functional.affine_grid(matrix, list(crop.shape), align_corners=False)
    return functional.grid_sample(crop, grid, padding_mode="reflection", align_corners=False)


def _lit(images: Tensor, light: float, tint: float, generator: torch.Generator) -> Tensor:
    """Vary brightness by a factor and an offset, and each of several channels by a factor."""
    count, channels = images.shape[:2]
    draws = torch.rand((2 + channels, count), generator=generator, device=images.device)
    gain, offset, *own = (2 * draws - 1).view(-1, count, 1, 1, 1)
    lit: Tensor = images * (1 + light * gain) + light / 2 * offset
    return lit * (1 + tint * torch.cat(own, 1)) if channels > 1 else lit
