"""What a camera and a file format do to normal images: blur, noise, and JPEG compression."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from adacl.anomalies.drawing import below, uniform
from adacl.data.samples import Samples
from adacl.training.some_normals import shown, some_normals

SOFTEST = 0.8
"""Standard deviation in pixels of the strongest blur."""
NOISIEST = 0.02
"""Standard deviation of the strongest noise, unless the images are smoother."""
QUALITIES = (50, 95)
BLOCK = 8
REACH = 3
"""Pixels from the middle of a blur to its end."""


@torch.inference_mode()
def learn_grain(samples: Samples, shrink: int = 1) -> float:
    """Return by how much neighbouring pixels differ in the mean, over some of the images."""
    found = []
    for image, look in some_normals(samples, shrink):
        pairs = None if look is None else look[:, 1:] & look[:, :-1]
        steps = shown(image.diff(dim=-1).abs(), pairs)
        found.append(float(steps.mean()) if steps.numel() else 0.0)
    return sum(found) / len(found)


def recorded(
    images: Tensor, generator: torch.Generator, most: float, grain: float, levels: int
) -> Tensor:
    """Record images anew: blur half of them, add noise to half, compress half.

    Parameters
    ----------
    images
        Batch (N, C, H, W) in [0, 1].
    generator
        Source of randomness, on the device of ``images``.
    most
        ``training.record``: 1 is a blur of up to 0.8 pixels, noise of up to 0.02, quality 50 to 95.
    grain
        From :func:`learn_grain`: noise is no stronger than that.
    levels
        Steps of the stored values from 0 to 1. Images of more than 8 bits are not compressed.

    Returns
    -------
    Tensor
        (N, C, H, W) in [0, 1], on the grid of stored values.
    """
    images = images.clone()
    chosen = _half(images, generator)
    images[chosen] = _blurred(images[chosen], most, generator)
    chosen = _half(images, generator)
    images[chosen] = _noisy(images[chosen], min(NOISIEST, grain) * most, generator)
    images = (images.clamp(0, 1) * levels).round()
    if levels == 255:
        chosen = _half(images, generator)
        images[chosen] = _compressed(images[chosen], most, generator)
    return images / levels


def _half(images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw half of the images, one at least, as their numbers."""
    order = torch.randperm(len(images), generator=generator, device=images.device)
    return order[: (len(images) + 1) // 2]


def _blurred(images: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Blur each image by a Gaussian of a standard deviation of its own."""
    count, channels, height, width = images.shape
    deviations = uniform((0.05, 0.05 + SOFTEST * most), count, generator)
    offsets = torch.arange(-REACH, REACH + 1, device=images.device)
    weights = torch.exp(-((offsets / deviations.view(-1, 1)) ** 2) / 2)
    weights = (weights / weights.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    planes = images.reshape(1, count * channels, height, width)
    across, down = (-1, 1, 1, 2 * REACH + 1), (-1, 1, 2 * REACH + 1, 1)
    for shape, rim in ((across, [REACH, REACH, 0, 0]), (down, [0, 0, REACH, REACH])):
        planes = functional.conv2d(
            functional.pad(planes, rim, "replicate"), weights.view(shape), groups=count * channels
        )
    return planes.view(images.shape)


def _noisy(images: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Add noise of a standard deviation of its own to each image."""
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return images + noise * uniform((0, most), len(images), generator).view(-1, 1, 1, 1)


def _compressed(images: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Save images of values from 0 to 255 as JPEG and read them; blocks begin at any pixel."""
    low, high = QUALITIES
    drawn = uniform((high - (high - low) * min(most, 1), high), len(images), generator)
    start = below(torch.full((2,), BLOCK, device=images.device), generator).tolist()
    pixels = images.roll(start, (-2, -1)).permute(0, 2, 3, 1).byte().cpu().numpy()
    found = [_as_jpeg(*pair) for pair in zip(pixels, drawn.round().int().tolist(), strict=True)]
    read = torch.from_numpy(np.array(found).reshape(pixels.shape)).permute(0, 3, 1, 2)
    return read.to(images).roll([-step for step in start], (-2, -1))


def _as_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Compress an image H x W x C: three channels as colours, others one by one."""
    if image.shape[2] not in (1, 3):
        return np.concatenate(
            [_as_jpeg(image[..., [c]], quality) for c in range(image.shape[2])], 2
        )
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(image.shape)
