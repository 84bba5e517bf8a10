"""Ctrl-C and SIGTERM: what is said, what stays, and how to go on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from support.helpers import call, refused

OPTIONS = [
    "--epochs", "12", "--set", "training.min_epoch_images=256", "--set", "threshold.folds=2",
    "--set", "training.patience=12", "--set", "network.channels=[4, 8]", "--set",
    "network.hidden=8",
]  # fmt: skip
BEGINS = "is there to continue; this one begins anew"


@pytest.fixture(scope="module")
def undisturbed(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    target = tmp_path_factory.mktemp("undisturbed") / "m"
    code, _, err = call("fit", parts / "train", "-o", target, *OPTIONS, "--resume")
    assert (code, BEGINS in err) == (0, True)
    return target.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_a_resumable_state_and_resuming_changes_nothing(
    parts: Path, undisturbed: bytes, tmp_path: Path, number: signal.Signals
) -> None:
    target = tmp_path / "m"
    command = [sys.executable, "-m", "adacl", "fit", str(parts / "train"), "-o", str(target)]
    process = subprocess.Popen(
        [*command, *OPTIONS],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "m.resume" / "network.ckpt").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"interrupted; not written: {target}; repeat the command with --resume" in err
    assert "Traceback" not in err
    assert not target.exists()

    assert "--resume" in refused(3, "fit", parts / "train", "-o", target, *OPTIONS)
    other = ["fit", parts / "train", "-o", target, *OPTIONS, "--seed", "5", "--resume"]
    assert "other data or settings" in refused(4, *other)
    code, _, err = call("fit", parts / "train", "-o", target, *OPTIONS, "--resume")
    assert (code, BEGINS in err) == (0, False)
    assert not (tmp_path / "m.resume").exists()
    assert target.read_bytes() == undisturbed


STOPPED = """
import os, signal
from adacl.cli.support.interrupts import end_on_sigterm, until_stopped

end_on_sigterm()
before, written = signal.getsignal(signal.SIGTERM), []
for number in until_stopped(iter(range(9))):
    if number == 3:
        os.kill(os.getpid(), signal.SIGTERM)
    written.append(number)
assert written == [0, 1, 2, 3]
assert signal.getsignal(signal.SIGTERM) is before
assert list(until_stopped(iter(range(3)))) == [0, 1, 2]
stream = until_stopped(iter(range(9)))
next(stream)
os.kill(os.getpid(), signal.SIGTERM)
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("stopped at once")
"""


def test_a_stream_is_stopped_between_two_records_and_a_second_signal_stops_those() -> None:
    """Whatever is being written when the signal comes."""
    run = [
        sys.executable,
        "-c",
        f"import signal\nsignal.signal(2, signal.default_int_handler){STOPPED}",
    ]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "stopped at once\n"), done.stderr


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_interrupted_commands_say_what_was_not_written(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, records, new = (tmp_path / name for name in ("page.html", "records.txt", "new"))
    score = ["score", parts / "model", parts / "good"]
    evaluate = [
        "evaluate",
        parts / "model",
        "--normal",
        parts / "good",
        "--abnormal",
        parts / "bad",
    ]
    with monkeypatch.context() as patch:
        patch.setattr("adacl.cli.score.report_scores", interrupt)
        patch.setattr("adacl.cli.evaluate.report_scores", interrupt)
        for command in (score, evaluate):
            assert refused(130, *command, "--report", page).endswith(f"not written: {page}")
        assert records.name not in refused(130, *score, "--report", page, "-o", records)
        assert records.exists()
    with monkeypatch.context() as patch:
        patch.setattr("adacl.cli.score.write_records", interrupt)
        assert refused(130, *score) == "adacl: interrupted"
        message = refused(130, *score, "--report", page, "-o", records)
        assert message == f"adacl: interrupted; not written: {records}, {page}"
    monkeypatch.setattr("adacl.deploy.export.export_model", interrupt)
    monkeypatch.setattr("adacl.image_detector.ImageDetector.from_model", interrupt)
    monkeypatch.setattr("adacl.deploy.opening.read_header", interrupt)
    for command in (["export", parts / "model", page.with_suffix(".onnx")],
                    ["calibrate", parts / "model", parts / "good", "-o", new]):  # fmt: skip
        assert refused(130, *command).endswith(f"not written: {command[-1]}")
    assert refused(130, "info", parts / "model") == "adacl: interrupted"


def test_an_interrupt_while_python_ends_changes_nothing(parts: Path) -> None:
    code = (
        "import atexit, os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        f"sys.argv = ['adacl', 'info', {str(parts / 'model')!r}]\n"
        "from adacl.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


SIGNALLED_TWICE = """
import os, signal, sys
from adacl import cli
from adacl.cli.support.interrupts import interruptible

def work():
    try:
        yield
    finally:
        os.kill(os.getpid(), signal.SIGTERM)

@cli.app.command("wait")
def wait():
    with interruptible([]):
        items = work()
        next(items)
        os.kill(os.getpid(), signal.SIGTERM)

sys.argv = ["adacl", "wait"]
cli.main()
"""


def test_a_second_signal_does_not_disturb_the_end() -> None:
    """As `timeout` sends it, while what reads files ahead is being closed."""
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED_TWICE], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (130, "adacl: interrupted\n")
