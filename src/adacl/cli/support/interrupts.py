"""What Ctrl-C ends a command with: what is missing, exit code 130, and a fit to be resumed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from adacl.errors import AdaclError, DataError

__all__ = ["InterruptError", "ResumeOption", "interruptible", "resumable"]

ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue an interrupted fit.")]


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


@contextmanager
def resumable(output: Path, resume: bool) -> Iterator[Path]:
    """Give the folder for the checkpoints of a fit, and remove it when the fit is done.

    An interrupted fit leaves them beside the model file, and goes on from them.

    Raises
    ------
    DataError
        If an interrupted fit is there and is not to be continued.
    InterruptError
        If Ctrl-C was pressed.
    """
    checkpoints = output.with_name(output.name + ".resume")
    if any(checkpoints.glob("*")) and not resume:
        raise DataError(
            f"{checkpoints}: an interrupted fit is there; add --resume to continue it, or delete it"
        )
    try:
        yield checkpoints
    except KeyboardInterrupt as error:
        remedy = "; repeat the command with --resume to go on from here"
        raise InterruptError("interrupted" + remedy * any(checkpoints.glob("*"))) from error
    else:
        shutil.rmtree(checkpoints)
    finally:
        if checkpoints.is_dir() and not any(checkpoints.iterdir()):
            checkpoints.rmdir()
