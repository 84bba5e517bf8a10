"""Check where a command will write."""

from __future__ import annotations

from pathlib import Path

from adacl.data.image_files import EXTENSIONS
from adacl.errors import ConfigError, DataError
from adacl.files import check_writable


def check_output(path: Path) -> None:
    """Check, before work begins, that a model or records can be written and replace no image.

    Raises
    ------
    ConfigError
        If there is an image.
    DataError
        As of :func:`adacl.files.check_writable`.
    """
    check_writable(path)
    if path.is_file() and path.suffix.lower() in EXTENSIONS:
        raise ConfigError(f"{path}: is an image, which would be replaced; name another output")


class Untouched:
    """A model, or none, as a command finds it in the place where it will write its own.

    Parameters
    ----------
    path
        The place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = _version(path)

    def check(self) -> None:
        """Check that it is still there, and no other.

        Raises
        ------
        DataError
            If another command has written or removed it.
        """
        if (now := _version(self._path)) != self._version:
            happened = "was removed" if now is None else "another command wrote it"
            raise DataError(
                f"{self._path}: {happened} meanwhile, and so it stays; calibrate again, or name "
                "another file (-o)"
            )


def _version(path: Path) -> tuple[int, int] | None:
    """Return what differs once a file has been replaced; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
