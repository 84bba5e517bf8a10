"""Made anomalies in reports, each with its score; needs PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from adacl.anomalies import make, make_mixture
from adacl.anomalies.local import make_local
from adacl.anomalies.registry import Changed
from adacl.data.images import read_image
from adacl.data.reading import stream
from adacl.data.samples import Samples
from adacl.imaging.smoothing import shrunk
from adacl.imaging.spec import Array, ImageSpec
from adacl.model.model import Model
from adacl.networks.build import dense_maps, raw_scores
from adacl.networks.regressor import Regressor
from adacl.report.thumbnails import url
from adacl.training import foreground
from adacl.training.crops import grid, learn_pixels

EXAMPLES = 6
SHOWN = 80
"""Pixels, about, at which a page shows an example; outlines are as thick as one of them."""
OUTLINE = (213, 94, 0)


def samples(model: Model, paths: Sequence[Path]) -> list[Tensor]:
    """Return one network input of each image file, in batches N x C x H x W in [0, 1].

    Of images that are cut, the tile in the middle; images of any size are batches of one. Files
    that can no longer be read are passed over.
    """
    spec, tiling = model.spec, model.tiling

    def read(path: Path) -> Array:
        image = read_image(path, spec.channels, spec.dtype, model.header.resize, spec.white)
        if tiling is None:
            return image
        tiles = tiling.cut(image)
        middle: Array = tiles[len(tiles) // 2].copy()
        return middle

    images = [image for _, image in stream(paths, read, "skip")]
    size = 1 if _is_dense(model) else max(1, len(images))
    return list(Samples(images, spec).batches(model.network.mean.device, size))


def examples(model: Model, normal: Sequence[Tensor]) -> list[tuple[str, list[tuple[str, float]]]]:
    """Return normal samples, and anomalies made from them as in training.

    Returns
    -------
    list of (str, list of (str, float))
        For each kind of anomaly pictures with their raw scores. What was changed is outlined,
        unless it is all.
    """
    generator = torch.Generator(normal[0].device).manual_seed(0)
    options = model.config.anomalies.options
    normal = [batch[:EXAMPLES] for batch in normal[:EXAMPLES]]
    unchanged = [
        Changed(batch, torch.zeros_like(batch[:, :1], dtype=torch.bool)) for batch in normal
    ]
    found = [("normal", _scored(model, unchanged))]
    if _is_dense(model):
        return [*found, ("local", _scored(model, _changed(model, normal, generator)))]
    for kind in model.config.anomalies.kinds:
        made = [make(kind, batch, generator, **options.get(kind, {})) for batch in normal]
        found.append((kind, _scored(model, made)))
    return found


def mixture_scores(model: Model, normal: Sequence[Tensor], seed: int) -> list[float]:
    """Return raw scores of one made anomaly of each sample, their kinds drawn as in training."""
    generator = torch.Generator(normal[0].device).manual_seed(seed)
    if _is_dense(model):
        batches = _changed(model, normal, generator)
    else:
        batches = [make_mixture(batch, generator, model.config.anomalies)[0] for batch in normal]
    return [float(score) for batch in batches for score in _raw(model, batch.images)]


def _raw(model: Model, images: Tensor) -> Array:
    if isinstance(model.network, Regressor):
        return raw_scores(model.network, images)
    mask = model.header.mask
    return model.peaks(dense_maps(model.network, mask.filled(images) if mask else images))


def _is_dense(model: Model) -> bool:
    return model.config.network.output == "map"


def _changed(model: Model, normal: Sequence[Tensor], generator: torch.Generator) -> list[Changed]:
    """Return images with local anomalies, as visible as training makes them, where it does."""
    spec, mask = model.spec, model.header.mask
    config = model.config.replace(local__clean=0.0).local
    unit = ImageSpec(spec.height, spec.width, spec.channels, "float32", 0.0, 1.0)
    images = [batch[0].permute(1, 2, 0).cpu().numpy() for batch in normal]
    shrink = model.config.network.shrunk
    pixels = learn_pixels(Samples(images, unit, mask=mask), shrink)
    changed = []
    for image, batch in zip(images, normal, strict=True):
        small, part = shrunk(batch, shrink), None
        if not (pixels.part is None and mask is None):
            along = [np.arange(extent) for extent in image.shape[:2]]
            shown = foreground.shown(image, unit, pixels.part, mask, *along)
            part = (shrunk(shown, shrink) > 0.5).to(small.device)
        anomalies = make_local(small, generator, config, pixels.visible, grid(spec), part)
        change, region = (
            plane.repeat_interleave(shrink, -1).repeat_interleave(shrink, -2)
            for plane in (anomalies.images - small, anomalies.region)
        )
        height, width = batch.shape[-2:]
        images_made = (batch + change[..., :height, :width]).clamp(0, 1)
        inside = region[..., :height, :width] > 0
        if mask is not None:
            inside &= torch.from_numpy(mask.resized(height, width)).to(inside.device)
            images_made = torch.where(inside, images_made, batch)
        changed.append(Changed(images_made, inside))
    return changed


def _scored(model: Model, batches: Sequence[Changed]) -> list[tuple[str, float]]:
    pairs: list[tuple[str, float]] = []
    for batch in batches:
        pictures = [url(picture, "PNG") for picture in _outlined(batch)]
        pairs += zip(pictures, _raw(model, batch.images).tolist(), strict=True)
    return pairs


def _outlined(changed: Changed) -> NDArray[np.uint8]:
    """Return pictures N x H x W x 3, small ones enlarged, with a line around what was changed."""
    longest = max(changed.images.shape[-2:])
    times = max(1, 2 * SHOWN // longest)
    images, inside = (functional.interpolate(part.float(), scale_factor=times) for part in changed)
    line = max(1, round(longest * times / SHOWN))
    wide = functional.max_pool2d(inside, (2 * line + 1, 1), 1, (line, 0))
    wide = functional.max_pool2d(wide, (1, 2 * line + 1), 1, (0, line))
    colour = torch.tensor(OUTLINE, device=images.device).view(1, 3, 1, 1)
    shown = torch.where(wide > inside, colour, (images * 255).round())
    pictures: NDArray[np.uint8] = shown.byte().permute(0, 2, 3, 1).cpu().numpy()
    return pictures
