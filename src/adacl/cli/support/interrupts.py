"""End a command on Ctrl-C or SIGTERM: say what is missing, exit with 130, keep a fit resumable."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from adacl.cli.support.progress import say
from adacl.errors import AdaclError, DataError
from adacl.files import target_of

ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue an interrupted fit.")]

LOCK = "lock"

T = TypeVar("T")

log = logging.getLogger("adacl")


class InterruptError(AdaclError):
    """The user ended the command."""

    exit_code = 130


def end_on_sigterm() -> None:
    """Let SIGTERM, by which services and containers are stopped, end a command as Ctrl-C does."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def until_stopped(items: Iterator[T]) -> Iterator[T]:
    """Pass items on until Ctrl-C or SIGTERM, as if they had ended.

    What is done with an item is finished first; a second signal interrupts that, too.
    """
    asked = waiting = False

    def stop(*_: object) -> None:
        nonlocal asked
        if waiting or asked:
            raise KeyboardInterrupt
        asked = True

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard = [number for number, handler in before.items() if callable(handler)]
    for number in heard:
        signal.signal(number, stop)
    try:
        while not asked:
            waiting = True
            item = next(items)
            waiting = False
            yield item
    except StopIteration:
        return
    except KeyboardInterrupt:
        pass
    finally:
        for number in heard:
            signal.signal(number, before[number])
    say("stopped")


@contextmanager
def interruptible(unwritten: list[Path]) -> Iterator[None]:
    """Name the unwritten files if Ctrl-C ends the block.

    Parameters
    ----------
    unwritten
        The files to be written; remove each when it is complete.

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
    """Yield the folder for the checkpoints of a fit; remove it when the fit is done.

    An interrupted fit leaves its checkpoints beside the model file, and continues from them. The
    folder is locked while the fit runs, so that no other fit writes the same model file; the lock
    ends with the process.

    Raises
    ------
    DataError
        If another fit is writing the model file, or checkpoints are there and ``resume`` is not
        set.
    InterruptError
        If Ctrl-C was pressed.
    """
    target = target_of(output)
    checkpoints = target.with_name(target.name + ".resume")
    lock = _locked(checkpoints, output)
    try:
        if _checkpoints_in(checkpoints) and not resume:
            raise DataError(
                f"{checkpoints}: an interrupted fit is there; add --resume to continue it, or "
                "delete it"
            )
        if resume and not _checkpoints_in(checkpoints):
            log.info("no interrupted fit of %s is there to continue; this one begins anew", output)
        try:
            yield checkpoints
        except DataError as error:
            if not _checkpoints_in(checkpoints):
                raise
            raise DataError(
                f"{error}; once that is mended, repeat the command with --resume to go on from here"
            ) from error
    except KeyboardInterrupt as error:
        remedy = "; repeat the command with --resume to go on from here"
        remedy *= bool(_checkpoints_in(checkpoints))
        raise InterruptError(f"interrupted; not written: {output}{remedy}") from error
    else:
        for path in _checkpoints_in(checkpoints):
            path.unlink()
    finally:
        if os.fstat(lock).st_nlink:
            (checkpoints / LOCK).unlink()
        with suppress(OSError):
            checkpoints.rmdir()
        os.close(lock)


def _checkpoints_in(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.name != LOCK]


def _locked(folder: Path, output: Path) -> int:
    """Lock the folder of the checkpoints; closing the returned descriptor frees the lock."""
    try:
        while True:
            folder.mkdir(exist_ok=True)
            try:
                lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:  # another fit has just removed the folder
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(lock)
                raise DataError(
                    f"{output}: another fit is writing it; wait for that to end, stop it, or name "
                    "another file (-o)"
                ) from error
            if os.fstat(lock).st_nlink:
                return lock
            os.close(lock)  # another fit has just removed the file
    except OSError as error:
        raise DataError(f"{folder}: cannot be locked ({error.strerror})") from error
