"""Turn image files or arrays into the samples of a training set, memory-mapped when large."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from adacl.data.copies import digest
from adacl.data.extremes import check_cut_off, tell_extremes
from adacl.data.images import probe, read_image
from adacl.data.pixels import ImageHeader
from adacl.data.reading import OnError, stream
from adacl.data.samples import Ragged, Samples
from adacl.errors import DataError, ImageError, InputError
from adacl.imaging.mapped import allocate, release
from adacl.imaging.mask import Mask
from adacl.imaging.spec import SMALLEST_SIDE
from adacl.imaging.tiles import Tiling

Size = tuple[int, int]
T = TypeVar("T")

LONGEST_SIDE = 64

log = logging.getLogger("adacl")


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
    samples = allocate((sum(counts), *shape), dtype)
    owner: list[int] = []
    digests: list[int] = []
    for number, image in enumerate(images):
        parts = tiling.cut(image) if tiling else image[None]
        samples[len(owner) : len(owner) + len(parts)] = parts
        owner += [number] * len(parts)
        digests.append(digest(image))
        release(samples)
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
    pixels = allocate((sum(math.prod(shape) for shape in shapes),), dtype)
    copied: list[tuple[int, int, int]] = []
    digests: list[int] = []
    end = 0
    for image in images:
        pixels[end : end + image.size] = image.ravel()
        end += image.size
        height, width, channels = image.shape
        copied.append((height, width, channels))
        digests.append(digest(image))
        release(pixels)
    return Samples(Ragged(pixels, copied), digests=np.array(digests, np.uint64))


@dataclass(frozen=True)
class ProbedFiles:
    """The readable image files with their headers, and how many files were listed in all."""

    paths: list[Path]
    headers: list[ImageHeader]
    listed: int

    def sizes(self, resize: Size | None) -> list[Size]:
        """Return the height and width of each image, resized if ``resize`` is given."""
        return [resize or (header.height, header.width) for header in self.headers]


def probe_files(paths: list[Path], on_error: OnError) -> ProbedFiles:
    """Read the headers of image files: size, channels and depth.

    Raises
    ------
    DataError
        If no file can be read, or one cannot and ``on_error`` is ``fail``.
    """
    probed = list(_readable(paths, probe, on_error))
    return ProbedFiles([path for path, _ in probed], [header for _, header in probed], len(paths))


def _readable(
    paths: list[Path], read: Callable[[Path], T], on_error: OnError
) -> Iterator[tuple[Path, T]]:
    count = 0
    for readable in stream(paths, read, on_error):
        count += 1
        yield readable
    if not count:
        raise DataError(f"none of {len(paths)} image files can be read")


def samples_of_files(
    files: ProbedFiles,
    tiling: Tiling | None,
    image_size: Size | None,
    on_error: OnError,
    any_size: bool = False,
    white: int | None = None,
    mask: Mask | None = None,
) -> tuple[Samples, Size | None, list[Path]]:
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
    white
        Full scale of 16-bit values; by default the range of values present becomes 0 to 1.
    mask
        Which part of the images is looked at; by default all.

    Returns
    -------
    samples, size, kept
        The samples, the size that the files were resized to, if they were, and the files of the
        images.

    Raises
    ------
    DataError
        If no file can be read, or one cannot and ``on_error`` is ``fail``.
    InputError
        If the tiles are larger than the largest image, or most values lie above ``white``.
    """
    paths, headers = files.paths, files.headers
    channels = max(header.channels for header in headers)
    dtype = "uint16" if any(header.dtype == "uint16" for header in headers) else "uint8"
    read = partial(read_image, channels=channels, dtype=dtype, white=white or 65535)
    tell_mixed(headers, white)
    kept: list[Path] = []
    probed = dict(zip(paths, files.sizes(None), strict=True))

    def read_as_probed(path: Path) -> NDArray[Any]:
        image = read(path)
        if image.shape[:2] != probed[path]:
            raise ImageError(f"{path}: its size changed while the images were read")
        return image

    def decoded(size: Size | None) -> Iterator[NDArray[Any]]:
        reader = partial(read, size=size) if size else read_as_probed
        for path, image in _readable(paths, reader, on_error):
            kept.append(path)
            yield image

    if any_size and not image_size:
        shapes = [(header.height, header.width, channels) for header in headers]
        samples = build_ragged(decoded(None), shapes, dtype)
        return _with_range(samples, white, mask, lambda n: str(kept[n])), None, kept
    if tiling is None:
        resize: Size | None = image_size or _choose_size(headers)
        side, counts = resize, [1] * len(headers)
    else:
        resize, side = image_size, (tiling.height, tiling.width)
        sizes = files.sizes(resize)
        _check_tile(tiling, np.max(sizes, axis=0))
        counts = [len(tiling.corners(*size)) for size in sizes]
    assert side is not None
    samples = build_samples(decoded(resize), (*side, channels), dtype, counts, tiling)
    return _with_range(samples, white, mask, lambda n: str(kept[n])), resize, kept


def _with_range(
    samples: Samples, white: int | None, mask: Mask | None, name: Callable[[int], str]
) -> Samples:
    """Return samples with the range that becomes 0 to 1; tell if it goes badly with the values."""
    samples = samples.with_mask(mask).with_white(white)
    (tell_extremes if white is None else check_cut_off)(samples, name)
    return samples


def tell_mixed(headers: list[ImageHeader], white: int | None) -> None:
    """Warn if images of both depths, or grey and coloured ones, are taken alike.

    ``white`` is as for :func:`samples_of_files`.
    """
    if white is None:
        _tell_depths(headers)
    _tell_colours(headers)


def _tell_depths(headers: list[ImageHeader]) -> None:
    shallow = sum(header.dtype == "uint8" for header in headers)
    if 0 < shallow < len(headers):
        log.warning(
            "%d of %d images have 8 bits, the others 16: all are taken by their full scale; if the "
            "camera has fewer than 16 bits, state its white (--white-level 4095 for 12 bits)",
            shallow,
            len(headers),
        )


def _tell_colours(headers: list[ImageHeader]) -> None:
    coloured = sum(header.channels > 1 for header in headers)
    if 0 < coloured < len(headers):
        log.warning(
            "%d of %d images %s stored in colour (with a palette, too), the others in grey: all "
            "are read as colour; if none shows any, save them all as grey",
            coloured,
            len(headers),
            "is" if coloured == 1 else "are",
        )


def samples_of_array(
    images: NDArray[Any],
    tiling: Tiling | None,
    white: int | None = None,
    mask: Mask | None = None,
) -> Samples:
    """Copy images N x H x W x C, cut into tiles where asked for.

    ``white`` and ``mask`` are as for :func:`samples_of_files`.

    Raises
    ------
    InputError
        If they are smaller than 8 x 8 pixels, or than a tile, or most values lie above ``white``.
    """
    height, width, channels = images.shape[1:]
    if tiling is None:
        if min(height, width) < SMALLEST_SIDE:
            one = channels == 1 and width < SMALLEST_SIDE <= height
            remedy = f", or, if this is one image with {width} channels, pass it with N = 1"
            raise InputError(
                f"images of {height} x {width} pixels are too small, at least "
                f"{SMALLEST_SIDE} x {SMALLEST_SIDE} are needed; enlarge them{remedy if one else ''}"
            )
        shape, each = (height, width, channels), 1
    else:
        _check_tile(tiling, (height, width))
        shape, each = (tiling.height, tiling.width, channels), len(tiling.corners(height, width))
    samples = build_samples(images, shape, images.dtype.name, [each] * len(images), tiling)
    return _with_range(samples, white, mask, lambda number: f"number {number}")


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
