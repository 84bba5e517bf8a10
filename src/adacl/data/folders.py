"""Find image files."""

from __future__ import annotations

import errno
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from adacl.data.image_files import EXTENSIONS
from adacl.data.lists import is_list, read_list
from adacl.data.video_words import FOR_VIDEOS, VIDEO_EXTENSIONS
from adacl.errors import DataError, MissingDataError
from adacl.words import plural

MOST_TYPES = 8
"""Of the files passed over, the types that are named."""

_PASSED_OVER = {
    errno.ENAMETOOLONG: "its path is too long",
    errno.ENOENT: "no longer there",
    errno.ENOTDIR: "no longer a folder",
}

log = logging.getLogger("adacl")


class ImageFiles:
    """Iterate over image files: those named, in lists too, and those anywhere below folders.

    Within a folder the order is that of the sorted paths. Symbolic links are followed; those
    that lead nowhere or back to a folder above them are named and passed over. Hidden files are
    passed over, files of other types counted by type. Folders are gone through once to count,
    and again each time the files are asked for, so that they need not be kept in memory. What is no
    longer found then is counted and told for each folder.

    Parameters
    ----------
    paths
        A file or folder, or several; for lists see :mod:`adacl.data.lists`.

    Raises
    ------
    MissingDataError
        If a path is not there, or no image is found.
    DataError
        If a folder or list cannot be read.
    """

    def __init__(self, paths: str | Path | Sequence[str | Path]) -> None:
        self.roots = _existing(paths)
        left_out = _LeftOut()
        self._counts = Counter(path.parent for path in _walk_all(self.roots, left_out))
        left_out.tell()
        _check_found(len(self), self.roots, left_out)

    def __len__(self) -> int:
        return self._counts.total()

    def __iter__(self) -> Iterator[Path]:
        gone = self._counts.copy()
        for path in _walk_all(self.roots, _LeftOut(), again=True):
            gone[path.parent] -= 1
            yield path
        for folder, count in gone.items():
            if count > 0:
                images = plural(count, "image")
                log.warning("skipped %s of %s, no longer found there", images, folder)


class Listed(list[Path]):
    """Image files that were found."""


