"""Progress and messages on stderr: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adacl.cli.support.streams import abandon, escaped
from adacl.words import plural

if TYPE_CHECKING:
    from adacl.model.history import EpochRecord

T = TypeVar("T")

SAY_EVERY = 30.0
"""Seconds between two lines on how far a command is, where no bar can be drawn."""


class _Messages(Console):
    def print(self, *objects: Any, **options: Any) -> None:
        """Print, or go on without messages if their disk is full, as without a reader."""
        try:
            super().print(*objects, **options)
        except OSError:
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Go on without messages if nobody reads them: the work is worth more."""
        self.quiet = True
        abandon(sys.stderr)


console = _Messages(stderr=True, highlight=False)
log = logging.getLogger("adacl")


class _ConsoleHandler(logging.Handler):
    """Shows messages; of a remark on many files only the first, and then their number."""

    def __init__(self) -> None:
        super().__init__()
        self._remarks: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        remark = getattr(record, "remark", None)
        if remark is not None:
            self._remarks[remark] += 1
            if self._remarks[remark] > 1:
                return
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        style = "yellow" if prefix else None
        message = prefix + escaped(record.getMessage())
        console.print(message, style=style, markup=False, soft_wrap=True)

    def count_remarks(self) -> None:
        """Say of how many further files the remarks so far hold."""
        remarks, self._remarks = self._remarks, Counter()
        for remark, count in remarks.items():
            if count > 1:
                further = plural(count - 1, "further file")
                log.warning("the same holds for %s: %s", further, remark)


def say(message: str) -> None:
    """Print a line on stderr; paths may hold any characters."""
    console.print(escaped(message), soft_wrap=True, markup=False)


@contextmanager
def messages(quiet: bool = False) -> Iterator[None]:
    """Show what adacl logs on stderr, only warnings if ``quiet``; of two, the inner one counts."""
    outer = next((h for h in log.handlers if isinstance(h, _ConsoleHandler)), None)
    handler, level = outer or _ConsoleHandler(), log.level
    if not outer:
        log.addHandler(handler)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        handler.count_remarks()
        if not outer:
            log.removeHandler(handler)
        log.setLevel(level)


class Bars(Progress):
    """Bars that, disabled, print nothing at all: rich before 14.3 prints an empty line."""

    def stop(self) -> None:
        """End the bars."""
        if not self.disable:
            super().stop()


def _progress(quiet: bool) -> Progress:
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        speed_estimate_period=600,
        disable=quiet or not console.is_terminal,
    )


def count(items: Iterable[T], title: str, total: int, quiet: bool) -> Iterator[T]:
    """Pass items through, and show how many they are: as ``bar`` does."""
    if quiet or console.is_terminal:
        with _progress(quiet) as progress:
            yield from progress.track(items, total=total, description=title)
        return
    lines = _Lines(title, total)
    for number, item in enumerate(items, start=1):
        yield item
        lines(number)


@contextmanager
def bar(title: str, total: int | None, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, elsewhere a line now and then.

    Call what is yielded with how much is done in all.
    """
    if not quiet and not console.is_terminal:
        yield _Lines(title, total)
        return
    with _progress(quiet) as progress:
        task = progress.add_task(title, total=total)
        yield lambda completed: progress.update(task, completed=completed)


class _Lines:
    """Says how far a command is, every ``SAY_EVERY`` seconds; call it with how much is done."""

    def __init__(self, title: str, total: int | None) -> None:
        self.title = title
        self.total = total
        self._began = self._said = time.monotonic()
        self._before: int | None = None

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if self._before is None:
            self._before, self._began = done, now
        if now - self._said < SAY_EVERY:
            return
        self._said = now
        line = f"{self.title}: {done:,}"
        if self.total is not None:
            line += f" of {self.total:,}"
            if (new := done - self._before) and (left := self.total - done):
                line += f", {about(left * (now - self._began) / new)} left"
        say(line)


class EpochDisplay:
    """Shows the epochs of one or more trainings; call it with each record.

    Parameters
    ----------
    progress
        Where the bar is drawn.
    epochs
        Of each training, at most.
    networks
        How many trainings there are; without it the time left is not told.
    """

    def __init__(self, progress: Progress, epochs: int, networks: int | None) -> None:
        self.progress = progress
        self.epochs = epochs
        self.networks = networks
        self.done = 0
        self.seconds = 0.0
        self.task = progress.add_task("training", total=epochs * (networks or 1))

    def __call__(self, stage: str, record: EpochRecord) -> None:
        """Show one more epoch of the training called ``stage``: ``network``, ``fold 1``, ..."""
        self.done += 1
        self.seconds += record.seconds
        left = self.epochs - record.epoch - 1
        number = 0 if stage == "network" else int(stage.removeprefix("fold "))
        time_left = ""
        if self.networks and number < self.networks:
            stage += f" of {self.networks - 1}" if number else ""
            left += self.epochs * (self.networks - 1 - number)
            time_left = f", {about(left * self.seconds / self.done)} left" if left else ""
        self.progress.update(
            self.task, description=stage, completed=self.done, total=self.done + left
        )
        log.info(
            "%s, epoch %d of %d: loss %.4f, validation AUROC %.4f, %.1f s%s",
            stage,
            record.epoch + 1,
            self.epochs,
            record.loss,
            record.validation_auroc,
            record.seconds,
            time_left,
        )


def about(seconds: float) -> str:
    """Return a time in words, rounded as an estimate is."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"


@contextmanager
def epochs(total: int, quiet: bool, networks: int | None = None) -> Iterator[EpochDisplay]:
    """Show the epochs of ``networks`` trainings, of up to ``total`` epochs each."""
    with _progress(quiet) as progress:
        yield EpochDisplay(progress, total, networks)
