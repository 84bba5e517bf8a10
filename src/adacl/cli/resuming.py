"""An interrupted fit leaves checkpoints beside the model file, and goes on from them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from adacl.cli.interrupts import InterruptError
from adacl.errors import DataError

__all__ = ["ResumeOption", "resumable"]

ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue an interrupted fit.")]


@contextmanager
def resumable(output: Path, resume: bool) -> Iterator[Path]:
    """Give the folder for the checkpoints of a fit, and remove it when the fit is done.

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
