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
SeedsOption = Annotated[str, typer.Option(metavar="A..B", help="Seeds, for example 0..4 or 0,2.")]
JobsOption = Annotated[
    int | None, typer.Option(min=1, help="Processes at a time; by default one per core.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Ray cluster to use, whose machines share DIR and the data; auto for the one on this "
        "machine.",
    ),
]


def run_grid(
    function: Callable[..., dict[str, Any]],
    cells: Sequence[Cell],
    out: Path,
    jobs: int | None,
    address: str | None,
    title: str,
    quiet: bool,
) -> None:
    """Run the cells that have no result yet, here or on a Ray cluster, and show progress.

    Raises
    ------
    InterruptError
        If Ctrl-C was pressed.
    """
    from adacl.scale import grid
    from adacl.scale.engines import Engine

    engine = Engine("local" if address is None else "ray", jobs, address)
    try:
        missing = len(grid.missing_cells(cells, out))
        results = grid.run_cells(function, cells, out, engine=engine)
        for result in count(results, title, missing, quiet):
            log.info("done: %s", result["cell"])
    except KeyboardInterrupt as error:
        left = len(grid.missing_cells(cells, out))
        raise InterruptError(
            f"interrupted with {left} cells to do; repeat the same command to continue"
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
