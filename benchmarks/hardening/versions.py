"""Record how the tests went with the libraries of this environment.

Called by versions.sh::

    python -m benchmarks.hardening.versions lowest .venv-lowest/tests.xml
"""

from __future__ import annotations

import argparse
import platform
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import earlier


def main() -> None:
    """Add one run of the tests to the file of results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("which", choices=["lowest", "newest"])
    parser.add_argument("tests", type=Path, help="what pytest --junitxml wrote")
    given = parser.parse_args()
    path = RESULTS / "versions.json"
    run = f"{given.which}, Python {platform.python_version()}"
    record(path, earlier(path) | {run: {**outcome(given.tests), "versions": direct_versions()}})


def outcome(path: Path) -> dict[str, Any]:
    """Count the tests of a run, and name those that failed."""
    failed, skipped, passed = [], 0, 0
    for case in ElementTree.parse(path).iter("testcase"):
        kinds = {part.tag for part in case}
        if kinds & {"failure", "error"}:
            failed.append(f"{case.attrib['classname']}.{case.attrib['name']}")
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return {"passed": passed, "skipped": skipped, "failed": failed}


def direct_versions() -> dict[str, str]:
    """Return the version of each library that pyproject.toml names and that is installed."""
    names = {re.match(r"[\w.-]+", line).group() for line in requires("adacl") or []}
    found = {}
    for name in sorted(names - {"adacl"}):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


if __name__ == "__main__":
    main()
