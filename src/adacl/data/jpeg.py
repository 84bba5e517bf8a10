"""Refuse JPEG files whose image data are damaged.

libjpeg fills in what it cannot decode and warns, but Pillow does not pass the warnings on. What
gives damage away is where the data end: damage shifts what follows, so that the image is complete
before its data are, or the other way round.

Not noticed is damage after which the rest happens to have the right length, or that changes
values alone; in files of several scans or with restart markers only data that end too early are.
"""

from __future__ import annotations

import io
import mmap
import random
import re
import zlib
from typing import NamedTuple

from PIL import Image

from adacl.errors import ImageError

Content = bytes | mmap.mmap

TAIL = 2
"""Bytes that may follow the last that is needed, beside any zeros that a camera fills up with."""

PADDING = b"\xff\x00" * 8
"""What the decoder looks ahead at the end of the data."""

MORE = 16
BLOCK = 1 << 16
MOST_SCANS = 100
"""Each, of a few bytes, makes the decoder go through the whole image."""
STRIP = 64
"""Rows of which a checksum is taken at once, and bytes of rows are copied."""

_MARKER = re.compile(rb"\xff[^\x00\xff]")
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_RESTARTS, _TEMPORARY = range(0xD0, 0xD8), 0x01
_END, _SCAN = 0xD9, 0xDA


class _Layout(NamedTuple):
    """Where the scans of a JPEG lie, and the kind of its frame (its marker)."""

    frame: int
    scans: list[tuple[int, int]]
    restarts: list[int]


def load_jpeg(image: Image.Image) -> None:
    """Decode the pixels of a newly opened image.

    Raises
    ------
    ImageError
        If they are damaged, or come in too many scans.
    """
    file = image.fp  # type: ignore[attr-defined]
    content: Content = (
        file.getvalue()
        if isinstance(file, io.BytesIO)
        else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    )
    layout = _layout(content)
    if layout.frame in _SEQUENTIAL and len(layout.scans) == 1:
        pieces = _pieces(content, *layout.scans[0])

        def read(_: int) -> bytes:
            if not pieces:
                raise ImageError("damaged image data, which end too early")
            return pieces.pop(0)

        image.load_read = read  # type: ignore[attr-defined]
    else:
        pieces = []
    longer = None
    if layout.frame == _PROGRESSIVE or layout.restarts or len(layout.scans) > 1:
        longer = _sum_of_longer(content, layout)
    image.load()
    if pieces:
        raise ImageError("damaged image data, which go on behind the last pixel")
    if longer is not None and longer != _sum(image):
        raise ImageError("damaged image data, which end too early")


def _layout(content: Content) -> _Layout:
    frame, scans, restarts, position = 0, [], [], 2
    while (match := _MARKER.search(content, position)) and match[0][1] != _END:
        marker, position = match[0][1], match.end()
        if marker not in (*_RESTARTS, _TEMPORARY):  # those have no length
            position += int.from_bytes(content[position : position + 2])
        if marker == _SCAN:
            start, number = position, 0
            while (match := _MARKER.search(content, position)) and match[0][1] in _RESTARTS:
                if match[0][1] != _RESTARTS[number % 8]:
                    raise ImageError("damaged image data, of which a part is missing")
                restarts.append(match.start())
                number, position = number + 1, match.end()
            position = match.start() if match else len(content)
            scans.append((start, position))
            if len(scans) > MOST_SCANS:
                raise ImageError(f"a JPEG of more than {MOST_SCANS} scans; save it anew")
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = marker
    return _Layout(frame, scans, restarts)


def _pieces(content: Content, start: int, end: int) -> list[bytes]:
    """Cut a file into what cannot be enough for all pixels, and the rest that must be enough."""
    needed = end
    while needed > start and content[needed - 1] in (0x00, 0xFF):
        needed -= 1
    needed = max(start, needed - TAIL)
    return [content[:needed], content[needed:end] + PADDING]


def _sum_of_longer(content: Content, layout: _Layout) -> int:
    """Return the checksum of what is decoded if more data than are needed end every part."""
    more = bytes(random.Random(0).choices(range(255), k=MORE))
    pieces, place = [], 0
    for end in sorted([*layout.restarts, *(end for _, end in layout.scans)]):
        pieces += [content[place:end], more]
        place = end
    pieces.append(content[place : place + BLOCK])
    with Image.open(io.BytesIO(b"".join(pieces)), formats=["JPEG"]) as longer:
        return _sum(longer)


def _sum(image: Image.Image) -> int:
    total = 0
    for top in range(0, image.height, STRIP):
        strip = image.crop((0, top, image.width, min(top + STRIP, image.height)))
        total = zlib.crc32(strip.tobytes(), total)
    return total
