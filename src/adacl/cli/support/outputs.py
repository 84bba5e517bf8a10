"""Check where a command will write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from adacl.data.image_files import EXTENSIONS
from adacl.data.lists import LISTS
from adacl.data.video_words import VIDEO_EXTENSIONS
from adacl.errors import ConfigError, DataError
from adacl.files import check_writable, open_regular, resolved
from adacl.model.exported_file import is_exported

Kind = Literal["model", "export", "table", "video", "page"]

NAMED = {
    **dict.fromkeys(EXTENSIONS, ("image", "an image")),
    **dict.fromkeys(VIDEO_EXTENSIONS, ("video", "a video")),
    **dict.fromkeys(LISTS, ("table", "a list or table")),
    ".toml": ("settings", "a file of settings"),
    ".html": ("page", "a page"),
}
"""By the ending of its name, of what kind a file is, and what it is called."""


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
        If a file of another kind is there, or one of ``inputs``.
    DataError
        As of :func:`adacl.files.check_writable`.
    """
    check_writable(path)
    there = _kind_of(path) if path.is_file() else None
    if there and there[0] != kind:
        raise ConfigError(f"{path}: is {there[1]}, which would be replaced; name another output")
    if resolved(path) in {resolved(one) for one in inputs}:
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


def _kind_of(path: Path) -> tuple[str, str] | None:
    """Tell a model by its first bytes, anything else by its name; None if it is not known."""
    if is_exported(path):
        return "export", "an exported file"
    with open_regular(path) as file:
        start = file.read(9)
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return "model", "a model file"
    return NAMED.get(path.suffix.lower())


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
