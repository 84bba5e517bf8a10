"""``adacl doctor``."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer

from adacl._version import __version__
from adacl.cli.support import options
from adacl.datasets.catalogue import BENCHMARKS, count_present, data_dir
from adacl.errors import EXTRAS, DataError

NAMES = {"sklearn": "scikit-learn"}
"""Of packages that are not called as their module."""


@dataclass(frozen=True)
class Finding:
    """One check: whether it passed, and what was found."""

    topic: str
    ok: bool
    found: str


def doctor(json_output: options.Json = False) -> None:
    """Check this installation and machine: packages, device, speed, data."""
    findings = _examine()
    if json_output:
        typer.echo(json.dumps([vars(finding) for finding in findings]))
        return
    for finding in findings:
        typer.echo(f"{'ok' if finding.ok else '--':4}{finding.topic:20}{finding.found}")


def _examine() -> list[Finding]:
    """Look at packages, device, speed, disk and data."""
    findings = [
        Finding("adacl", True, f"{__version__}, Python {platform.python_version()}"),
        Finding(
            "machine", True, f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        ),
    ]
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if not importlib.util.find_spec(module)]
        parts = [_found(NAMES.get(m, m)) for m in modules if m not in missing]
        if missing:
            parts.append(f"missing {', '.join(missing)}: pip install 'adacl[{extra}]'")
        findings.append(Finding(f"extra {extra}", not missing, ", ".join(parts)))
    if importlib.util.find_spec("torch"):
        findings += _computing()
    findings.append(_temporary_space())
    folder = data_dir()
    for benchmark in BENCHMARKS.values():
        here, wanted = 0, len(benchmark.all_files)
        try:
            here = count_present(benchmark, folder)
        except DataError as error:
            found = str(error)
        else:
            hint = "" if here == wanted else f"; adacl data fetch {benchmark.name}"
            found = f"{here} of {wanted} files under {folder}{hint}"
        findings.append(Finding(f"data {benchmark.name}", here == wanted, found))
    return findings


def _found(package: str) -> str:
    """Return a package with its version; a module may come with one of another name."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import

    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} of another package"


def _temporary_space() -> Finding:
    try:
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free / 2**30
    except OSError as error:  # no space anywhere, or it is there no more
        return Finding("temporary space", False, f"none ({error.strerror}); set TMPDIR")
    return Finding("temporary space", free > 1, f"{free:.1f} GiB free in {folder}")


def _computing() -> list[Finding]:
    try:
        Path.cwd()
    except OSError:  # libraries of PyTorch would end the process
        return [Finding("device", False, "not looked at, as there is no current folder")]
    return [_device(), _speed()]


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("device", True, f"CUDA, {torch.cuda.get_device_name()}")
    return Finding("device", True, f"CPU, {torch.get_num_threads()} threads (no CUDA device)")


def _speed() -> Finding:
    import torch

    matrix = torch.from_numpy(np.ones((1024, 1024), np.float32))
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        seconds.append(time.perf_counter() - started)
    rate = 2 * 1024**3 / min(seconds) / 1e9
    return Finding("matrix product", True, f"{rate:.0f} GFLOP/s in single precision on the CPU")
