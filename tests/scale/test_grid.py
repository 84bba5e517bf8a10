"""Grids of cells: resumed after a kill, and never read half-written."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adacl.errors import DataError
from adacl.scale import grid
from support.helpers import REPOSITORY, slow_square

CELLS = [(f"cell{x}", {"x": x, "delay": 0.0}) for x in range(5)]


def test_cells_are_run_once_and_read_in_order(tmp_path: Path) -> None:
    assert sorted(grid.run_cells(slow_square, CELLS, tmp_path, 2)) == [n for n, _ in CELLS]
    assert [result["square"] for result in grid.read_cells(tmp_path)] == [0, 1, 4, 9, 16]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "cells").iterdir()}
    assert list(grid.run_cells(slow_square, CELLS, tmp_path, 2)) == []
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "cells").iterdir()}


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
    folder = tmp_path / "killed" / "cells"
    deadline = time.monotonic() + 60
    while not (folder / "cell1.json").exists():
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
    for name, _ in cells:
        contents = [(tmp_path / k / "cells" / f"{name}.json").read_bytes() for k in
                    ("killed", "undisturbed")]  # fmt: skip
        assert contents[0] == contents[1]


def test_a_half_written_cell_never_counts(tmp_path: Path) -> None:
    list(grid.run_cells(slow_square, CELLS[:1], tmp_path, 1))
    path = tmp_path / "cells" / "cell0.json"
    path.write_text(path.read_text()[:-5])
    with pytest.raises(DataError, match=r"cell0\.json: damaged"):
        grid.read_cells(tmp_path)
