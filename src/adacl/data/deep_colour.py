"""Read and write colour of 16 bits exactly, of which Pillow decodes the more significant 8.

Told that the two bytes of each value lie the other way round, Pillow decodes the less significant
ones: the image is decoded twice.
"""

from __future__ import annotations

import struct
import sys
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)

_ORDERS = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""The other way round of each order of bytes; N is that of the processor."""
_RAW = {f"{kind};16{order}" for kind in ("RGB", "RGBX", "RGBA") for order in _ORDERS}


def is_exact(image: Any) -> bool:
    """Tell whether an image that was opened, not decoded yet, has colour that is read exactly."""
    raw = [_raw_mode(tile) for tile in image.tile]
    return bool(raw) and _RAW.issuperset(raw) and "transparency" not in image.info


def swap_bytes(image: Any) -> None:
    """Let an image that was opened, not decoded yet, be decoded to its less significant bytes."""
    image.tile = [tile._replace(args=_swapped(tile.args)) for tile in image.tile]


def _raw_mode(tile: Any) -> str:
    return str(tile.args if isinstance(tile.args, str) else tile.args[0])


def _swapped(args: Any) -> Any:
    if isinstance(args, str):
        return args[:-1] + _ORDERS[args[-1]]
    return (_swapped(args[0]), *args[1:])


def deep_pixels(
    high: Image.Image,
    low: Image.Image,
    channels: int,
    size: tuple[int, int] | None = None,
) -> NDArray[np.uint16]:
    """Return the pixels H x W x C of an image of which both bytes were decoded.

    Transparency is laid over black; for the other arguments see :func:`adacl.data.images.decode`.
    """
    values = np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)
    if values.shape[2] == 4:
        opaque = values[..., 3:].astype(np.float64) / 65535
        values = (values[..., :3] * opaque).round().astype(np.uint16)
    if channels == 1:
        values = (values @ LUMINANCE)[..., None]
    if size is not None and size != values.shape[:2]:
        planes = [Image.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(values, 2, 0)]
        resized = [plane.resize(size[::-1], Image.Resampling.BILINEAR) for plane in planes]
        values = np.stack([np.asarray(plane) for plane in resized], 2)
    whole: NDArray[np.uint16] = values.round().clip(0, 65535).astype(np.uint16)
    return whole


def as_png(pixels: NDArray[np.uint16]) -> bytes:
    """Return the PNG file of an image H x W x 3, which Pillow writes with 8 bits alone."""
    height, width, _ = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    plain = np.pad(rows, ((0, 0), (1, 0)))  # the 0 before each row says: not filtered
    form = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    content = _chunk(b"IHDR", form) + _chunk(b"IDAT", zlib.compress(plain.tobytes(), 1))
    return b"\x89PNG\r\n\x1a\n" + content + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
