"""What every command has in common: start-up, help, usage, colour."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.helpers import call, refused


def test_help_and_start_up_import_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['adacl', '--help']; from adacl.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules), 'heavy import'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("demo", "fit", "score", "evaluate", "calibrate", "info", "doctor", "data"):
        assert command in done.stdout


def test_info_needs_no_torch(parts: Path) -> None:
    code = (
        f"import sys; sys.argv = ['adacl', 'info', {str(parts / 'model')!r}]\n"
        "from adacl.cli import main\ntry: main()\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "120 normal images" in done.stdout


def test_version_and_bare_call() -> None:
    assert call("--version")[1].startswith("adacl 0.")
    assert call()[1] == call("--help")[1]


@pytest.mark.parametrize(("before", "after"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_sleep_unless_the_environment_says_otherwise(before, after):
    script = (
        "import atexit, os, sys; from adacl import cli; sys.argv[1:] = ['--version'];"
        "atexit.register(lambda: print(os.environ['OMP_WAIT_POLICY'])); cli.main()"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": before} if before else {}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == after


def test_usage_errors_name_the_help_of_the_command(parts: Path) -> None:
    assert refused(2, "fit").endswith("(see adacl fit --help)")
    assert refused(2, "fit", parts, "-o", parts / "x", "--tile", "a").endswith("adacl fit --help)")
    assert refused(2, "video", "score").endswith("(see adacl video score --help)")
    assert refused(2, "paint").endswith("(see adacl --help)")


def test_no_colour_and_no_progress_when_not_a_terminal(parts: Path) -> None:
    environment = os.environ | {"NO_COLOR": "1"}
    command = [sys.executable, "-m", "adacl", "score", parts / "model.onnx", parts / "good"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert "\x1b" not in done.stdout + done.stderr
