"""Open an image file safely: which are read, which are refused, and what of them is left out."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from adacl.data.deep_colour import is_exact
from adacl.data.pixels import DEEP
from adacl.data.remarks import Heard, tell
from adacl.data.tiff import check_tiff, tiff_kind
from adacl.errors import ImageError
from adacl.files import open_regular
from adacl.imaging.spec import MAX_PIXELS

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

_UNSENT = re.compile(rb"GIF8|\0\0\0\x0cjP  |\xff\x4f\xff\x51|P[1-6fy]\s")
"""Starts of ``MORE_FORMATS``."""


class NoMemoryError(ImageError):
    """One image needs more memory than there is, which is not the image's fault."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(
            f"{path}: not enough memory for this image; try again when more is free, or make it "
            "smaller"
        )


@contextmanager
def opened(
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
        file = open_file(Path(path)) if content is None else io.BytesIO(content)
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
            remarks += left_out(image, dtype)
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
    except MemoryError as error:
        raise NoMemoryError(path) from error
    except Exception as error:
        raise _unreadable(path, error) from error


def open_file(path: Path) -> IO[bytes]:
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
        if formats == FORMATS and _is_unsent(file):
            raise ImageError("GIF, JPEG 2000 or PNM; send PNG, JPEG, BMP, TIFF or WebP") from error
        raise ImageError(_kind(file, sound=not remarks)) from error
    if isinstance(image, TiffImageFile):
        check_tiff(image.tag_v2)
    return image


def left_out(image: Image.Image, dtype: str) -> Iterator[str]:
    """Name the parts of an image that are not read as pixels of some type."""
    if getattr(image, "is_animated", False):
        yield "has several pages or frames, of which only the first is read"
    exact = dtype == "uint16" and is_exact(image)
    if image.mode not in DEEP and not exact and _has_deep_colour(image):
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


def _is_unsent(file: IO[bytes]) -> bool:
    """Return whether a file is of a kind that is only read from disk."""
    file.seek(0)
    return bool(_UNSENT.match(file.read(16)))


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
