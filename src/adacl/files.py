"""Read and write files whole."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from adacl.errors import AdaclError, DataError, MissingDataError

__all__ = ["atomic_file", "check_writable", "open_regular", "read_whole"]


@contextlib.contextmanager
def atomic_file(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file that takes the place of ``path`` once it is complete.

    Names of files that are no UTF-8 are written to a text file as they are.

    Raises
    ------
    DataError
        If it cannot be written; what was at ``path`` before is then untouched.
    """
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    complete = False
    try:
        encoding, errors = (None, None) if "b" in mode else ("utf-8", "surrogateescape")
        with os.fdopen(handle, mode, encoding=encoding, errors=errors) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
        complete = True
    except OSError as error:
        if isinstance(error, AdaclError) or error.filename not in (None, temporary):
            raise
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if not complete:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def open_regular(path: Path) -> IO[bytes]:
    """Open a file to read it; opening a pipe would wait for ever, a device could act.

    Raises
    ------
    OSError
        If it is not there, cannot be opened, or is not a regular file.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
        kind = kinds.get(stat.S_IFMT(mode), "device")
        raise OSError(errno.EINVAL, f"a {kind}, not a file", str(path))
    return path.open("rb")


def read_whole(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    MissingDataError
        If it is not there, or cannot be read.
    """
    try:
        with open_regular(path) as file:
            return file.read()
    except FileNotFoundError as error:
        raise MissingDataError(f"{path}: no such file") from error
    except OSError as error:
        raise MissingDataError(f"{path}: cannot be read ({error.strerror})") from error


def check_writable(path: Path) -> None:
    """Check, before the work is done, that a file can be written at ``path``.

    Raises
    ------
    DataError
        If its folder is not there or not writable, or ``path`` is a folder or a device, which
        the finished file would take the place of.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name a file")
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is not a file but a device or a pipe; name a file")
    if not path.parent.is_dir():
        raise DataError(f"{path}: the folder {path.parent} does not exist; make it first")
    if not os.access(path.parent, os.W_OK):
        raise DataError(f"{path}: the folder {path.parent} is not writable")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
