"""Arrays of images in the forms people have them, brought to N x H x W x C."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.errors import InputError

__all__ = ["as_images", "is_paths", "listed", "row_shape"]

Array = NDArray[Any]
SMALLEST_SIDE = 8
SMALLEST_SET = 4
"""Normal images that a training needs."""


def is_paths(images: object) -> bool:
    """Tell whether ``images`` is a path or a sequence of paths, rather than pixels."""
    if isinstance(images, str | os.PathLike):
        return True
    if isinstance(images, np.ndarray) and images.ndim != 1:
        return False
    if isinstance(images, list | tuple | np.ndarray) and len(images):
        return all(isinstance(item, str | Path) for item in images)
    return False


def listed(images: Any) -> Any:
    """Return what a generator yields as a list, and anything else as it is.

    Raises
    ------
    InputError
        If it is a list of arrays whose shapes differ.
    """
    if isinstance(images, Iterator):
        images = list(images)
    if isinstance(images, list | tuple):
        shapes = {np.shape(image) for image in images if isinstance(image, np.ndarray)}
        if len(shapes) > 1:
            first, second = sorted(shapes)[:2]
            raise InputError(
                f"images: arrays of {len(shapes)} different shapes, such as {first} and {second}; "
                "resize them to one, or save them as files and pass the folder"
            )
    return images


def row_shape(features: int, image_shape: tuple[int, ...] | None) -> tuple[int, int, int]:
    """Return height, width and channels of flat rows.

    Without ``image_shape`` a row becomes the smallest square, 8 x 8 at least, that holds it.

    Raises
    ------
    InputError
        If ``image_shape`` is not two or three positive whole numbers, or does not hold exactly
        ``features`` values.
    """
    if image_shape is None:
        side = max(SMALLEST_SIDE, math.isqrt(features - 1) + 1)
        return side, side, 1
    if len(image_shape) not in (2, 3) or not all(
        isinstance(size, int | np.integer) and size > 0 for size in image_shape
    ):
        raise InputError(f"image_shape: need (H, W) or (H, W, C), got {image_shape}")
    height, width, channels = (*image_shape, 1)[:3]
    if height * width * channels != features:
        raise InputError(
            f"image_shape {tuple(image_shape)} holds {height * width * channels} values, but the "
            f"rows have {features}"
        )
    return height, width, channels


def as_images(array: Array, image_shape: tuple[int, ...] | None = None) -> Array:
    """Return images N x H x W x C of type uint8, uint16 or float32.

    Parameters
    ----------
    array
        N x H x W, N x H x W x C, or flat rows N x F. Rows shorter than their image (see
        :func:`row_shape`) are filled up with zeros.
    image_shape
        (H, W) or (H, W, C) of flat rows.

    Raises
    ------
    InputError
        If the array has another number of dimensions.
    """
    if array.ndim == 2:
        shape = row_shape(array.shape[1], image_shape)
        missing = math.prod(shape) - array.shape[1]
        array = np.pad(array, ((0, 0), (0, missing))).reshape(-1, *shape)
    elif array.ndim == 3:
        array = array[..., None]
    elif array.ndim != 4:
        raise InputError(
            f"images: need N x H x W, N x H x W x C or rows N x F, got shape {array.shape}"
        )
    return array if array.dtype in (np.uint8, np.uint16) else array.astype(np.float32)
