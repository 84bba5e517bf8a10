"""From a decoded image to pixels: grey or colour, 8 or 16 bits, of some size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adacl.data.tiff import white_is_zero
from adacl.errors import ImageError
from adacl.imaging.spec import to_depth

GREY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"})
DEEP = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
"""Modes of Pillow without colour, and those of them with more than 8 bits."""


@dataclass(frozen=True)
class ImageHeader:
    """The header of an image file: size as shown, channels (1 or 3), and depth."""

    height: int
    width: int
    channels: int
    dtype: str


def header_of(image: Image.Image) -> ImageHeader:
    """Return the header of a decoded image."""
    channels, dtype = 1 if image.mode in GREY else 3, "uint16" if image.mode in DEEP else "uint8"
    return ImageHeader(image.height, image.width, channels, dtype)


def pixels_of(
    image: Image.Image,
    channels: int,
    dtype: str = "uint8",
    size: tuple[int, int] | None = None,
    white: int = 65535,
) -> NDArray[Any]:
    """Return the pixels of a decoded image, H x W x C.

    The other arguments are as for :func:`adacl.data.images.read_image`.

    Raises
    ------
    ImageError
        If its values are beyond 16 bits, or its colours of a kind that Pillow does not convert.
    """
    if image.mode in DEEP:
        return _deep_pixels(image, channels, dtype, size, white)
    try:
        image = _opaque(image, "L" if channels == 1 else "RGB")
    except ValueError as error:
        raise ImageError(f"{error}; save it as grey or RGB") from error
    if size is not None and size != (image.height, image.width):
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    pixels = np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, channels)
    return pixels if dtype == "uint8" else to_depth(pixels, dtype, white)


def _opaque(image: Image.Image, mode: str) -> Image.Image:
    """Return an image in a mode of Pillow without transparency, which is laid over black."""
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.new("RGBA", rgba.size, "black")
        image.alpha_composite(rgba)
    return image if image.mode == mode else image.convert(mode)


def _deep_pixels(
    image: Image.Image,
    channels: int,
    dtype: str,
    size: tuple[int, int] | None,
    white: int,
) -> NDArray[Any]:
    pixels = np.asarray(image)
    if white_is_zero(image):
        pixels = 65535 - pixels
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ImageError("values beyond 16 bits are not supported; save it as 16-bit")
    if size is not None and size != pixels.shape:
        floating = Image.fromarray(pixels.astype(np.float32))
        resized = floating.resize(size[::-1], Image.Resampling.BILINEAR)
        pixels = np.asarray(resized).round().clip(0, 65535)
    pixels = to_depth(pixels.astype(np.uint16), dtype, white)
    return np.repeat(pixels[..., None], channels, axis=2)
