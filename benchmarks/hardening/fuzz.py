"""Feed mutated files to everything that reads them, guided by coverage (Atheris, libFuzzer).

Each target runs in processes of its own for so many seconds. A run ends with a crash (an error that
is not adacl's own), with an input that takes five seconds of a processor, or with more memory than
the bound; it is then started anew until the time is over. Headers are mutated as trees and sealed
with sound checksums, as an enemy would. Coverage is that of the Python code of adacl and Pillow::

    python -m benchmarks.hardening.fuzz --seconds 300
    python -m benchmarks.hardening.fuzz --seconds 300 --targets image video --keep crashes
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import FIT, earlier, run, write_textures

TARGETS = ("model", "checkpoint", "exported", "image", "video", "upload", "settings", "records")
WAIT_SECONDS = 60
"""By the clock, on a busy machine; 5 seconds of a processor count as a hang."""
MEMORY_MIB = 1200
"""PyTorch, onnxruntime and the libraries take about 600 before the first input."""
MOST_CRASHES = 20


def main() -> None:
    """Fuzz the targets one after another."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=int, default=300, help="for each target")
    parser.add_argument("--targets", nargs="+", default=TARGETS, choices=TARGETS)
    parser.add_argument("--keep", type=Path, help="folder for the inputs that crash")
    parser.add_argument("--work", type=Path, help="folder for models and corpora, used again")
    given = parser.parse_args()
    results = earlier(RESULTS / "fuzz.json")
    with tempfile.TemporaryDirectory() as name:
        folder = given.work or Path(name)
        if not (folder / "whole.onnx").exists():
            prepare(folder)
        for target in given.targets:
            results[target] = fuzzed(folder, target, given.seconds, given.keep)
            print(target, json.dumps(results[target]), flush=True)
            record(RESULTS / "fuzz.json", results)


def prepare(folder: Path) -> None:
    """Fit the models whose files are the seeds."""
    good = write_textures(folder / "good", 30)
    dense = ["--preset", "inspect", "--epochs", "1", "--device", "cpu"]
    for kind, options in (("whole", FIT), ("tiles", [*FIT, "--tile", "16x16"]), ("dense", dense)):
        ended = run("fit", good, "-o", folder / f"{kind}.adacl", *options)
        assert ended.returncode == 0, ended.stderr
        ended = run("export", folder / f"{kind}.adacl", folder / f"{kind}.onnx", "--dynamic-batch")
        assert ended.returncode == 0, ended.stderr


def fuzzed(folder: Path, target: str, seconds: int, keep: Path | None) -> dict[str, Any]:
    """Fuzz one target for so long, and say what was found."""
    corpus = folder / f"corpus-{target}"
    corpus.mkdir(exist_ok=True)
    found: dict[str, Any] = {"inputs": 0, "new": 0, "coverage": 0, "peak MiB": 0, "crashes": []}
    started, before, number = time.monotonic(), cpu(), 0
    while (left := seconds - (time.monotonic() - started)) > 1 and number < MOST_CRASHES:
        number += 1
        place = folder / f"{target}-{number}-"
        command = [
            sys.executable,
            "-m",
            "benchmarks.hardening.fuzz_targets",
            target,
            folder,
            corpus,
        ]
        command += [f"-max_total_time={left:.0f}", f"-timeout={WAIT_SECONDS}", f"-seed={number}"]
        command += [f"-rss_limit_mb={MEMORY_MIB}", f"-artifact_prefix={place}", "-max_len=65536"]
        ended = subprocess.run(
            [*map(str, command), "-print_final_stats=1"],
            capture_output=True,
            text=True,
            errors="backslashreplace",
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
        said = ended.stderr
        counts = dict(re.findall(r"stat::(\w+):\s+(\d+)", said))
        found["inputs"] += int(counts.get("number_of_executed_units", 0))
        found["new"] += int(counts.get("new_units_added", 0))
        found["peak MiB"] = max(found["peak MiB"], int(counts.get("peak_rss_mb", 0)))
        found["coverage"] = max([found["coverage"], *map(int, re.findall(r" cov: (\d+)", said))])
        if ended.returncode == 0:
            continue
        inputs = sorted(folder.glob(f"{place.name}*"))
        reasons = re.findall(r"Uncaught Python exception: ===\s(.*)|(ERROR: libFuzzer: .*)", said)
        reason = "".join(reasons[0]) if reasons else f"ended with code {ended.returncode}"
        found["crashes"].append(reason[:300])
        if keep is not None:
            keep.mkdir(exist_ok=True)
            (keep / f"{target}-{number}.txt").write_text(said[-20000:])
            for path in inputs:
                shutil.copy(path, keep)
    spent = {
        "seconds": round(time.monotonic() - started),
        "seconds of a processor": round(cpu() - before),
    }
    return spent | {"runs": number} | found


def cpu() -> float:
    """Return the seconds that children have computed for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
