"""Find image files, and decode them in parallel with bounded memory."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

from adacl.data.images import EXTENSIONS
from adacl.errors import DataError, ImageError, MissingDataError

__all__ = [
    "ImageFiles",
    "OnError",
    "Skipped",
    "in_order",
    "list_images",
    "pass_over",
    "processors",
    "stream",
]

OnError = Literal["skip", "fail"]
Skipped = tuple[Path, str]
"""A broken file, and what is wrong with it."""

S = TypeVar("S")
T = TypeVar("T")

log = logging.getLogger("adacl")


class ImageFiles:
    """The image files named, and those anywhere below the folders named; may be millions.

    Within a folder the order is that of the sorted paths. Hidden files and files of other
    types are passed over. Symbolic links are followed. Folders are gone through once to count,
    and again each time the files are asked for, so that they need not be kept in memory.

    Parameters
    ----------
    paths
        A file or folder, or several.

    Raises
    ------
    MissingDataError
        If a path is not there, or no image is found.
    DataError
        If a symbolic link leads back to a folder above it, or a folder cannot be read.
    """

    def __init__(self, paths: str | Path | Sequence[str | Path]) -> None:
        self.roots = _existing(paths)
        self._count = sum(1 for _ in self)
        _check_found(self._count, self.roots)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Path]:
        return _walk_all(self.roots)


def list_images(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return the paths of :class:`ImageFiles`, all at once; folders are gone through once."""
    roots = _existing(paths)
    found = list(_walk_all(roots))
    _check_found(len(found), roots)
    return found


def _existing(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    roots = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    for root in roots:
        if not root.exists():
            raise MissingDataError(f"{root}: no such file or folder")
    return roots


def _check_found(count: int, roots: Sequence[Path]) -> None:
    if not count:
        names = ", ".join(str(root) for root in roots) or "an empty list"
        kinds = ", ".join(sorted(kind[1:] for kind in EXTENSIONS))
        raise MissingDataError(f"no images found in {names}; looked for {kinds}")


def _walk_all(roots: Sequence[Path]) -> Iterator[Path]:
    for root in roots:
        if root.is_dir():
            yield from _walk(root, ())
        else:
            yield root


def _walk(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    try:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            raise DataError(f"{folder}: this link leads back to a folder above it; remove it")
        names = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    inside = entry.is_dir()
                    if inside or Path(entry.name).suffix.lower() in EXTENSIONS:
                        names.append((entry.name, inside))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
    for name, inside in sorted(names):
        if inside:
            yield from _walk(folder / name, (*above, identity))
        else:
            yield folder / name


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    items: Iterable[S], work: Callable[[S], T], workers: int | None = None, ahead: int = 4
) -> Iterator[tuple[S, Future[T]]]:
    """Work on items in parallel threads, in order, only a few of them ahead.

    Parameters
    ----------
    items
        Taken one by one, as there is room.
    work
        What to do with each.
    workers
        Threads; by default one a processor.
    ahead
        Items under way for each thread, at most.

    Yields
    ------
    item, future
        In the order of ``items``; the future holds what ``work`` returned or raised.
    """
    count = workers or processors()
    waiting: deque[tuple[S, Future[T]]] = deque()
    with ThreadPoolExecutor(count) as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) == ahead * count:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for _, future in waiting:
                future.cancel()


def stream(
    paths: Iterable[Path],
    read: Callable[[Path], T],
    on_error: OnError = "fail",
    skipped: list[Skipped] | None = None,
    workers: int | None = None,
) -> Iterator[tuple[Path, T]]:
    """Read files in parallel threads, in order, only a few of them ahead.

    Parameters
    ----------
    paths
        The files.
    read
        What to do with each; it may raise :class:`~adacl.errors.ImageError`.
    on_error
        ``skip`` reports a broken file by name and goes on, ``fail`` raises its error.
    skipped
        Receives the files that were skipped, each with the reason.
    workers
        Threads; by default one a processor.

    Yields
    ------
    path, result
        In the order of ``paths``.
    """
    for path, future in in_order(paths, read, workers):
        try:
            result = future.result()
        except ImageError as error:
            pass_over(path, error, on_error, skipped)
        else:
            yield path, result


def pass_over(
    path: Path, error: ImageError, on_error: OnError, skipped: list[Skipped] | None
) -> None:
    """Raise the error of a broken file, or report it and go on, as ``on_error`` says."""
    if on_error == "fail":
        raise error
    log.warning("skipped %s", error)
    if skipped is not None:
        skipped.append((path, str(error).removeprefix(f"{path}: ")))
