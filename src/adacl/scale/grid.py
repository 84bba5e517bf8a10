"""Run independent cells in parallel, and keep the result of each as a line of one file.

A line is appended when its cell is finished, and a finished cell is not run again. So a grid that
is killed and started again ends with the same results as an undisturbed one, and several processes
may work on one grid.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from adacl.data.folders import processors
from adacl.errors import DataError
from adacl.scale import records

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
    function: Callable[..., Result], cells: Sequence[Cell], folder: Path, jobs: int | None = None
) -> Iterator[Result]:
    """Run the cells that have no result yet, and yield the result of each as it is done.

    Parameters
    ----------
    function
        Called in another process with a cell's arguments; returns its result.
    cells
        All cells of the grid.
    folder
        Where the results are, in ``cells.jsonl``.
    jobs
        Processes at a time; by default one a core. Each gets its share of the cores.

    Raises
    ------
    DataError
        If a result cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror})") from error
    jobs = jobs or processors()
    threads = max(1, processors() // jobs)
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(jobs, context, initializer=_prepare, initargs=(threads,)) as pool:
        try:
            waiting = [
                pool.submit(_run, function, folder, name, arguments)
                for name, arguments in missing_cells(cells, folder)
            ]
            for future in as_completed(waiting):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                if worker not in others:
                    worker.terminate()
            raise


def _prepare(threads: int) -> None:
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    torch.set_num_threads(threads)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this process when the one that started it is killed, instead of waiting for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _run(
    function: Callable[..., Result], folder: Path, name: str, arguments: dict[str, Any]
) -> Result:
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
