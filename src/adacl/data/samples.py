"""Images, or tiles of images, as networks learn from them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from adacl.imaging import mapped
from adacl.imaging.mask import Mask
from adacl.imaging.spec import ImageSpec, value_range

if TYPE_CHECKING:
    import torch

Numbers = NDArray[Any]


class Stored(Protocol):
    """Images by number, each H x W x C: one array of equal ones, or images of any sizes."""

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, number: Any, /) -> Any:
        """Return an image."""


class Ragged:
    """Images of any sizes, one behind the other in one array.

    Parameters
    ----------
    pixels
        All values (P,).
    shapes
        H x W x C of each image.
    """

    def __init__(self, pixels: NDArray[Any], shapes: list[tuple[int, int, int]]) -> None:
        self.shapes = shapes
        self.ends = np.cumsum([math.prod(shape) for shape in shapes])
        self.pixels = pixels[: self.ends[-1] if shapes else 0]

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, number: int) -> NDArray[Any]:
        shape, end = self.shapes[number], self.ends[number]
        return self.pixels[end - math.prod(shape) : end].reshape(shape)


class Samples:
    """Images, or tiles of images, in the form that a network sees: all that are stored, or some.

    Parameters
    ----------
    pixels
        S x H x W x C, which may be memory-mapped, or images H x W x C of any sizes. Channels
        beyond ``spec.channels`` are seen by the kinds of anomaly alone.
    spec
        Form of the images; by default that of the pixels, where images differ in size the median.
    owner
        (S,) the number of each sample's image; by default each is an image by itself.
    digests
        (N,) a hash of each image's pixels, to recognise it later.
    numbers
        Which of the pixels these are, and in which order; by default all.
    mask
        Which part of the images is looked at; by default all.
    """

    def __init__(
        self,
        pixels: Stored,
        spec: ImageSpec | None = None,
        owner: Numbers | None = None,
        digests: NDArray[np.uint64] | None = None,
        numbers: Numbers | None = None,
        mask: Mask | None = None,
    ) -> None:
        self.pixels = pixels
        self.mask = mask
        self.spec = _form(pixels) if spec is None else spec
        self.owner = np.arange(len(pixels)) if owner is None else owner
        self.digests = np.empty(0, np.uint64) if digests is None else digests
        self.numbers = np.arange(len(pixels)) if numbers is None else numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for number in self.numbers:
            yield self.pixels[number]
            release(self.pixels)

    def with_white(self, white: int | None) -> Samples:
        """Return the same samples with a full scale of 16-bit values, unless it is None."""
        if white is None:
            return self
        spec = replace(self.spec, white=int(white))
        if spec.dtype == "uint16":
            spec = replace(spec, low=0.0, high=float(white))
        return Samples(self.pixels, spec, self.owner, self.digests, self.numbers, self.mask)

    def with_mask(self, mask: Mask | None) -> Samples:
        """Return the same samples, of which a part is looked at; its values tell their range."""
        spec = self.spec
        if mask is not None and spec.dtype != "uint8":
            seen = (mask.looked_at(image[None]) for image in self)
            ends = np.array([(values.min(), values.max()) for values in seen], spec.dtype)
            low, high = value_range(ends)
            spec = replace(spec, low=low, high=high)
        return Samples(self.pixels, spec, self.owner, self.digests, self.numbers, mask)

    def subset(self, places: Numbers | slice) -> Samples:
        """Return some of these samples, by index."""
        numbers = self.numbers[places]
        return Samples(self.pixels, self.spec, self.owner, self.digests, numbers, self.mask)

    def joined(self, others: Samples) -> Samples:
        """Return these samples and others of the same pixels."""
        numbers = np.concatenate([self.numbers, others.numbers])
        return Samples(self.pixels, self.spec, self.owner, self.digests, numbers, self.mask)

    def of(self, images: Numbers) -> Samples:
        """Return the samples of some images."""
        return self.subset(np.isin(self.owner[self.numbers], images))

    def ordered(self) -> Samples:
        """Return the samples in the order in which they are stored."""
        return self.subset(np.argsort(self.numbers, kind="stable"))

    def thinned(self, most: int) -> Samples:
        """Return every n-th sample in the order stored: ``most`` of them, up to twice as many."""
        return self.ordered().subset(slice(None, None, max(1, len(self) // most)))

    def parts(self, size: int) -> Iterator[Samples]:
        """Yield the samples in parts of ``size``; the last may be smaller."""
        return (self.subset(slice(start, start + size)) for start in range(0, len(self), size))

    def batches(self, device: torch.device, size: int) -> Iterator[torch.Tensor]:
        """Yield network input N x C x H x W in [0, 1], ``size`` samples at a time."""
        return (part.tensor(device) for part in self.parts(size))

    def tensor(self, device: torch.device) -> torch.Tensor:
        """Return network input N x C x H x W in [0, 1] of all samples, which must have one size."""
        if isinstance(self.pixels, np.ndarray):
            chosen = self.pixels[self.numbers]
            release(self.pixels)
            return self.spec.to_tensor(chosen, device)
        return self.spec.to_tensor(np.stack(list(self)), device)


def release(pixels: Stored) -> None:
    """Let go of the memory of images that lie in a temporary file, as far as they were read."""
    stored = pixels.pixels if isinstance(pixels, Ragged) else pixels
    if isinstance(stored, np.ndarray):
        mapped.release(stored)


def _form(pixels: Stored) -> ImageSpec:
    shapes = pixels.shapes if isinstance(pixels, Ragged) else [pixels[0].shape]
    height, width, channels = map(int, np.median(shapes, axis=0))
    values = pixels.pixels if isinstance(pixels, Ragged) else np.asarray(pixels)
    return ImageSpec(height, width, channels, values.dtype.name, *value_range(values))
