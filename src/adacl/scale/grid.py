"""Run independent cells in parallel, each with a result file of its own.

A cell's file appears only when the cell is finished, and a finished cell is never run again. So a
grid that is killed and started again ends with the same files as an undisturbed one.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import joblib

from adacl.errors import DataError
from adacl.files import atomic_file

__all__ = ["missing_cells", "read_cells", "run_cells"]

Cell = tuple[str, dict[str, Any]]
"""The name of a cell, which is that of its file, and the arguments of its function."""


def _file(folder: Path, name: str) -> Path:
    return folder / "cells" / f"{name}.json"


def missing_cells(cells: Sequence[Cell], folder: Path) -> list[Cell]:
    """Return the cells that have no result yet."""
    return [cell for cell in cells if not _file(folder, cell[0]).exists()]


def run_cells(
    function: Callable[..., dict[str, Any]], cells: Sequence[Cell], folder: Path, jobs: int
) -> Iterator[str]:
    """Run the cells that have no result yet, and yield the name of each as it is done.

    Parameters
    ----------
    function
        Called in another process with a cell's arguments; returns its result.
    cells
        All cells of the grid.
    folder
        Where the results are, in ``cells/``.
    jobs
        Processes at a time; each gets its share of the processor's cores.

    Raises
    ------
    DataError
        If a result cannot be written.
    """
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    threads = max(1, joblib.cpu_count() // jobs)
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(jobs, context, initializer=_prepare, initargs=(threads,)) as pool:
        try:
            waiting = {
                pool.submit(_run, function, _file(folder, name), arguments): name
                for name, arguments in missing_cells(cells, folder)
            }
            for future in as_completed(waiting):
                future.result()
                yield waiting[future]
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


def _run(function: Callable[..., dict[str, Any]], path: Path, arguments: dict[str, Any]) -> None:
    result = function(**arguments)
    with atomic_file(path, "w") as file:
        json.dump(result, file)


def read_cells(folder: Path) -> list[dict[str, Any]]:
    """Read the results of all finished cells in a folder, in the order of their names.

    Raises
    ------
    DataError
        If a result file is damaged.
    """
    results = []
    for path in sorted((folder / "cells").glob("*.json")):
        try:
            results.append(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise DataError(f"{path}: damaged; delete it and run the grid again") from error
    return results
