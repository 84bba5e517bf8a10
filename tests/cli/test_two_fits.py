"""Two fits to one model file: the second is refused at once, whatever happens to the first."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from adacl import AnomalyDetector
from adacl.cli.support.interrupts import resumable
from adacl.errors import DataError
from adacl.files import atomic_file
from support.helpers import call, refused

LONG = ["--epochs", "12", "--set", "training.min_epoch_images=1024", "--set",
        "threshold.folds=2", "--set", "training.patience=12", "--set",
        "network.channels=[4, 8]", "--set", "network.hidden=8"]  # fmt: skip
REFUSAL = "another fit is writing it; wait for that to end, stop it, or name another file"


@pytest.fixture
def running(threes, tmp_path):
    """Start a fit that has written a checkpoint."""
    command = [sys.executable, "-m", "adacl", "fit", threes.train, "-o", tmp_path / "m", *LONG]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 120
    while not (tmp_path / "m.resume" / "network.ckpt").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    yield process
    process.kill()
    process.wait()


def test_the_second_is_refused_and_the_first_unharmed(running, threes, tmp_path):
    (tmp_path / "link").symlink_to("m")
    os.kill(running.pid, signal.SIGSTOP)  # so that it runs as long as the others need
    for name in ("m", "link"):
        for resume in ([], ["--resume"]):
            message = refused(3, "fit", threes.train, "-o", tmp_path / name, *LONG, *resume)
            assert f"{tmp_path / name}: {REFUSAL}" in message
    os.kill(running.pid, signal.SIGCONT)
    assert running.wait(120) == 0
    assert AnomalyDetector.load(tmp_path / "m").header.history.epochs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "m"]


def test_a_killed_one_locks_nothing(running, threes, tmp_path):
    running.kill()
    running.wait()
    message = refused(3, "fit", threes.train, "-o", tmp_path / "m", *LONG)
    assert "an interrupted fit is there; add --resume" in message
    assert call("fit", threes.train, "-o", tmp_path / "m", *LONG, "--resume")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_fit_that_cannot_be_written_says_how_to_go_on(tmp_path):
    model = tmp_path / "m"
    failure = pytest.raises(DataError, match=r"cannot be written .*with --resume to go on")
    with failure, resumable(model, False) as checkpoints, atomic_file(model):
        (checkpoints / "network.ckpt").touch()
        model.mkdir()
    assert (checkpoints / "network.ckpt").exists()


def test_the_lock_goes_with_what_held_it(tmp_path):
    model = tmp_path / "m"
    refusal = pytest.raises(DataError, match="another fit is writing it")
    with resumable(model, False), refusal, resumable(model, False):
        pass
    assert not list(tmp_path.iterdir())
    with pytest.raises(RuntimeError), resumable(model, False):
        raise RuntimeError
    with resumable(model, False) as checkpoints:
        (checkpoints / "network.ckpt").touch()
    assert not list(tmp_path.iterdir())
