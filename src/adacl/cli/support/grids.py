"""Run a grid of ``adacl bench``, for images or video."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adacl.cli.support.interrupts import InterruptError
from adacl.cli.support.progress import count

if TYPE_CHECKING:
    from adacl.scale.grid import Cell

log = logging.getLogger("adacl")

OutOption = Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")]
SeedsOption = Annotated[str, typer.Option(metavar="A..B", help="Seeds, as 0..4 or 0,2.")]
JobsOption = Annotated[
    int | None, typer.Option(min=1, help="Processes at a time; by default one a core.")
]


def run_grid(
    function: Callable[..., dict[str, Any]],
    cells: Sequence[Cell],
    out: Path,
    jobs: int | None,
    title: str,
    quiet: bool,
) -> None:
    """Run the cells that have no result yet, and show progress.

    Raises
    ------
    InterruptError
        If Ctrl-C was pressed.
    """
    from adacl.scale import grid

    try:
        missing = len(grid.missing_cells(cells, out))
        for result in count(grid.run_cells(function, cells, out, jobs), title, missing, quiet):
            log.info("done: %s", result["cell"])
    except KeyboardInterrupt as error:
        left = len(grid.missing_cells(cells, out))
        raise InterruptError(
            f"interrupted with {left} cells to do; the same command goes on"
        ) from error


def parse_seeds(text: str) -> list[int]:
    """Read seeds given as 0..4 or 0,2.

    Raises
    ------
    typer.BadParameter
        If they are neither, or negative.
    """
    try:
        first, dots, last = text.partition("..")
        seeds = range(int(first), int(last) + 1) if dots else map(int, text.split(","))
        numbers = sorted(set(seeds))
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 0:
        raise typer.BadParameter(f"{text!r}: need seeds as 0..4 or 0,2")
    return numbers
