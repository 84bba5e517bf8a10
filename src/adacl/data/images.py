"""Decode one image file, safely and the same way everywhere.

Supported: PNG, JPEG, BMP, TIFF, WebP, GIF, JPEG 2000 and the PNM family; 1-, 8- and 16-bit grey,
palette, RGB and RGBA. The EXIF orientation is applied, transparency is laid over black, of several
pages the first is taken. 16-bit colour of PNG and TIFF is read exactly where 16 bits are asked for,
else as 8-bit. What is left out is said in a warning for each file, and in the remark of what was
sent.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from adacl.data.deep_colour import deep_pixels, is_exact, swap_bytes
from adacl.data.jpeg import load_jpeg
from adacl.data.png import check_sums, remarks_at_the_end
from adacl.data.remarks import Heard, tell
from adacl.data.tiff import check_tiff, tiff_kind, white_is_zero
from adacl.errors import ImageError
from adacl.files import open_regular
from adacl.imaging.spec import to_depth

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
MORE_FORMATS = ("DIB", "GIF", "JPEG2000", "PPM")
"""Read from files, but not from what was sent: their decoders are slower, or less tried."""

EXTENSIONS = frozenset(
    f".{kind}"
    for kinds in (
        "png bmp dib tif tiff webp gif jpg jpeg jpe jfif",
        "jp2 j2k jpf jpx j2c jpc pgm ppm pbm pnm",
    )
    for kind in kinds.split()
)
MAX_PIXELS = 1 << 27
"""Larger images are refused: a small file can unpack to any size."""

SMALL_FILE = 1 << 20
MOST_RUNS = 1 << 23
"""Pixels of a BMP compressed by run length: a few bytes unpack to all of them, in Python."""

_SIGNATURES = {
    b"\x1f\x8b": "compressed by gzip",
    b"\xff\xd8": "damaged JPEG",
    b"\x89PNG": "damaged PNG",
    b"GIF8": "damaged GIF",
    b"RIFF": "damaged WebP, or another RIFF file",
    b"BM": "damaged BMP, or of a kind that is not supported",
    b"\x93NUMPY": "a NumPy array; load it and pass it from Python",
    b"II*\0": "damaged TIFF",
    b"MM\0*": "damaged TIFF",
}
_GREY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_DEEP = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_TURNED = frozenset({5, 6, 7, 8})
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class ImageHeader:
    """The header of an image file: size as shown, channels (1 or 3), and depth."""

    height: int
    width: int
    channels: int
    dtype: str


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


@contextmanager
def _opened(
    path: Path | str,
    content: bytes | None = None,
    most: int = MAX_PIXELS,
    dtype: str = "uint16",
    sent: bool = True,
) -> Iterator[Image.Image]:
    """Open an image file, turning whatever goes wrong, here or inside, into an ImageError.

    With the type ``dtype`` of its pixels it is said what of them is left out.
    """
    sent = sent and content is not None
    try:
        file = _content(Path(path)) if content is None else io.BytesIO(content)
        formats = FORMATS if sent else FORMATS + MORE_FORMATS
        with file, Heard() as remarks, _identified(file, formats, remarks) as image:
            if image.width * image.height > most:
                raise _too_large(path, most)
            if _has_runs(image) and image.width * image.height > MOST_RUNS:
                raise ImageError(
                    f"{path}: a BMP of more than {MOST_RUNS // 10**6} megapixels that is "
                    "compressed by run length; save it as PNG"
                )
            if image.mode == "F":
                raise ImageError(
                    f"{path}: floating-point pixels are not supported; save it as 16-bit"
                )
            remarks += _left_out(image, dtype)
            yield image
        if content is None:
            tell(path, remarks)
    except ImageError as error:
        if not str(error).startswith(f"{path}: "):
            raise _unreadable(path, error) from error
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except Image.DecompressionBombError as error:
        raise _too_large(path, most) from error
    except Exception as error:
        raise _unreadable(path, error) from error


def _content(path: Path) -> IO[bytes]:
    """Open a file; a small one is read at once, which lets threads wait for each other less."""
    file = open_regular(path)
    if os.fstat(file.fileno()).st_size > SMALL_FILE:
        return file
    with file:
        return io.BytesIO(file.read())


def _identified(file: IO[bytes], formats: tuple[str, ...], remarks: list[str]) -> Image.Image:
    try:
        image = Image.open(file, formats=formats)
    except UnidentifiedImageError as error:
        raise ImageError(_kind(file, sound=not remarks)) from error
    if isinstance(image, TiffImageFile):
        check_tiff(image.tag_v2)
    return image


def _left_out(image: Image.Image, dtype: str) -> Iterator[str]:
    """Name the parts of an image that are not read as pixels of some type."""
    if getattr(image, "is_animated", False):
        yield "has several pages or frames, of which only the first is read"
    exact = dtype == "uint16" and is_exact(image)
    if image.mode not in _DEEP and not exact and _has_deep_colour(image):
        yield "has more than 8 bits for each colour, of which 8 are read"


def _has_runs(image: Any) -> bool:
    return any(tile.codec_name == "bmp_rle" for tile in image.tile)


def _has_deep_colour(image: Any) -> bool:
    if image.format == "JPEG2000":
        position = image.fp.tell()
        image.fp.seek(0)
        _, marker, size = image.fp.read(SMALL_FILE).partition(b"\xff\x4f\xff\x51")
        image.fp.seek(position)
        return bool(marker) and size[38] & 0x7F > 7
    return any(
        tile.args[-1] > 255 if tile.codec_name.startswith("ppm") else ";16" in str(tile.args)
        for tile in image.tile
    )


def _kind(file: IO[bytes], sound: bool) -> str:
    """Say why Pillow does not know a file."""
    file.seek(0)
    start = file.read(16)
    if sound and start[:4] in (b"II*\0", b"MM\0*"):
        with contextlib.suppress(Exception):  # damaged tags
            return tiff_kind(file)
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            return kind
    return "not an image" if start else "empty file"


def _too_large(path: Path | str, most: int) -> ImageError:
    size = f"{most // 10**6} megapixels" if most >= 10**6 else f"{most} pixels"
    return ImageError(
        f"{path}: more than {size}, refused as a possible decompression bomb; "
        "cut it into smaller images"
    )


def _unreadable(path: Path | str, error: Exception) -> ImageError:
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    else:
        reason = str(error).split(": ")[-1]
    return ImageError(f"{path}: cannot be read ({reason or type(error).__name__})")


def probe(path: Path) -> ImageHeader:
    """Read the header of an image file without decoding its pixels.

    Only PNG files with remarks behind the pixels are decoded: they may say how they are turned.

    Raises
    ------
    ImageError
        If it is not an image of a supported format, or larger than ``MAX_PIXELS``.
    """
    with _opened(path) as image:
        if image.format == "PNG" and remarks_at_the_end(image):
            image.load()
        exif = Image.Image.getexif(image)  # that of PNG decodes the pixels
        turned = image.format != "TIFF" and exif.get(_ORIENTATION) in _TURNED
        width, height = image.size[::-1] if turned else image.size
        channels = 1 if image.mode in _GREY else 3
        deep = image.mode in _DEEP or is_exact(image)
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
    with _opened(path, content, most, dtype, sent) as image:
        remark = "; ".join(_left_out(image, dtype)) if content is not None else ""
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
    file = _content(Path(path)) if content is None else io.BytesIO(content)
    with file, Image.open(file, formats=FORMATS) as image:
        swap_bytes(image)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return image


def header_of(image: Image.Image) -> ImageHeader:
    """Return the header of a decoded image."""
    channels, dtype = 1 if image.mode in _GREY else 3, "uint16" if image.mode in _DEEP else "uint8"
    return ImageHeader(image.height, image.width, channels, dtype)


def pixels_of(
    image: Image.Image,
    channels: int,
    dtype: str = "uint8",
    size: tuple[int, int] | None = None,
    white: int = 65535,
) -> NDArray[Any]:
    """Return the pixels of a decoded image, H x W x C; arguments as for :func:`read_image`.

    Raises
    ------
    ImageError
        If its values are beyond 16 bits.
    """
    if image.mode in _DEEP:
        return _deep_pixels(image, channels, dtype, size, white)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.new("RGBA", rgba.size, "black")
        image.alpha_composite(rgba)
    mode = "L" if channels == 1 else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if size is not None and size != (image.height, image.width):
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    pixels = np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, channels)
    return pixels if dtype == "uint8" else to_depth(pixels, dtype, white)


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
