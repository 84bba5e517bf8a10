"""Standard streams that are closed or no longer read, and odd names printed to them."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from pathlib import Path
from typing import TextIO

CLOSED_PIPE = 141
"""Exit code when the reader of stdout is gone: 128 plus SIGPIPE, as shells report it."""


CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line separators, and characters that change the direction of writing."""


def open_streams() -> None:
    """Discard what is written to a closed stdout or stderr, so that it reaches no other file.

    File names that are not UTF-8 are printed as they are.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")


def escaped(text: str) -> str:
    """Return a text with the characters escaped that would steer a terminal or start a line."""
    return CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8", errors="surrogateescape")


def abandon(stream: TextIO) -> None:
    """Keep the interpreter from complaining at exit that a stream cannot be flushed."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
