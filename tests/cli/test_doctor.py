"""``adacl doctor``."""

import errno
import importlib.metadata
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support.helpers import REPOSITORY, call


def test_doctor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADACL_DATA", str(tmp_path))
    code, out, _ = call("doctor", "--json")
    findings = {finding["topic"]: finding for finding in json.loads(out)}
    assert code == 0
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = project["optional-dependencies"]
    for developers in ("campaign", "dev", "docs"):
        del wanted[developers]
    for extra, requirements in wanted.items():
        finding = findings.pop(f"extra {extra}")
        assert finding["ok"] is ("missing" not in finding["found"])
        for requirement in requirements:
            package = re.match("[a-z0-9-]+", requirement)[0]
            assert package in {"adacl", "uvloop"} or package in finding["found"].replace("_", "-")
    assert not [topic for topic in findings if topic.startswith("extra")]
    assert not findings["data mnist"]["ok"]
    assert "adacl data fetch mnist" in findings["data mnist"]["found"]


def test_doctor_knows_a_module_that_comes_with_another_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def version(package: str) -> str:
        if package == "onnxruntime":  # as onnxruntime-gpu has it
            raise importlib.metadata.PackageNotFoundError(package)
        return "1"

    monkeypatch.setenv("ADACL_DATA", str(tmp_path))
    monkeypatch.setattr("importlib.metadata.version", version)
    code, out, err = call("doctor", "--json")
    findings = {finding["topic"]: finding for finding in json.loads(out)}
    assert (code, err) == (0, "")
    assert findings["extra runtime"]["ok"]
    assert findings["extra runtime"]["found"] == "onnxruntime of another package"


def test_doctor_tells_of_folders_that_cannot_be_used_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setenv("ADACL_DATA", str(tmp_path / ("x" * 300)))
    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    code, out, err = call("doctor", "--json")
    findings = {finding["topic"]: finding for finding in json.loads(out)}
    assert (code, err) == (0, "")
    for topic, words in (("temporary space", "No usable"), ("data cifar10", "cannot be read")):
        assert not findings[topic]["ok"]
        assert words in findings[topic]["found"]


def test_a_current_folder_that_is_gone_is_named_before_libraries_end_the_command(
    parts: Path, tmp_path: Path
) -> None:
    def called(*arguments: object) -> subprocess.CompletedProcess[str]:
        (tmp_path / "gone").mkdir()
        command = shlex.join([sys.executable, "-m", "adacl", *map(str, arguments)])
        gone = f"cd {shlex.quote(str(tmp_path / 'gone'))} && rmdir ../gone && {command}"
        return subprocess.run(["sh", "-c", gone], capture_output=True, text=True, check=False)

    warning = "warning: the current folder is no longer there"
    done = called("doctor", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(warning)
    findings = {finding["topic"]: finding for finding in json.loads(done.stdout)}
    assert not findings["device"]["ok"]
    assert "no current folder" in findings["device"]["found"]
    assert "matrix product" not in findings
    assert called("score", parts / "model", parts / "good").stderr.startswith(warning)
