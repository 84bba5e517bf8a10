"""Check where a command will write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from adacl.data.image_files import EXTENSIONS
from adacl.errors import ConfigError, DataError
from adacl.files import check_writable, resolved
from adacl.model.kinds import Kind, check_kind


def check_output(path: Path, kind: Kind, inputs: Iterable[Path] = ()) -> None:
    """Check, before work begins, that a file can be written and replaces none of another kind.

    Parameters
    ----------
    path
        The file.
    kind
        What is written.
    inputs
        Files that the command reads, none of which it may replace.

    Raises
    ------
    ConfigError
        If a file of another kind is there, or one of ``inputs``, or a table is named as Parquet.
    DataError
        As of :func:`adacl.files.check_writable`.
    """
    check_writable(path)
    is_read = resolved(path) in {resolved(one) for one in inputs}
    check_kind(path, kind, unknown=not is_read)
    if kind == "table" and path.suffix.lower() == ".parquet":
        raise ConfigError(
            f"{path}: would hold text; name a .csv or .jsonl file, or write Parquet files with "
            "adacl scale score"
        )
    if is_read:
        raise ConfigError(f"{path}: this command also reads it; name another output")


def check_folder(path: Path, content: str) -> None:
    """Check, before work begins, that a folder of ``content`` can be where a path leads.

    Raises
    ------
    ConfigError
        If it is named as a picture, or a file.
    """
    picture = path.suffix.lower() in EXTENSIONS
    if not path.is_dir() and (picture or path.exists()):
        kind = "named as one picture" if picture else "a file"
        raise ConfigError(
            f"{path}: is {kind}, but a folder of {content} is to be written; name a folder"
        )


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
