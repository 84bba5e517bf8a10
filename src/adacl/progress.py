"""Progress and messages on stderr: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from adacl.history import EpochRecord

__all__ = ["console", "count", "epochs", "messages", "say"]

T = TypeVar("T")

console = Console(stderr=True, highlight=False)
log = logging.getLogger("adacl")


class _ConsoleHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        style = "yellow" if prefix else None
        console.print(prefix + record.getMessage(), style=style, markup=False, soft_wrap=True)


def say(message: str) -> None:
    """Print a line on stderr as it is; paths may hold any characters."""
    console.print(message, soft_wrap=True, markup=False)


@contextmanager
def messages(quiet: bool = False) -> Iterator[None]:
    """Show what adacl logs on stderr, only warnings if ``quiet``."""
    handler = _ConsoleHandler()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _progress(quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )


def count(items: Iterable[T], title: str, total: int, quiet: bool) -> Iterator[T]:
    """Pass items through, counting them on a terminal."""
    with _progress(quiet) as progress:
        yield from progress.track(items, total=total, description=title)


class EpochDisplay:
    """Shows the epochs of one or more trainings; call it with each record."""

    def __init__(self, progress: Progress, epochs: int) -> None:
        self.progress = progress
        self.epochs = epochs
        self.tasks: dict[str, int] = {}

    def __call__(self, stage: str, record: EpochRecord) -> None:
        """Show one more epoch of the training called ``stage``."""
        if stage not in self.tasks:
            self.tasks[stage] = self.progress.add_task(stage, total=self.epochs)
        self.progress.update(self.tasks[stage], completed=record.epoch + 1)  # type: ignore[arg-type]
        log.info(
            "%s, epoch %d of %d: loss %.4f, validation AUROC %.4f, rate %.1e, %.1f s",
            stage,
            record.epoch + 1,
            self.epochs,
            record.loss,
            record.validation_auroc,
            record.rate,
            record.seconds,
        )


@contextmanager
def epochs(total: int, quiet: bool) -> Iterator[EpochDisplay]:
    """Show the epochs of a training of ``total`` epochs each."""
    with _progress(quiet) as progress:
        yield EpochDisplay(progress, total)
