"""Turn image files or arrays into the samples of a training set, memory-mapped when large."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from adacl.data.arrays import SMALLEST_SIDE
from adacl.data.folders import OnError, stream
from adacl.data.images import ImageHeader, probe, read_image
from adacl.errors import DataError, InputError
from adacl.imaging.spec import ImageSpec, value_range
from adacl.imaging.tiles import Tiling

if TYPE_CHECKING:
    import torch

__all__ = [
    "MEMORY_LIMIT",
    "ProbedFiles",
    "Ragged",
    "Samples",
    "build_ragged",
    "build_samples",
    "digest",
    "distinct",
    "probe_files",
    "samples_of_array",
    "samples_of_files",
    "without_copies",
]

Size = tuple[int, int]
Numbers = NDArray[Any]
Places = NDArray[np.intp]
T = TypeVar("T")
log = logging.getLogger("adacl")

MEMORY_LIMIT = 1 << 30
"""Larger samples, in bytes, live in a temporary file instead of memory."""

LONGEST_SIDE = 64


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
    """

    def __init__(
        self,
        pixels: Stored,
        spec: ImageSpec | None = None,
        owner: Numbers | None = None,
        digests: NDArray[np.uint64] | None = None,
        numbers: Numbers | None = None,
    ) -> None:
        self.pixels = pixels
        self.spec = _form(pixels) if spec is None else spec
        self.owner = np.arange(len(pixels)) if owner is None else owner
        self.digests = np.empty(0, np.uint64) if digests is None else digests
        self.numbers = np.arange(len(pixels)) if numbers is None else numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self.pixels[number] for number in self.numbers)

    def subset(self, places: Numbers | slice) -> Samples:
        """Return the samples at some places among these."""
        return Samples(self.pixels, self.spec, self.owner, self.digests, self.numbers[places])

    def joined(self, others: Samples) -> Samples:
        """Return these samples and others of the same pixels."""
        numbers = np.concatenate([self.numbers, others.numbers])
        return Samples(self.pixels, self.spec, self.owner, self.digests, numbers)

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
        """Return ``size`` samples after another, and what remains."""
        return (self.subset(slice(start, start + size)) for start in range(0, len(self), size))

    def batches(self, device: torch.device, size: int) -> Iterator[torch.Tensor]:
        """Return network input N x C x H x W in [0, 1] of ``size`` samples after another."""
        return (part.tensor(device) for part in self.parts(size))

    def tensor(self, device: torch.device) -> torch.Tensor:
        """Return network input N x C x H x W in [0, 1] of all samples, which must have one size."""
        if isinstance(self.pixels, np.ndarray):
            return self.spec.to_tensor(self.pixels[self.numbers], device)
        return self.spec.to_tensor(np.stack(list(self)), device)


def _form(pixels: Stored) -> ImageSpec:
    shapes = pixels.shapes if isinstance(pixels, Ragged) else [pixels[0].shape]
    height, width, channels = map(int, np.median(shapes, axis=0))
    values = pixels.pixels[None] if isinstance(pixels, Ragged) else np.asarray(pixels)
    return ImageSpec(height, width, channels, values.dtype.name, *value_range(values))


def digest(image: NDArray[Any]) -> int:
    """Hash an image's pixels to 64 bits."""
    pixels = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8)
    return int.from_bytes(pixels.digest(), "little")


def distinct(digests: Sequence[int] | NDArray[Any]) -> tuple[Places, Places]:
    """Tell exact copies apart from the first image of their kind.

    Parameters
    ----------
    digests
        (N,) from :func:`digest`.

    Returns
    -------
    first, group
        Where the first of each distinct image (D,) stands; and which of them each image (N,) is.
    """
    _, first, group = np.unique(
        np.asarray(digests, np.uint64), return_index=True, return_inverse=True
    )
    order = np.argsort(first)
    return first[order], np.argsort(order)[group]


