"""``adacl bench paper`` on tiny data in the official formats, killed and continued."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from adacl.datasets import catalogue
from adacl.protocols.paper import plan

SMALL = {
    "training__epochs": 1,
    "training__min_epoch_images": 128,
    "network__channels": [4, 8],
    "network__hidden": 8,
}
START = """
if __name__ == "__main__":  # the processes of the cells import this file, too
    import multiprocessing
    import sys
    from adacl.cli import main
    from adacl.protocols.paper import pictures, plan

    forked = multiprocessing.get_context("forkserver")  # imports PyTorch once for all of them
    forked.set_forkserver_preload(["adacl.protocols.image.one_vs_rest", "torch._dynamo"])
    multiprocessing.get_context = lambda _: forked
    full = plan.paper_config
    plan.paper_config = pictures.paper_config = lambda source: full(source).replace(**{small})
    sys.exit(main())
"""


def idx(array: np.ndarray) -> bytes:
    sizes = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write the three sets, of noise: 200 images of each class to learn from, 3 to test on."""
    rng = np.random.default_rng(0)
    for name, benchmark in catalogue.BENCHMARKS.items():
        folder = tmp_path / "data" / benchmark.folders[0]
        folder.mkdir(parents=True)
        for split, count in (("train", 2000), ("test", 30)):
            files = benchmark.files[split]
            labels = np.arange(count) % 10
            if name == "cifar10":
                pixels = rng.integers(0, 256, (count, 3072))
                rows = np.concatenate([labels[:, None], pixels], 1).astype(np.uint8)
                for file, part in zip(files, np.split(rows, len(files)), strict=True):
                    (folder / f"{file.name}.bin").write_bytes(part.tobytes())
            else:
                images = rng.integers(0, 256, (count, 28, 28))
                for file, array in zip(files, (images, labels), strict=True):
                    (folder / file.name).write_bytes(idx(array))
    return tmp_path / "data"


def test_it_is_killed_twice_and_goes_on(data: Path, tmp_path: Path) -> None:
    script, out = tmp_path / "start.py", tmp_path / "out"
    script.write_text(START.format(small=SMALL))
    command = [
        sys.executable, script, "bench", "paper", "--data", data, "--out", out, "--quick",
        "--jobs", "1", "--device", "cpu",
    ]  # fmt: skip

    def lines() -> list[str]:
        path = out / "cells.jsonl"
        return path.read_text().splitlines() if path.exists() else []

    for enough in (2, 7):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 120
        try:
            while len(lines()) < enough:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    before = lines()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert lines()[: len(before)] == before, "a finished cell is run again, or lost"
    names = [json.loads(line)["cell"] for line in lines()]
    steps = plan.steps(data, None, out, True, "cpu")
    assert sorted(names) == sorted({name for step in steps for name, _ in step.cells})
    assert "table 1, MNIST: done" in done.stderr
    assert "table 3 is left out" in done.stderr
    assert "in all about" in done.stderr
    page = Path(done.stdout.strip()).read_text()
    for number in range(1, 11):
        assert f'alt="Figure {number}, measured"' in page
    assert "Missing cells: none" in page


def test_the_time_left_follows_the_cells_that_are_done(tmp_path: Path) -> None:
    step = plan.steps(None, None, tmp_path, True, "cpu")[0]
    twice = plan.Step(step.title, step.cells, step.run, tmp_path, step.seconds)
    assert plan.seconds_left([step, twice], 1) == [step.seconds, 0]
    (tmp_path / "cells.jsonl").write_text(
        json.dumps({"cell": step.cells[0][0], "training_seconds": 90.0, "scoring_seconds": 6.0})
    )
    (later,) = [s for s in plan.steps(None, None, tmp_path, True, "cpu") if s.title == "figure 7"]
    factor = 96 / step.seconds
    assert plan.seconds_left([step, later], 1) == [0, pytest.approx(2 * later.seconds * factor)]
    assert plan.seconds_left([step, later], 8)[1] == pytest.approx(later.seconds * factor)


def test_the_full_plan_is_the_papers(tmp_path: Path) -> None:
    full = {s.title: len(s.cells) for s in plan.steps(None, tmp_path, tmp_path, False, "cpu")}
    assert full == {
        "table 1, MNIST": 50,
        "table 1, Fashion-MNIST": 50,
        "table 1, CIFAR-10": 50,
        "table 3, UCSD Ped2": 5,
        "figure 7": 200,
        "figures 8 and 9": 200,
        "table 4": 300,
        "figure 10": 800,
    }
