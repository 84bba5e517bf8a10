"""Read the bodies of requests, with bounds on their memory and length."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.types import Receive

from adacl.serve.problems import ProblemError

# What it warns of is answered; on standard error, clients could fill a disk with it.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())

LONGEST_NAME = 200
MOST_FIELDS = 16

_PLAIN = re.compile(r'attachment; filename="([\w. -]*)"', re.ASCII)
"""A Content-Disposition as most clients send it, which need not be parsed."""


class Upload(NamedTuple):
    """A file as it was sent; the name is only ever echoed."""

    name: str
    content: bytes


class Memory:
    """Bytes that the bodies of all requests together hold, up to ``most``."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0


class Reservation:
    """The part of the memory that one request holds; leaving the block frees it."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._held = 0

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, *_: object) -> None:
        self.free(self._held)

    def add(self, count: int) -> None:
        """Hold this many more bytes.

        Raises
        ------
        ProblemError
            503 if there is no room.
        """
        if self._memory.held + count > self._memory.most:
            raise ProblemError(
                503, "too many bytes are being received; try again", headers={"Retry-After": "1"}
            )
        self._memory.held += count
        self._held += count

    def free(self, count: int) -> None:
        """Free this many bytes."""
        self._memory.held -= count
        self._held -= count


async def chunks(
    headers: Headers, receive: Receive, most: int, reservation: Reservation
) -> AsyncIterator[bytes]:
    """Yield the body of a request as it arrives, never empty.

    Raises
    ------
    ProblemError
        415 if it is compressed, 413 if it has more than ``most`` bytes, 503 if there is no room
        for it, and 400 if the client leaves before the end.
    """
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise ProblemError(
            415,
            f"the body is compressed ({_clean_name(coding)}); send it as it is",
            headers={"Accept-Encoding": "identity"},
        )
    declared = headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > most:
        raise _too_long(most)
    received = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ProblemError(400, "the client left before the body was complete")
        chunk: bytes = message.get("body", b"")
        received += len(chunk)
        if received > most:
            raise _too_long(most)
        reservation.add(len(chunk))
        if chunk:
            yield chunk
        if not message.get("more_body"):
            return


def _too_long(most: int) -> ProblemError:
    return ProblemError(413, f"the body is longer than {most} bytes; send fewer or smaller files")


def media_type(headers: Headers) -> str:
    """Return the media type of the body, without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _clean_name(name: str) -> str:
    """Return the last part of a file name, without characters that do not print."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:LONGEST_NAME].strip() or "image"


def sent_name(headers: Headers) -> str:
    """Return the file name of a raw body, from its Content-Disposition."""
    disposition = headers.get("content-disposition")
    if disposition is None:
        return "image"
    if plain := _PLAIN.fullmatch(disposition):
        return _clean_name(plain[1])
    return _file_name(parse_options_header(disposition)[1]) or "image"


def _file_name(options: dict[bytes, bytes]) -> str | None:
    if b"filename" not in options:
        return None
    try:
        return _clean_name(options[b"filename"].decode())
    except UnicodeDecodeError:
        return _clean_name(options[b"filename"].decode("latin-1"))


class Parts:
    """Takes the files out of a multipart body as it arrives; fields without a file are ignored.

    Parameters
    ----------
    content_type
        Header of the request, with the boundary.
    most, file_bytes
        Files that it may have, and bytes of each.

    Attributes
    ----------
    files : list of Upload
        The complete ones; whoever takes them may empty the list.

    Raises
    ------
    ProblemError
        400 if there is no boundary.
    """

    def __init__(self, content_type: str, most: int, file_bytes: int) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise ProblemError(400, "the Content-Type names no boundary; let the client set it")
        self.files: list[Upload] = []
        self._most = most
        self._file_bytes = file_bytes
        self._count = self._fields = 0
        self._ended = False
        self._header = self._value = b""
        self._options: dict[bytes, bytes] = {}
        self._name: str | None = None
        self._content = bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise _malformed(error) from error

    def feed(self, chunk: bytes) -> None:
        """Take a further piece of the body.

        Raises
        ------
        ProblemError
            400 if it is malformed, 413 if there are too many files.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed(error) from error

    def finish(self) -> None:
        """Check that the body came to its end.

        Raises
        ------
        ProblemError
            400 if it did not, or held no file.
        """
        if not self._ended:
            raise ProblemError(400, "the multipart body ends early; its last boundary is missing")
        if not self._count:
            raise ProblemError(
                400, "the multipart body holds no file; send files as parts with names"
            )

    def _on_part_begin(self) -> None:
        self._options, self._name, self._content = {}, None, bytearray()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._options = parse_options_header(self._value)[1]
        self._header = self._value = b""

    def _on_headers_finished(self) -> None:
        self._name = _file_name(self._options)
        if self._name is None:
            self._fields += 1
            if self._fields > MOST_FIELDS:
                raise ProblemError(413, f"more than {MOST_FIELDS} fields without a file")
            return
        self._count += 1
        if self._count > self._most:
            raise ProblemError(413, f"more than {self._most} files; send them in several requests")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name is not None:
            self._content += data[start:end]
            if len(self._content) > self._file_bytes:
                raise ProblemError(
                    413, f"the file is longer than {self._file_bytes} bytes", name=self._name
                )

    def _on_part_end(self) -> None:
        if self._name is not None:
            self.files.append(Upload(self._name, bytes(self._content)))
            self._content = bytearray()

    def _on_end(self) -> None:
        self._ended = True


def _malformed(error: Exception) -> ProblemError:
    return ProblemError(400, f"malformed multipart body ({error})")
