"""Read and write whole files."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from adacl.errors import AdaclError, DataError, MissingDataError

PREFIX = 50
"""Characters of a file's name that its temporary file bears; the whole may be too long."""

ANYONE_WRITES = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
PRIVATE = 0o077

_READING = threading.Lock()


@contextlib.contextmanager
def atomic_file(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file that takes the place of ``path`` once it is complete.

    A symbolic link is followed. A file that was there hands on its permissions and owner. Names of
    files that are no UTF-8 are written to a text file as they are.

    Raises
    ------
    DataError
        If it cannot be written, see also :func:`target_of`; what was at ``path`` before is then
        untouched.
    """
    target = target_of(path)
    try:
        prefix = f".{target.name[:PREFIX]}."
        handle, temporary = tempfile.mkstemp(prefix=prefix, dir=target.parent)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    complete = False
    try:
        encoding, errors = (None, None) if "b" in mode else ("utf-8", "surrogateescape")
        with os.fdopen(handle, mode, encoding=encoding, errors=errors) as file:
            yield file
        replace_file(Path(temporary), target)
        complete = True
    except OSError as error:
        if isinstance(error, AdaclError | BrokenPipeError) or error.filename not in (
            None,
            temporary,
            str(target),
        ):
            raise
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if not complete:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def make_folder(path: Path) -> None:
    """Make a folder, with those above it, unless it is there.

    Raises
    ------
    DataError
        If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be made ({error.strerror})") from error


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a temporary folder that becomes ``path`` once it is complete, with the folders above.

    Raises
    ------
    DataError
        If it cannot be written; nothing is left then.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name[:PREFIX]}.", dir=path.parent))
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        yield temporary
        try:
            temporary.chmod(0o777 & ~_umask())
            temporary.rename(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    except DataError as error:
        raise DataError(str(error).replace(str(temporary), str(path))) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def create_file(path: Path, content: bytes) -> bool:
    """Write a file, unless one is there already; tell whether it was written.

    It appears whole or not at all. Of several writers one wins, and its file stays.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:PREFIX]}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        return _linked(Path(temporary), path)
    finally:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()


def _linked(temporary: Path, path: Path) -> bool:
    """Give a file its name, unless it is taken, also where the file system has no hard links."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        if path.exists():
            return False
        temporary.rename(path)
    return True


def target_of(path: Path) -> Path:
    """Return the file to write at ``path``: itself, or the target of a symbolic link.

    Raises
    ------
    DataError
        If it is read-only, a link that leads to itself, or a device or a pipe, which the finished
        file would take the place of.
    """
    try:
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        if target.is_symlink():
            raise DataError(f"{path}: this link leads to itself; remove it")
        mode = path.stat().st_mode
    except FileNotFoundError:
        return target
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(f"{path}: is not a file but a device or a pipe; name a file")
    if not (mode & ANYONE_WRITES and os.access(target, os.W_OK)):
        raise DataError(f"{path}: is read-only; make it writable (chmod u+w) or name another file")
    if _others_keep(target):
        raise DataError(
            f"{path}: belongs to another user, and the folder lets only owners replace files; "
            "name another file"
        )
    return target


def _others_keep(target: Path) -> bool:
    """Return whether a file cannot be replaced, because its folder is as /tmp (sticky)."""
    folder, user = target.parent.stat(), os.geteuid()
    sticky = bool(folder.st_mode & stat.S_ISVTX)
    return sticky and user not in (0, target.stat().st_uid, folder.st_uid)


def resolved(path: Path) -> Path:
    """Return where a path leads, also if that is a link to itself, which ``resolve`` refuses."""
    return Path(os.path.realpath(path))


def replace_file(temporary: Path, target: Path) -> None:
    """Replace a file by a complete one, which takes over its permissions and owner.

    It is on the disk before: after a power cut there is the one file or the other.
    """
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    try:
        before = target.stat()
    except FileNotFoundError:
        temporary.chmod(0o666 & ~_umask())
    else:
        with contextlib.suppress(OSError, AttributeError):
            os.chown(temporary, before.st_uid, before.st_gid)
        temporary.chmod(stat.S_IMODE(before.st_mode))
    temporary.replace(target)


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
    """Check, before work begins, that a file can be written at ``path``.

    Raises
    ------
    DataError
        If its folder is not there or not writable, ``path`` is a folder, or as of
        :func:`target_of`.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name a file")
    folder = target_of(path).parent
    if not folder.is_dir():
        raise DataError(f"{path}: the folder {folder} does not exist; make it first")
    if not os.access(folder, os.W_OK):
        raise DataError(f"{path}: the folder {folder} is not writable")


def _umask() -> int:
    """Return what new files are denied; to be read it has to be set, for all threads."""
    with _READING:
        mask = os.umask(PRIVATE)  # what another thread creates now is closed, not open to all
        os.umask(mask)
    return mask
