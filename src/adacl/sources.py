"""From what a user passes, files or arrays, to a store of samples."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.data.arrays import SMALLEST_SIDE
from adacl.data.folders import OnError, stream
from adacl.data.images import ImageHeader, probe, read_image
from adacl.data.store import Store, build_store
from adacl.errors import DataError, InputError
from adacl.imaging.tiles import Tiling

__all__ = ["store_of_array", "store_of_files"]

Array = NDArray[Any]
Size = tuple[int, int]
log = logging.getLogger("adacl")

LONGEST_SIDE = 64


def store_of_files(
    paths: list[Path], tiling: Tiling | None, image_size: Size | None, on_error: OnError
) -> tuple[Store, Size | None]:
    """Decode image files into a store.

    The images become colour if one of them is, and 16-bit if one of them is. Without tiles
    they are resized to one size.

    Parameters
    ----------
    paths
        The files.
    tiling
        How to cut the images into tiles, or None.
    image_size
        Height and width to resize to. None leaves images that are to be cut as they are, and
        lets others choose their size, see :class:`~adacl.detector.AnomalyDetector`.
    on_error
        ``fail`` at a broken file, or ``skip`` it.

    Returns
    -------
    store, size
        The samples, and the size that the files were resized to, if they were.

    Raises
    ------
    DataError
        If no file can be read, or one cannot and ``on_error`` is ``fail``.
    InputError
        If the tiles are larger than the largest image.
    """
    found = list(stream(paths, probe, on_error))
    headers = [header for _, header in found]
    if not headers:
        raise DataError(f"none of {len(paths)} image files can be read")
    channels = max(header.channels for header in headers)
    dtype = "uint16" if any(header.dtype == "uint16" for header in headers) else "uint8"
    if tiling is None:
        resize: Size | None = image_size or _choose_size(headers)
        side, counts = resize, [1] * len(headers)
    else:
        resize, side = image_size, (tiling.height, tiling.width)
        sizes = [resize or (header.height, header.width) for header in headers]
        _check_tile(tiling, np.max(sizes, axis=0))
        counts = [len(tiling.places(*size)) for size in sizes]
    assert side is not None
    read = partial(read_image, channels=channels, dtype=dtype, size=resize)
    images = stream([path for path, _ in found], read, on_error)
    store = build_store((image for _, image in images), (*side, channels), dtype, counts, tiling)
    if len(store) < len(paths):
        log.warning("%d of %d images were skipped", len(paths) - len(store), len(paths))
    return store, resize


def store_of_array(images: Array, tiling: Tiling | None) -> Store:
    """Put images N x H x W x C into a store.

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
    return build_store(images, shape, images.dtype.name, [each] * len(images), tiling)


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