def without_copies(digests: Sequence[int | None]) -> Places:
    """Return where the first of each distinct image stands, and warn if there are copies.

    Parameters
    ----------
    digests
        (N,) from :func:`digest`; if one is not known, all images are taken for distinct.
    """
    known = [value for value in digests if value is not None]
    if len(known) < len(digests):
        return np.arange(len(digests))
    first, _ = distinct(known)
    if len(first) < len(known):
        log.warning(
            "%d images, %d distinct: copies count once for the threshold", len(known), len(first)
        )
    return first


def build_samples(
    images: Iterable[NDArray[Any]],
    shape: tuple[int, int, int],
    dtype: str,
    counts: list[int],
    tiling: Tiling | None,
) -> Samples:
    """Copy images, cut into tiles where asked for, into one array.

    Parameters
    ----------
    images
        H x W x C each; fewer than ``counts`` if some are broken.
    shape, dtype
        Form of a sample.
    counts
        Number of samples that each image is expected to give, at most.
    tiling
        How to cut, or None.

    Raises
    ------
    DataError
        If there is no room for the temporary file.
    """
    samples = _allocate((sum(counts), *shape), dtype)
    owner: list[int] = []
    digests: list[int] = []
    for number, image in enumerate(images):
        parts = tiling.cut(image) if tiling else image[None]
        samples[len(owner) : len(owner) + len(parts)] = parts
        owner += [number] * len(parts)
        digests.append(digest(image))
    return Samples(
        samples[: len(owner)],
        owner=np.array(owner, np.int64),
        digests=np.array(digests, np.uint64),
    )


def build_ragged(
    images: Iterable[NDArray[Any]], shapes: list[tuple[int, int, int]], dtype: str
) -> Samples:
    """Copy images H x W x C of any sizes into one array.

    Parameters
    ----------
    images
        The images; fewer than ``shapes`` if some are broken.
    shapes
        Their shapes, in any order: they tell how much room is needed.
    dtype
        Type of their values.

    Raises
    ------
    DataError
        If there is no room for the temporary file.
    """
    pixels = _allocate((sum(math.prod(shape) for shape in shapes),), dtype)
    copied: list[tuple[int, int, int]] = []
    digests: list[int] = []
    end = 0
    for image in images:
        pixels[end : end + image.size] = image.ravel()
        end += image.size
        height, width, channels = image.shape
        copied.append((height, width, channels))
        digests.append(digest(image))
    return Samples(Ragged(pixels, copied), digests=np.array(digests, np.uint64))


def _allocate(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= MEMORY_LIMIT:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="adacl-") as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        except OSError as error:
            raise DataError(
                f"the decoded images need {size / 2**30:.1f} GiB in {tempfile.gettempdir()} "
                f"({error.strerror}); make room, set TMPDIR, or use a smaller --image-size"
            ) from error
        return np.memmap(file, dtype, "r+", shape=shape)


@dataclass(frozen=True)
class ProbedFiles:
    """Image files that can be read, what each says of itself, and of how many files they are."""

    paths: list[Path]
    headers: list[ImageHeader]
    listed: int

    def sizes(self, resize: Size | None) -> list[Size]:
        """Return height and width of each image, after it is resized if it is."""
        return [resize or (header.height, header.width) for header in self.headers]


def probe_files(paths: list[Path], on_error: OnError) -> ProbedFiles:
    """Read the headers of image files: size, channels and depth.

    Raises
    ------
    DataError
        If no file can be read, or one cannot and ``on_error`` is ``fail``.
    """
    found = list(_readable(paths, probe, on_error))
    return ProbedFiles([path for path, _ in found], [header for _, header in found], len(paths))


def _readable(
    paths: list[Path], read: Callable[[Path], T], on_error: OnError
) -> Iterator[tuple[Path, T]]:
    count = 0
    for found in stream(paths, read, on_error):
        count += 1
        yield found
    if not count:
        raise DataError(f"none of {len(paths)} image files can be read")


