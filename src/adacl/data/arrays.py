"""Convert arrays, PIL images and tensors to arrays N x H x W x C."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from adacl.data.loaders import loaded
from adacl.data.pixels import header_of, pixels_of
from adacl.errors import ImageError, InputError
from adacl.imaging.spec import SMALLEST_SIDE

Array = NDArray[Any]
MOST_CHANNELS = 4
LARGEST = float(np.finfo(np.float32).max) / 2
"""Values up to which their range fits into 32 bits, too."""
FEWEST_STEPS = 256
"""Steps that 32 bits must leave between the smallest and the largest value."""
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
    """Return images of a generator, Dataset or DataLoader, or paths of pandas, as a list.

    Anything else is returned as it is.

    Raises
    ------
    InputError
        If it is a list of arrays whose shapes or depths differ, or of paths and other things, or a
        table of pandas with paths and further columns.
    """
    images = loaded(images)
    if type(images).__module__.partition(".")[0] == "pandas":
        values = np.asarray(images, object)
        if any(isinstance(value, str | Path) for value in values.flat):
            if values.ndim == 2 and values.shape[1] > 1:
                raise InputError(
                    f"images: a table with the columns {', '.join(map(str, images.columns))}; pass "
                    "only the column of the paths, for example table['path']"
                )
            images = values.ravel().tolist()
    if isinstance(images, Iterator):
        images = list(images)
    if isinstance(images, list | tuple):
        paths = [isinstance(image, str | Path) for image in images]
        if any(paths) and not all(paths):
            raise InputError(
                f"images: {sum(paths)} of {len(paths)} are paths, the others are not; pass paths "
                "alone, or pixels alone"
            )
        shapes = {np.shape(image) for image in images if isinstance(image, np.ndarray)}
        if len(shapes) > 1:
            first, second = sorted(shapes)[:2]
            raise InputError(
                f"images: arrays of {len(shapes)} different shapes, such as {first} and {second}; "
                "resize them to one, or save them as files and pass the folder"
            )
        scales = sorted({_scale(image.dtype) for image in images if hasattr(image, "dtype")} - {""})
        if len(scales) > 1:
            raise InputError(
                f"images: some are {scales[0]} and others {scales[1]}, whose white differs; "
                "convert them to one type, and scale their values to match"
            )
    return images


def _scale(dtype: Any) -> str:
    """Return the type of an array or a tensor if that tells what its white is, else ""."""
    name = str(getattr(dtype, "name", dtype)).removeprefix("torch.")
    if "float" in name:
        return "float"
    return name if name in ("bool", "uint8", "uint16") else ""


def as_numbers(images: Any) -> Array:
    """Return images, or rows, as an array of two dimensions or more.

    Raises
    ------
    InputError
        If there are none, their shapes differ, they are no pixels, values are not finite or
        complex, or they are a list of images with their labels.
    """
    if isinstance(images, list | tuple) and len(images) and _is_labelled(images[0]):
        kinds = ", ".join(type(part).__name__ for part in images[0])
        raise InputError(
            f"images: a list of ({kinds}); pass the first of each alone, [item[0] for item in "
            "images], or the Dataset that they are from"
        )
    try:
        array = np.asarray(images)
    except ValueError as error:
        raise InputError("images: lists of different lengths; pass N x H x W numbers") from error
    if array.ndim and not len(array):
        raise InputError("images: there are none")
    if array.ndim < 2 and array.dtype.kind in "buif":
        raise InputError(
            f"images: got numbers of shape {array.shape}. Reshape your data to N x H x W, "
            "N x H x W x C or rows N x F; of one image N is 1"
        )
    if array.ndim < 2 and not hasattr(images, "toarray"):
        kind = type(array[0] if array.ndim else images).__name__
        if kind == "ndarray":
            raise InputError("images: an array of arrays; pass a list of them, or stack them")
        raise InputError(f"images: need arrays, PIL images, tensors or paths, got {kind}")
    if array.dtype.kind == "c":
        raise InputError(
            "images: Complex data not supported; pass the magnitude, or the real and the imaginary "
            "part as two channels"
        )
    if array.dtype.kind == "f":
        broken = ~np.isfinite(array).reshape(len(array), -1).all(1)
        if count := int(broken.sum()):
            raise InputError(
                f"images: NaN or infinity in {count} of {len(array)}, the first is number "
                f"{int(broken.argmax())}; replace those values, or leave these images out"
            )
    return array


def _is_labelled(item: object) -> bool:
    """Tell whether an item of a list is an image, or its path, with a label or more."""
    if not isinstance(item, list | tuple) or len(item) < 2:
        return False
    if isinstance(item[0], str | os.PathLike | Image.Image):
        return True
    shape, other = (getattr(part, "shape", ()) for part in item[:2])
    return len(shape) > 1 and shape != other


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
    if (
        np.ndim(image_shape) != 1
        or len(image_shape) not in (2, 3)
        or not all(isinstance(size, int | np.integer) and size > 0 for size in image_shape)
    ):
        raise InputError(f"image_shape: need (H, W) or (H, W, C), got {image_shape}")
    height, width, channels = (*image_shape, 1)[:3]
    if height * width * channels != features:
        raise InputError(
            f"image_shape {tuple(image_shape)} holds {height * width * channels} values, but the "
            f"rows have {features}; one image is N x H x W with N = 1"
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
        If the array has another number of dimensions, is one image in colour, or has values that
        32 bits do not hold.
    """
    if array.dtype.kind not in "buif":
        raise InputError(f"images: need numbers, got values of the type {array.dtype}")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 2
    if wide and array.size and max(array.max(), -array.min()) > LARGEST:
        raise InputError(f"images: values beyond {LARGEST:.1e} do not fit into 32 bits; scale them")
    if array.ndim == 2:
        shape = row_shape(array.shape[1], image_shape)
        missing = math.prod(shape) - array.shape[1]
        array = np.pad(array, ((0, 0), (0, missing))).reshape(-1, *shape)
    elif is_one_in_colour(array.shape):
        raise InputError(
            f"images of shape {array.shape}: this looks like one image with {array.shape[2]} "
            "channels; pass N x H x W x C, with N = 1 for one image"
        )
    elif array.ndim == 3:
        array = array[..., None]
    elif array.ndim != 4:
        raise InputError(
            f"images: need N x H x W, N x H x W x C or rows N x F, got shape {array.shape}"
        )
    return array if array.dtype in (np.uint8, np.uint16) else array.astype(np.float32)


