"""Checks of PNG files that Pillow leaves out: remarks behind the pixels, and checksums."""

from __future__ import annotations

import io
import zlib
from typing import IO, Any

from adacl.errors import ImageError

_PNG_REMARKS = frozenset({b"eXIf", b"iTXt", b"tEXt", b"zTXt"})
"""Chunks of a PNG file that may say how it is turned."""


def remarks_at_the_end(image: Any) -> bool:
    """Tell whether a PNG file has remarks behind its pixels."""
    file: IO[bytes] = image.fp
    start, behind, remarked = file.tell(), False, False
    file.seek(8)
    while not remarked and len(head := file.read(8)) == 8:
        kind = head[4:]
        behind = behind or kind == b"IDAT"
        remarked = behind and kind in _PNG_REMARKS
        file.seek(int.from_bytes(head[:4]) + 4, io.SEEK_CUR)
    file.seek(start)
    return remarked


def check_sums(image: Any) -> None:
    """Check the checksums of the pixels, which Pillow does not look at.

    Raises
    ------
    ImageError
        If one is wrong.
    """
    file: IO[bytes] = image.fp
    start = file.tell()
    file.seek(8)
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        length = int.from_bytes(head[:4])
        if head[4:] != b"IDAT":
            file.seek(length + 4, io.SEEK_CUR)
        elif zlib.crc32(file.read(length), zlib.crc32(b"IDAT")) != int.from_bytes(file.read(4)):
            raise ImageError("damaged image data, whose checksum is wrong")
    file.seek(start)