def samples_of_files(
    files: ProbedFiles,
    tiling: Tiling | None,
    image_size: Size | None,
    on_error: OnError,
    any_size: bool = False,
) -> tuple[Samples, Size | None]:
    """Decode image files into samples.

    The images become colour if one of them is, and 16-bit if one of them is. Without tiles
    they are resized to one size, unless images of ``any_size`` are wanted.

    Parameters
    ----------
    files
        The files, from :func:`probe_files`.
    tiling
        How to cut the images into tiles, or None.
    image_size
        Height and width to resize to. None leaves images that are to be cut as they are, and
        lets others choose their size, see :class:`~adacl.detector.AnomalyDetector`.
    on_error
        ``fail`` at a broken file, or ``skip`` it.
    any_size
        Whether images without ``image_size`` keep their own.

    Returns
    -------
    samples, size
        The samples, and the size that the files were resized to, if they were.

    Raises
    ------
    DataError
        If no file can be read, or one cannot and ``on_error`` is ``fail``.
    InputError
        If the tiles are larger than the largest image.
    """
    paths, headers = files.paths, files.headers
    channels = max(header.channels for header in headers)
    dtype = "uint16" if any(header.dtype == "uint16" for header in headers) else "uint8"
    read = partial(read_image, channels=channels, dtype=dtype)
    if any_size and not image_size:
        images = _readable(paths, partial(read, size=None), on_error)
        shapes = [(header.height, header.width, channels) for header in headers]
        return build_ragged((image for _, image in images), shapes, dtype), None
    if tiling is None:
        resize: Size | None = image_size or _choose_size(headers)
        side, counts = resize, [1] * len(headers)
    else:
        resize, side = image_size, (tiling.height, tiling.width)
        sizes = files.sizes(resize)
        _check_tile(tiling, np.max(sizes, axis=0))
        counts = [len(tiling.places(*size)) for size in sizes]
    assert side is not None
    images = _readable(paths, partial(read, size=resize), on_error)
    decoded = (image for _, image in images)
    return build_samples(decoded, (*side, channels), dtype, counts, tiling), resize


def samples_of_array(images: NDArray[Any], tiling: Tiling | None) -> Samples:
    """Copy images N x H x W x C, cut into tiles where asked for.

    Raises
    ------
    InputError
        If they are smaller than 8 x 8 pixels, or than a tile.
    """
    height, width, channels = images.shape[1:]
    if tiling is None:
        if min(height, width) < SMALLEST_SIDE:
            raise InputError(
                f"images of {height} x {width} pixels are too small, at least "
                f"{SMALLEST_SIDE} x {SMALLEST_SIDE} are needed; enlarge them"
            )
        shape, each = (height, width, channels), 1
    else:
        _check_tile(tiling, (height, width))
        shape, each = (tiling.height, tiling.width, channels), len(tiling.places(height, width))
    return build_samples(images, shape, images.dtype.name, [each] * len(images), tiling)


def _check_tile(tiling: Tiling, largest: Sequence[int]) -> None:
    if tiling.height > largest[0] or tiling.width > largest[1]:
        raise InputError(
            f"tile {tiling.height}x{tiling.width}: larger than the images, which have at most "
            f"{largest[0]} x {largest[1]} pixels; use a smaller tile or none"
        )


def _choose_size(headers: list[ImageHeader]) -> Size:
    """Choose the size that image files are resized to."""
    sizes = np.array([(header.height, header.width) for header in headers])
    height, width = np.median(sizes, axis=0)
    if (sizes == sizes[0]).all() and max(height, width) <= LONGEST_SIDE:
        chosen = (int(height), int(width))
    else:
        scale = LONGEST_SIDE / max(height, width)
        chosen = (round(height * scale), round(width * scale))
        log.info(
            "images of about %d x %d pixels are resized to %d x %d; for small defects in large "
            "images use --tile, for another size --image-size",
            height,
            width,
            *chosen,
        )
    return max(SMALLEST_SIDE, chosen[0]), max(SMALLEST_SIDE, chosen[1])