def list_images(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return the paths of :class:`ImageFiles`, all at once; folders are gone through once."""
    roots = _existing(paths)
    left_out = _LeftOut()
    images = Listed(_walk_all(roots, left_out))
    left_out.tell()
    _check_found(len(images), roots, left_out)
    return images


def count_images(path: Path) -> int:
    """Return how many images :func:`list_images` finds, without a word on what is left out."""
    return sum(1 for _ in _walk_all(_existing(path), _LeftOut()))


def without_repeats(paths: Sequence[Path]) -> list[Path]:
    """Return files and folders without those that are named twice, or lie in one named, too.

    Images that a folder leaves out, as hidden ones, stay. What is left out is told.
    """
    absolute = {path: Path(os.path.abspath(path)) for path in paths}  # noqa: PTH100, keeps links
    folders = {absolute[path] for path in paths if path.is_dir()}
    kept: dict[Path, Path] = {}
    for path in paths:
        own = absolute[path]
        above = next((folder for folder in own.parents if folder in folders), None)
        found = path.is_dir() or (path.is_file() and own.suffix.lower() in EXTENSIONS)
        hidden = above and any(part.startswith(".") for part in own.relative_to(above).parts)
        if own in kept or (above and found and not hidden):
            log.warning("%s: named more than once, taken once", path)
        else:
            kept[own] = path
    return list(kept.values())


def each_image(paths: str | Path | Iterable[str | Path]) -> Iterator[Path]:
    """Yield the image files named, as they come, and those of the folders and lists named.

    Unlike :class:`ImageFiles` it asks for one path after another, so that they may come from a
    generator, and leaves it to the reader to tell of files that are not there. A file that was
    found already, and has become a folder since, is such a file.
    """
    if isinstance(paths, ImageFiles | Listed):
        yield from paths
        return
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        inside = False
        with suppress(OSError):
            inside = path.is_dir()
        if inside or is_list(path):
            yield from ImageFiles(path)
        else:
            yield path


def _existing(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    roots = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    for root in roots:
        if not root.exists():
            raise MissingDataError(f"{root}: no such file or folder")
    return roots


def _check_found(count: int, roots: Sequence[Path], left_out: _LeftOut) -> None:
    if not count:
        names = ", ".join(str(root) for root in roots) or "an empty list"
        kinds = ", ".join(sorted(kind[1:] for kind in EXTENSIONS))
        hint = f"; {FOR_VIDEOS}" if left_out.has_videos else ""
        if left_out.has_arrays:
            hint += "; load arrays (.npy) and pass them from Python"
        raise MissingDataError(f"no images found in {names}; looked for {kinds}{hint}")


class _LeftOut:
    """What a walk through folders leaves out: links by name, files of other types by type."""

    def __init__(self) -> None:
        self._skipped: list[str] = []
        self._types: Counter[str] = Counter()

    def skip(self, path: str, reason: str) -> None:
        self._skipped.append(f"{path}: {reason}")

    def count(self, extension: str) -> None:
        self._types[extension or "without an extension"] += 1

    @property
    def has_videos(self) -> bool:
        return not VIDEO_EXTENSIONS.isdisjoint(self._types)

    @property
    def has_arrays(self) -> bool:
        return ".npy" in self._types

    def tell(self) -> None:
        """Log what was left out, the files of other types in one line."""
        for reason in self._skipped:
            log.warning("skipped %s", reason)
        if self._types:
            kinds = [f"{count} {kind}" for kind, count in self._types.most_common(MOST_TYPES)]
            kinds += ["..."] * (len(self._types) > MOST_TYPES)
            count = self._types.total()
            files = "1 file of another type" if count == 1 else f"{count} files of other types"
            log.warning("ignored %s: %s", files, ", ".join(kinds))


def _walk_all(roots: Sequence[Path], left_out: _LeftOut, again: bool = False) -> Iterator[Path]:
    """Yield the images of files, folders and lists.

    If they were found before, and are gone through ``again``, folders and lists that cannot be read
    any more are passed over.
    """
    for root in roots:
        try:
            if root.is_dir():
                yield from map(Path, _walk(str(root), left_out, again=again))
            elif is_list(root):
                yield from read_list(root)
            else:
                yield root
        except DataError as error:
            if not again:
                raise
            log.warning("skipped %s", error)


def walk(root: str, kinds: frozenset[str]) -> Iterator[str]:
    """Yield the files of some kinds, by their endings, below a folder, and tell what is left out.

    Paths are text, because there may be many million.

    Raises
    ------
    DataError
        If a folder cannot be read.
    """
    left_out = _LeftOut()
    yield from _walk(root, left_out, kinds)
    left_out.tell()


def _walk(
    root: str, left_out: _LeftOut, kinds: frozenset[str] = EXTENSIONS, again: bool = False
) -> Iterator[str]:
    entered = [_enter(root, left_out, kinds)]
    while entered:
        path, inside = next(entered[-1].entries, (None, False))
        if path is None:
            entered.pop()
        elif not inside:
            yield path
        else:
            try:
                folder = _enter(path, left_out, kinds)
            except _PassedOverError as error:
                left_out.skip(path, error.reason)
                continue
            except DataError:
                if not again:
                    raise
                continue
            if any(folder.identity == above.identity for above in entered):
                left_out.skip(path, "this link leads back to a folder above it")
            else:
                entered.append(folder)


class _PassedOverError(DataError):
    """A folder lies deeper than the operating system can name, or is there no more."""

    def __init__(self, folder: str, reason: str) -> None:
        super().__init__(f"{folder}: cannot be read ({reason})")
        self.reason = reason


class _Folder(NamedTuple):
    """A folder: which it is on the disk, and its images and folders with whether it is one."""

    identity: tuple[int, int]
    entries: Iterator[tuple[str, bool]]


def _enter(folder: str, left_out: _LeftOut, kinds: frozenset[str]) -> _Folder:
    names = []
    try:
        status = Path(folder).stat()
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    extension = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122, faster
                    try:
                        inside = entry.is_dir()
                    except OSError as error:  # a link to itself
                        left_out.skip(f"{folder}/{entry.name}", str(error.strerror))
                        continue
                    if inside or extension in kinds:
                        names.append((entry.name, inside))
                    else:
                        left_out.count(extension)
    except OSError as error:
        if error.errno in _PASSED_OVER:
            raise _PassedOverError(folder, _PASSED_OVER[error.errno]) from error
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
    prefix = folder if folder.endswith("/") else f"{folder}/"
    found = ((prefix + name, inside) for name, inside in sorted(names))
    return _Folder((status.st_dev, status.st_ino), found)
