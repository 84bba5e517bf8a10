"""Standard streams that are closed, or that nobody reads any more."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TextIO

__all__ = ["CLOSED_PIPE", "abandon", "open_streams"]

CLOSED_PIPE = 141
"""Exit code where the reader of stdout is gone: 128 and SIGPIPE, as a shell tells it."""


def open_streams() -> None:
    """Let what is written to a closed stdout or stderr go nowhere, instead of to another file."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8", errors="surrogateescape")


def abandon(stream: TextIO) -> None:
    """Let the interpreter leave without a complaint that a stream cannot be flushed."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
