"""Decode one image file, safely and the same way everywhere.

Supported: PNG, JPEG, BMP, TIFF, WebP, GIF, JPEG 2000 and the PNM family; 1-, 8- and 16-bit grey,
palette, RGB and RGBA. The EXIF orientation is applied, transparency is laid over black, of several
pages the first is taken. 16-bit colour of PNG and TIFF is read exactly where 16 bits are asked for,
else as 8-bit. What is left out is said in a warning for each file, and in the remark of what was
sent.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from adacl.data.deep_colour import deep_pixels, is_exact, swap_bytes
from adacl.data.image_files import FORMATS, left_out, open_file, opened
from adacl.data.jpeg import load_jpeg
from adacl.data.pixels import DEEP, GREY, ImageHeader, header_of, pixels_of
from adacl.data.png import check_sums, remarks_at_the_end
from adacl.imaging.spec import MAX_PIXELS

_TURNED = frozenset({5, 6, 7, 8})
_ORIENTATION = 0x0112


class Decoded(NamedTuple):
    """A decoded image: its header, and its pixels H x W x C, perhaps resized.

    ``colour`` holds them H x W x 3 in the image's own size, where that was asked for. ``remark``
    says what of an image in memory is not read, and what the model that it was decoded for did not
    learn of such files.
    """

    header: ImageHeader
    pixels: NDArray[Any]
    colour: NDArray[Any] | None = None
    remark: str = ""

    @property
    def height(self) -> int:
        """Its height as shown."""
        return self.header.height

    @property
    def width(self) -> int:
        """Its width as shown."""
        return self.header.width


def probe(path: Path) -> ImageHeader:
    """Read the header of an image file without decoding its pixels.

    Only PNG files with remarks behind the pixels are decoded: they may say how they are turned.

    Raises
    ------
    ImageError
        If it is not an image of a supported format, or larger than ``MAX_PIXELS``.
    """
    with opened(path) as image:
        if image.format == "PNG" and remarks_at_the_end(image):
            image.load()
        exif = Image.Image.getexif(image)  # that of PNG decodes the pixels
        turned = image.format != "TIFF" and exif.get(_ORIENTATION) in _TURNED
        width, height = image.size[::-1] if turned else image.size
        channels = 1 if image.mode in GREY else 3
        deep = image.mode in DEEP or is_exact(image)
        return ImageHeader(height, width, channels, "uint16" if deep else "uint8")


def read_image(
    path: Path,
    channels: int,
    dtype: str = "uint8",
    size: tuple[int, int] | None = None,
    white: int = 65535,
) -> NDArray[Any]:
    """Decode an image file.

    Parameters
    ----------
    path
        The file.
    channels
        1 (colour becomes luminance) or 3 (grey is repeated).
    dtype
        ``uint8`` or ``uint16``; the other depth is scaled to it, full scale to full scale.
    size
        Height and width to resize to (bilinear, with antialiasing), or None.
    white
        Full scale of 16-bit values.

    Returns
    -------
    ndarray
        H x W x C of ``dtype``.

    Raises
    ------
    ImageError
        If the file is damaged, truncated, not an image or too large.
    """
    return decode(path, None, channels, dtype, size, white=white).pixels


def decode(
    path: Path | str,
    content: bytes | None,
    channels: int,
    dtype: str = "uint8",
    size: tuple[int, int] | None = None,
    most: int = MAX_PIXELS,
    colour: bool = False,
    white: int = 65535,
    sent: bool = True,
) -> Decoded:
    """Decode an image that is in memory or, if ``content`` is None, in a file.

    Parameters
    ----------
    path
        The file; of an image in memory the name that errors give it.
    content
        The bytes of the file.
    channels, dtype, size
        As for :func:`read_image`.
    most
        Pixels that it may have, at most.
    colour
        Whether it is also wanted in colour and in its own size.
    white
        Full scale of 16-bit values.
    sent
        Whether bytes come from a stranger: of those, fewer formats are read.

    Raises
    ------
    ImageError
        As for :func:`read_image`.
    """
    with opened(path, content, most, dtype, sent) as image:
        remark = "; ".join(left_out(image, dtype)) if content is not None else ""
        exact = is_exact(image)
        low = _low_bytes(path, content) if exact and dtype == "uint16" else None
        if isinstance(image, JpegImageFile):
            load_jpeg(image)
        elif image.format == "PNG":
            check_sums(image)
        image.load()
        if image.info or isinstance(image, TiffImageFile):  # else nothing says how it is turned
            ImageOps.exif_transpose(image, in_place=True)
        header = replace(header_of(image), dtype="uint16") if exact else header_of(image)
        if low is None:
            pixels = pixels_of(image, channels, dtype, size, white)
            shown = pixels_of(image, 3, dtype, None, white) if colour else None
        else:
            pixels = deep_pixels(image, low, channels, size)
            shown = deep_pixels(image, low, 3) if colour else None
        return Decoded(header, pixels, shown, remark)


def _low_bytes(path: Path | str, content: bytes | None) -> Image.Image:
    """Decode the less significant bytes of an image of 16-bit colour."""
    file = open_file(Path(path)) if content is None else io.BytesIO(content)
    with file, Image.open(file, formats=FORMATS) as image:
        swap_bytes(image)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return image
