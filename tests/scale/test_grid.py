"""Grids of cells: resumed after a kill, and never read half-written."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adacl.errors import DataError
from adacl.scale import grid
from support.helpers import REPOSITORY, slow_square, write_cell

CELLS = [(f"cell{x}", {"x": x, "delay": 0.0}) for x in range(5)]


def test_cells_are_run_once_and_read_in_order(tmp_path: Path) -> None:
    done = list(grid.run_cells(slow_square, CELLS, tmp_path, 2))
    assert sorted(result["cell"] for result in done) == [name for name, _ in CELLS]
    assert [result["square"] for result in grid.read_cells(tmp_path)] == [0, 1, 4, 9, 16]
    before = (tmp_path / "cells.jsonl").read_bytes()
    assert list(grid.run_cells(slow_square, CELLS, tmp_path, 2)) == []
    assert (tmp_path / "cells.jsonl").read_bytes() == before
    assert len(before.splitlines()) == len(CELLS)


def test_a_cell_that_another_process_finished_is_not_run(tmp_path: Path) -> None:
    cells = [(f"cell{x}", {"x": x, "delay": 0.2}) for x in range(4)]
    running = grid.run_cells(slow_square, cells, tmp_path, 1)
    first = next(running)
    write_cell(tmp_path, "cell3", {"x": 3, "square": -1})
    assert [first["square"], *(result["square"] for result in running)] == [0, 1, 4, -1]
    assert len((tmp_path / "cells.jsonl").read_text().splitlines()) == len(cells)


def test_of_two_results_of_a_cell_the_first_counts(tmp_path: Path) -> None:
    for square in (4, 5):
        write_cell(tmp_path, "cell2", {"x": 2, "square": square})
    assert grid.read_cells(tmp_path) == [{"cell": "cell2", "x": 2, "square": 4}]


def test_a_killed_grid_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    cells = [(f"cell{x}", {"x": x, "delay": 0.4}) for x in range(6)]
    code = (
        "import sys, pathlib\n"
        f"sys.path.insert(0, {str(REPOSITORY / 'tests')!r})\n"
        "from adacl.scale import grid\nfrom support.helpers import slow_square\n"
        f"if __name__ == '__main__': list(grid.run_cells(slow_square, {cells!r}, "
        f"pathlib.Path({str(tmp_path / 'killed')!r}), 1))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script)])
    file = tmp_path / "killed" / "cells.jsonl"
    deadline = time.monotonic() + 60
    while not file.exists() or len(file.read_bytes().splitlines()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers = children.read_text().split() if children.exists() else []
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker outlives the grid"
        time.sleep(0.02)
    assert len(grid.missing_cells(cells, tmp_path / "killed")) > 0
    list(grid.run_cells(slow_square, cells, tmp_path / "killed", 2))
    list(grid.run_cells(slow_square, cells, tmp_path / "undisturbed", 2))
    lines = [
        sorted((tmp_path / folder / "cells.jsonl").read_bytes().splitlines())
        for folder in ("killed", "undisturbed")
    ]
    assert lines[0] == lines[1]
    assert len(lines[0]) == len(cells)


def test_a_half_written_cell_is_run_again(tmp_path: Path) -> None:
    list(grid.run_cells(slow_square, CELLS[:2], tmp_path, 1))
    file = tmp_path / "cells.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    assert [result["cell"] for result in grid.read_cells(tmp_path)] == ["cell0"]
    assert [name for name, _ in grid.missing_cells(CELLS[:2], tmp_path)] == ["cell1"]
    list(grid.run_cells(slow_square, CELLS[:2], tmp_path, 1))
    assert file.read_bytes() == whole


def test_a_line_that_is_no_cell_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cells.jsonl").write_text('{"square": 4}\n')
    with pytest.raises(DataError, match=r"cells\.jsonl: has a line without the name of a cell"):
        grid.read_cells(tmp_path)
