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
from importlib.metadata import version
from pathlib import Path
from typing import Any

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
        **{package: version(package) for package in PACKAGES},
    }


def record(path: Path, results: Any) -> None:
    """Write results with the command and the machine to a JSON file.

    Folders of the machine are left out of the command: they stand as DIR.
    """
    arguments = ["DIR" if Path(x).is_absolute() else x for x in sys.argv[1:]]
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *arguments])
    document = {"command": command, "machine": machine(), "results": results}
    path.write_text(json.dumps(document, indent=1) + "\n")


def seconds(function: Callable[[], object], times: int) -> float:
    """Return the seconds that one of several calls takes."""
    started = time.perf_counter()
    for _ in range(times):
        function()
    return (time.perf_counter() - started) / times


def timed(*arguments: str) -> dict[str, Any]:
    """Run Python with arguments to its end; return output, seconds, and peak memory in MiB."""
    command = [sys.executable, *arguments]
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=output, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        output.seek(0)
        log.seek(0)
        result = {"output": output.read(), "log": log.read()}
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{result['log']}")
    return result | {"seconds": round(seconds, 3), "peak_mib": round(usage.ru_maxrss / 1024)}


def adacl(*arguments: str) -> dict[str, Any]:
    """Run a command of adacl, as :func:`timed`."""
    return timed("-m", "adacl", *arguments)
