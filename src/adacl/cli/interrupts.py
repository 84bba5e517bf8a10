"""What Ctrl-C ends a command with: a line that says what is missing, and exit code 130."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adacl.errors import AdaclError

__all__ = ["InterruptError", "interruptible"]


class InterruptError(AdaclError):
    """The user ended the command."""

    exit_code = 130


@contextmanager
def interruptible(unwritten: list[Path]) -> Iterator[None]:
    """Name the files that are not there when Ctrl-C ends the work inside.

    Parameters
    ----------
    unwritten
        The files to be written; take out each as it is complete.

    Raises
    ------
    InterruptError
        If Ctrl-C was pressed.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        names = ", ".join(map(str, unwritten))
        raise InterruptError(
            "interrupted" + (f"; not written: {names}" if names else "")
        ) from error
