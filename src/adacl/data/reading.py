"""Read files in parallel threads, in order, with bounded memory."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from adacl.errors import AdaclError, ConfigError, ImageError

OnError = Literal["skip", "fail"]
Skipped = tuple[Path, str]
"""A broken file, and what is wrong with it."""

AHEAD = 4
"""Files under way for each thread that reads, at most."""

_readers: ContextVar[int | None] = ContextVar("readers", default=None)

S = TypeVar("S")
T = TypeVar("T")

log = logging.getLogger("adacl")


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def reading_by(count: int | None) -> Iterator[None]:
    """Read files by so many threads inside; None for one a processor.

    Each of them has ``AHEAD`` decoded images in memory at most.
    """
    before = _readers.set(count)
    try:
        yield
    finally:
        _readers.reset(before)


def in_order(
    items: Iterable[S], work: Callable[[S], T], workers: int | None = None, ahead: int = AHEAD
) -> Iterator[tuple[S, Future[T]]]:
    """Work on items in parallel threads, in order, only a few of them ahead.

    Parameters
    ----------
    items
        Taken one by one, as there is room.
    work
        What to do with each.
    workers
        Threads; by default as :func:`reading_by` says.
    ahead
        Items under way for each thread, at most.

    Yields
    ------
    item, future
        In the order of ``items``; the future holds what ``work`` returned or raised.
    """
    count = workers or _readers.get() or processors()
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
        Threads; by default as :func:`reading_by` says.

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


def check_on_error(value: Any) -> None:
    """Check what to do with a broken file.

    Raises
    ------
    ConfigError
        If it is neither ``skip`` nor ``fail``.
    """
    if value not in get_args(OnError):
        raise ConfigError(f"on_error: need skip or fail, got {value!r}")


def pass_over(
    path: Path, error: AdaclError, on_error: OnError, skipped: list[Skipped] | None
) -> None:
    """Raise the error of a broken file, or report it and go on, as ``on_error`` says."""
    if on_error == "fail":
        raise error
    log.warning("skipped %s", error)
    if skipped is not None:
        skipped.append((path, str(error).removeprefix(f"{path}: ")))
