"""What every benchmark records about where and how it ran."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

PACKAGES = (
    "adacl",
    "torch",
    "numpy",
    "pillow",
    "scikit-learn",
    "onnx",
    "onnxruntime",
    "openvino",
)


def machine() -> dict[str, Any]:
    """Describe the machine and the versions."""
    info = Path("/proc/cpuinfo")
    names = [x for x in info.read_text().splitlines() if "model name" in x] if info.exists() else []
    return {
        "processor": names[0].split(":")[1].strip() if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **_versions(),
    }


def _versions() -> dict[str, str]:
    """Return the versions of those of the packages that are installed."""
    found = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def record(path: Path, results: Any) -> None:
    """Write results with the command and the machine to a JSON file.

    Folders of the machine are left out of the command: they stand as DIR.
    """
    arguments = [
        "=".join("DIR" if Path(part).is_absolute() else part for part in argument.split("="))
        for argument in sys.argv[1:]
    ]
    module = sys.modules["__main__"].__spec__.name
    command = " ".join(["python -m", module, *arguments])
    document = {"command": command, "machine": machine(), "results": results}
    path.write_text(json.dumps(document, indent=1) + "\n")


def seconds(function: Callable[[], object], times: int) -> float:
    """Return the seconds that one of several calls takes."""
    started = time.perf_counter()
    for _ in range(times):
        function()
    return (time.perf_counter() - started) / times


LAUNCHER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
found = [time.perf_counter() - started, usage.ru_maxrss, os.waitstatus_to_exitcode(status)]
open(sys.argv[1], "w").write(json.dumps(found))
"""
"""A process begins with the peak memory of the one that starts it, so a small one has to."""


def timed(*arguments: str) -> dict[str, Any]:
    """Run Python with arguments to its end; return output, seconds, and peak memory in MiB."""
    command = [sys.executable, *arguments]
    with tempfile.NamedTemporaryFile("r") as usage:
        launcher = [sys.executable, "-S", "-E", "-c", LAUNCHER, usage.name]
        done = subprocess.run([*launcher, *command], capture_output=True, text=True)
        seconds, peak, code = json.load(usage)
    if code:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return {
        "output": done.stdout,
        "log": done.stderr,
        "seconds": round(seconds, 3),
        "peak_mib": round(peak / 1024),
    }


def adacl(*arguments: str) -> dict[str, Any]:
    """Run a command of adacl, as :func:`timed`."""
    return timed("-m", "adacl", *arguments)
