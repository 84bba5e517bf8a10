"""Run independent cells in parallel, and keep the result of each as a line of one file.

A line is appended when its cell is finished, and a finished cell is not run again. So a grid that
is killed and started again ends with the same results as an undisturbed one, and several processes
may work on one grid.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from adacl.data.reading import processors
from adacl.errors import DataError
from adacl.files import make_folder
from adacl.scale import records
from adacl.scale.engines import Engine, run

FILE = "cells.jsonl"
"""Has a line for each finished cell: its name as ``cell``, and its result."""

Cell = tuple[str, dict[str, Any]]
"""The name of a cell and the arguments of its function."""
Result = dict[str, Any]


def missing_cells(cells: Sequence[Cell], folder: Path) -> list[Cell]:
    """Return the cells that have no result yet."""
    finished = _finished(folder)
    return [cell for cell in cells if cell[0] not in finished]


def run_cells(
    function: Callable[..., Result],
    cells: Sequence[Cell],
    folder: Path,
    jobs: int | None = None,
    engine: Engine | None = None,
) -> Iterator[Result]:
    """Run the cells that have no result yet, and yield the result of each as it is done.

    Parameters
    ----------
    function
        Called in another process with a cell's arguments; returns its result.
    cells
        All cells of the grid.
    folder
        Where the results are, in ``cells.jsonl``; on a cluster, one that all its machines share.
    jobs
        Processes at a time; by default one a core. Each gets its share of the cores, unless the
        variable OMP_NUM_THREADS says how many.
    engine
        Where they run, by default in processes of this machine.

    Raises
    ------
    DataError
        If a result cannot be written, or a process dies again and again.
    """
    make_folder(folder)
    engine = engine or Engine(workers=jobs)
    workers = engine.workers or processors()
    threads = max(1, processors() // workers) if engine.name == "local" else 1
    work = partial(_run, function, folder.absolute(), threads)
    for outcome in run(engine, work, missing_cells(cells, folder)):
        yield outcome.get()


def _run(function: Callable[..., Result], folder: Path, threads: int, cell: Cell) -> Result:
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(threads)
    name, arguments = cell
    found = _finished(folder).get(name)  # another process may have been faster
    if found is None:
        found = {"cell": name, **function(**arguments)}
        records.append(folder / FILE, found)
    return found


def read_cells(folder: Path) -> list[Result]:
    """Read the results of all finished cells in a folder, in the order of their names.

    Raises
    ------
    DataError
        If a result is damaged.
    """
    return [result for _, result in sorted(_finished(folder).items())]


def _finished(folder: Path) -> dict[str, Result]:
    """Return the results by the names of their cells; of two results of a cell, the first."""
    finished: dict[str, Result] = {}
    for result in records.read(folder / FILE):
        if "cell" not in result:
            raise DataError(f"{folder / FILE}: has a line without the name of a cell; delete it")
        finished.setdefault(result["cell"], result)
    return finished
