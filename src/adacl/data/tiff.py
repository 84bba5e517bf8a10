"""Refuse the TIFF files that Pillow reads wrongly, and say of what kind the others are."""

from __future__ import annotations

from typing import IO, Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from adacl.errors import ImageError

REMEDY = "save it as 8-bit grey or colour, or as 16-bit grey"
MOST_SAMPLES = 4
"""Of a pixel in grey and colour files, alpha among them."""

_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANAR, _SUBSAMPLING, _FORMAT = 258, 259, 262, 284, 530, 339
_PHOTOMETRICS = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr"}
_FORMATS = {2: "signed", 3: "floating-point", 4: "untyped", 5: "complex", 6: "complex"}


def check_tiff(tags: Any) -> None:
    """Check the tags of a file that Pillow is about to decode.

    Raises
    ------
    ImageError
        If it would be decoded wrongly.
    """
    bits, plain = max(tags.get(_BITS, (1,))), tags.get(_COMPRESSION, 1) == 1
    subsampled = tags.get(_PHOTOMETRIC) == 6 and tags.get(_SUBSAMPLING, (2, 2)) != (1, 1)
    if bits <= 8 and 2 in tags.get(_FORMAT, ()):
        raise ImageError(f"signed values of {bits} bits; {REMEDY}")
    if tags.get(_PLANAR) == 2 and bits > 8 and plain and len(tags.get(_BITS, (1,))) > 1:
        raise ImageError(f"colour of {bits} bits in separate planes; {REMEDY}")
    if subsampled and plain:
        raise ImageError(f"subsampled colour without compression; {REMEDY}")


def white_is_zero(image: Any) -> bool:
    """Tell whether an image is of a TIFF whose smallest value is white."""
    return hasattr(image, "tag_v2") and image.tag_v2.get(_PHOTOMETRIC) == 0


def tiff_kind(file: IO[bytes]) -> str:
    """Return what a TIFF is, in words, from its tags."""
    file.seek(0)
    tags = ImageFileDirectory_v2(file.read(8))
    file.seek(tags.next)
    tags.load(file)
    bits = tags.get(_BITS, (1,))
    words = " x ".join([str(len(bits))] * (len(bits) > 1) + [str(max(bits))])
    sample = _FORMATS.get(max(tags.get(_FORMAT, (1,))), "")
    colour = _PHOTOMETRICS.get(tags.get(_PHOTOMETRIC, -1), "of unknown colours")
    kind = f"TIFF, {words} bits {sample} {colour}".replace("  ", " ")
    remedy = REMEDY if len(bits) <= MOST_SAMPLES else "pass its pixels as an array, from Python"
    return f"{kind}, which is not supported; {remedy}"
