"""``adacl doctor``."""

import errno
import json
import re
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
