"""Grids of cells, and one-vs-rest on real digits in MNIST's format."""

import gzip
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adacl.config import PRESETS, Config
from adacl.data import benchmarks
from adacl.errors import ConfigError, DataError
from adacl.protocols import grid, one_vs_rest
from helpers import slow_square

CELLS = [(f"cell{x}", {"x": x, "delay": 0.0}) for x in range(5)]


def test_cells_are_run_once_and_read_in_order(tmp_path: Path) -> None:
    assert sorted(grid.run_cells(slow_square, CELLS, tmp_path, 2)) == [n for n, _ in CELLS]
    assert [result["square"] for result in grid.read_cells(CELLS, tmp_path)] == [0, 1, 4, 9, 16]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "cells").iterdir()}
    assert list(grid.run_cells(slow_square, CELLS, tmp_path, 2)) == []
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "cells").iterdir()}


def test_a_killed_grid_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    cells = [(f"cell{x}", {"x": x, "delay": 0.4}) for x in range(6)]
    code = (
        "import sys, pathlib\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from adacl.protocols import grid\nfrom helpers import slow_square\n"
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
    process.send_signal(signal.SIGKILL)
    process.wait()
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
        grid.read_cells(CELLS, tmp_path)


@pytest.fixture
def digits_as_mnist(digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Digits 0 to 9, enlarged and written as IDX files; and a preset that is done quickly."""
    folder = tmp_path / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    enlarged = np.stack([np.asarray(Image.fromarray(i).resize((28, 28))) for i in digits.images])
    parts = {"train": slice(0, 1200), "test": slice(1200, None)}
    for split, part in parts.items():
        for file, array in zip(
            benchmarks.get("mnist").files[split],
            (enlarged[part], digits.target[part].astype(np.uint8)),
            strict=True,
        ):
            header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
            (folder / f"{file.name}.gz").write_bytes(gzip.compress(header + array.tobytes()))
    quick = Config().replace(preset="quick", training__min_epoch_images=256)
    monkeypatch.setitem(PRESETS, "quick", quick)
    monkeypatch.setitem(one_vs_rest.EPOCHS, "mnist", 3)
    return tmp_path / "data"


def test_a_cell_records_what_it_did_and_repeats(digits_as_mnist: Path, digits) -> None:
    first, second = (
        one_vs_rest.run_cell("mnist", 3, 0, "quick", digits_as_mnist, "cpu") for _ in range(2)
    )
    assert first["auroc"] > 0.7
    assert first["class"] == "3"
    assert first["epochs"] == 3
    assert first["n_train"] + first["n_validation"] == (digits.target[:1200] == 3).sum()
    assert first["n_test_normal"] + first["n_test_abnormal"] == len(digits.target) - 1200
    assert first["training_gflop"] > 0
    first.pop("training_seconds")
    second.pop("training_seconds")
    assert first == second
    assert json.loads(json.dumps(first)) == first


def test_summary_of_an_incomplete_grid() -> None:
    common = {"training_seconds": 1, "training_gflop": 2, "epochs": 3, "parameters": 4,
              "threads": 1, "versions": {}, "config": {}, "data_sha256": "x"}  # fmt: skip
    results = [
        {"class": "a", "seed": 0, "auroc": 0.9, **common},
        {"class": "a", "seed": 1, "auroc": 0.8, **common},
        {"class": "b", "seed": 0, "auroc": 0.7, **common},
    ]
    summary = one_vs_rest.summarise(results, ["a", "b"])
    assert summary["per_class"]["a"] == {"mean": 85.0, "sd": 7.07, "n": 2}
    assert summary["complete_seeds"] == [0]
    assert summary["mean"] == {"mean": 80.0, "sd": None, "n": 1}
    assert summary["training_seconds"] == 3


def test_unknown_data_sets_are_refused() -> None:
    with pytest.raises(ConfigError, match="known are"):
        one_vs_rest.cells("imagenet", ["cat"], [0], "paper", None, "cpu")