def check_precision(array: Array) -> None:
    """Check that 32 bits keep the differences between the values to learn from.

    Raises
    ------
    InputError
        If rounding leaves fewer than ``FEWEST_STEPS`` steps of the range of the values.
    """
    if array.dtype.kind not in "iuf" or not array.size or array.dtype.itemsize < 4:
        return
    least, most = array.min(), array.max()
    low, high = float(least), float(most)
    step = float(np.spacing(np.float32(max(-low, high))))
    kept = array.dtype == np.float32 or (array.dtype.kind != "f" and step <= 1)
    if not kept and least < most and high - low < FEWEST_STEPS * step:
        raise InputError(
            f"images: values from {least} to {most} are rounded to steps of {step:g} in 32 bits; "
            "subtract one number from all images, also from those to score"
        )


def is_one_in_colour(shape: tuple[int, ...]) -> bool:
    """Tell whether a shape is that of one image H x W x C: images N x H x W are wider."""
    return len(shape) == 3 and shape[2] <= MOST_CHANNELS and min(shape[:2]) >= SMALLEST_SIDE


def without_tensors(images: Any) -> Any:
    """Return PyTorch tensors, or a list of them, as an array; anything else as it is.

    Raises
    ------
    InputError
        If tensors are of several shapes, or values of a masked array are masked.
    """
    if any(map(np.ma.is_masked, images if isinstance(images, list | tuple) else [images])):
        raise InputError(
            "images: some values of a masked array are masked, and would be read as if they were "
            "not; fill them with normal pixels (filled), or pass mask for a part of all images"
        )
    if isinstance(images, list | tuple) and len(images) and _is_tensor(images[0]):
        shapes = {tuple(image.shape) for image in images}
        if len(shapes) > 1:
            raise InputError(f"images: tensors of several shapes, {shapes}; pass one at a time")
        return np.stack([without_tensors(image) for image in images])
    if not _is_tensor(images):
        return images
    tensor = images.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _is_tensor(images: Any) -> bool:
    return hasattr(images, "detach") and hasattr(images, "numpy")


def pictures_of(images: Any) -> list[Image.Image] | None:
    """Return PIL images, or one, upright; None if ``images`` are anything else."""
    if isinstance(images, Image.Image):
        images = [images]
    if not isinstance(images, list | tuple) or not len(images):
        return None
    if not all(isinstance(image, Image.Image) for image in images):
        return None
    if any(image.mode == "F" for image in images):
        raise InputError("PIL images of floating-point pixels (mode F); pass them as arrays")
    return [ImageOps.exif_transpose(image) for image in images]


def pictures_as_array(pictures: list[Image.Image], white: int = 65535) -> Array:
    """Return PIL images of one size as an array, in colour or 16 bits if one of them is.

    ``white`` is the full scale of 16-bit values.

    Raises
    ------
    InputError
        If they differ in size, or hold what no model takes.
    """
    headers = [header_of(picture) for picture in pictures]
    sizes = {(header.height, header.width) for header in headers}
    if len(sizes) > 1:
        raise InputError(
            f"PIL images of {len(sizes)} different sizes; resize them to one, or save them as "
            "files and pass the folder"
        )
    channels = max(header.channels for header in headers)
    dtype = "uint16" if any(header.dtype == "uint16" for header in headers) else "uint8"
    try:
        return np.stack([pixels_of(p, channels, dtype, white=white) for p in pictures])
    except ImageError as error:
        raise InputError(f"PIL images: {error}") from error


def channels_last(images: Array, channels: int | None = None) -> Array:
    """Return images N x C x H x W as N x H x W x C where nothing else is possible.

    Parameters
    ----------
    images
        N x H x W x C, or N x C x H x W.
    channels
        Of the model; None before one is fitted, when images have fewer channels than the smallest
        image has rows.
    """
    first, last = images.shape[1], images.shape[3]
    if channels is None:
        turn = first < SMALLEST_SIDE <= min(images.shape[2:])
    else:
        turn = first == channels != last
    return images.transpose(0, 2, 3, 1) if turn else images


def resized(images: Array, size: tuple[int, int]) -> Array:
    """Return images N x H x W x C resized as files are (bilinear, with antialiasing)."""
    if images.shape[1:3] == size:
        return images
    return np.stack([_resized(image, size) for image in images])


def _resized(image: Array, size: tuple[int, int]) -> Array:
    if image.dtype == np.uint8 and image.shape[2] == 3:
        return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
    kind = np.uint8 if image.dtype == np.uint8 else np.float32
    channels = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(image[..., channel], kind)).resize(
                size[::-1], Image.Resampling.BILINEAR
            )
        )
        for channel in range(image.shape[2])
    ]
    pixels = np.stack(channels, axis=2)
    return pixels.round().clip(0, 65535).astype(np.uint16) if image.dtype == np.uint16 else pixels
