"""Output that is closed, or that nobody reads."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from adacl import AnomalyDetector
from adacl.deploy.export import export_model
from support.helpers import TINY

ADACL = [sys.executable, "-m", "adacl"]
QUICK = ["--epochs", "1", "--set", "training.min_epoch_images=64", "--set", "threshold.folds=2"]


@pytest.fixture(scope="module")
def parts(digits, tmp_path_factory):
    """Return a folder with a model, and what it is exported to, which needs no PyTorch."""
    folder = tmp_path_factory.mktemp("streams")
    AnomalyDetector(config=TINY).fit(digits.of(3)[:60]).save(folder / "model")
    export_model(folder / "model", folder / "model.onnx", dynamic_batch=True)
    return folder


def shell(command, redirection):
    line = f"{shlex.join([*ADACL, *map(str, command)])} {redirection}"
    return subprocess.run(line, shell=True, capture_output=True, text=True, executable="bash")


def unread(command, stream="stdout"):
    """Run a command that writes to a pipe without a reader; return it and the other stream."""
    reader, writer = os.pipe()
    os.close(reader)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: writer}
    try:
        return subprocess.run([*ADACL, *map(str, command)], text=True, **pipes)
    finally:
        os.close(writer)


@pytest.mark.parametrize("form", ["table", "csv"])
def test_a_pipe_without_a_reader_ends_scoring(form, parts, threes):
    done = unread(["score", parts / "model.onnx", threes.test_abnormal, "-q", "--format", form])
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["info", "model", "--json"]])
def test_a_pipe_without_a_reader_ends_other_commands(command, parts):
    done = unread([parts / "model" if part == "model" else part for part in command])
    assert (done.returncode, done.stderr) == (141, "")


def test_head_shows_what_it_wants(parts, threes):
    done = shell(["score", parts / "model.onnx", threes.test_abnormal, "-q"], "| head -1")
    assert done.stdout.startswith("pred_score")
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_a_closed_output_is_no_error(parts, threes, tmp_path):
    output = tmp_path / "records.csv"
    for command in (
        ["info", parts / "model"],
        ["score", parts / "model.onnx", threes.test_normal, "-q"],
        ["score", parts / "model.onnx", threes.test_normal, "-q", "--format", "csv", "-o", output],
        [
            "evaluate",
            parts / "model",
            "-q",
            "--normal",
            threes.test_normal,
            "--abnormal",
            threes.test_abnormal,
        ],
    ):
        done = shell(command, ">&-")
        assert (done.returncode, done.stderr) == (0, "")
    assert len(output.read_text().splitlines()) == 1 + len(list(threes.test_normal.iterdir()))


def test_messages_do_not_go_elsewhere(parts):
    done = shell(["info", parts / "nothing"], "2>&-")
    assert (done.returncode, done.stdout) == (3, "")
    assert unread(["info", parts / "nothing"], "stderr").returncode == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_messages_on_a_full_disk_do_not_end_the_work(parts, threes):
    model = parts / "model.onnx"
    read = ["score", model, threes.test_normal]
    done, quiet = shell(read, "2>/dev/full"), shell(read, "2>/dev/null")
    assert (done.returncode, done.stdout) == (0, quiet.stdout)
    assert shell(["info", parts / "nothing"], "2>/dev/full").returncode == 3


@pytest.mark.parametrize("way", ["closed", "unread"])
def test_a_fit_goes_on_without_messages(way, threes, tmp_path):
    model = tmp_path / "m.adacl"
    command = ["fit", threes.train, "-o", model, *QUICK]
    done = unread(command, "stderr") if way == "unread" else shell(command, "<&- >&- 2>&-")
    assert done.returncode == 0
    assert AnomalyDetector.load(model).threshold_
