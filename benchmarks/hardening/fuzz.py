"""Feed mutated files to everything that reads them, guided by coverage (Atheris, libFuzzer).

Each target runs in processes of its own until nothing new has come for 20 minutes, 45 minutes at
most. A run ends with a crash (an error that is not adacl's own), with an input that takes five
seconds of a processor, or with more memory than the bound; it is then started anew. Headers are
mutated as trees and sealed with sound checksums, as an enemy would. Coverage is that of the Python
code of adacl and Pillow, so of video and Parquet it leads to few places::

    python -m benchmarks.hardening.fuzz
    python -m benchmarks.hardening.fuzz --idle 60 --most 300 --targets image video --keep crashes
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import FIT, earlier, run, write_textures

TARGETS = (
    "model",
    "checkpoint",
    "exported",
    "image",
    "video",
    "upload",
    "settings",
    "records",
    "manifest",
)
WAIT_SECONDS = 60
"""By the clock, on a busy machine; 5 seconds of a processor count as a hang."""
MEMORY_MIB = 1200
"""PyTorch, onnxruntime and the libraries take about 600 before the first input."""
MOST_CRASHES = 20
IN_MEMORY = Path("/dev/shm")
"""Where the targets write their files: some are synced, which would wait for a disk."""


def main() -> None:
    """Fuzz the targets one after another."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--idle", type=int, default=1200, help="seconds without anything new")
    parser.add_argument("--most", type=int, default=2700, help="seconds for each target")
    parser.add_argument("--targets", nargs="+", default=TARGETS, choices=TARGETS)
    parser.add_argument("--keep", type=Path, help="folder for the inputs that crash")
    parser.add_argument("--work", type=Path, help="folder for models and corpora, used again")
    given = parser.parse_args()
    results = earlier(RESULTS / "fuzz.json")
    where = IN_MEMORY if IN_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory(dir=where) as scratch:
        folder = given.work or Path(name)
        if not (folder / "whole.onnx").exists():
            prepare(folder)
        for target in given.targets:
            watch = Watch(given.idle, given.most)
            results[target] = fuzzed(folder, Path(scratch), target, watch, given.keep)
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


def fuzzed(
    folder: Path, scratch: Path, target: str, watch: Watch, keep: Path | None
) -> dict[str, Any]:
    """Fuzz one target until nothing new comes, and say what was found."""
    corpus = folder / f"corpus-{target}"
    corpus.mkdir(exist_ok=True)
    found: dict[str, Any] = {"inputs": 0, "new": 0, "coverage": 0, "peak MiB": 0, "crashes": []}
    before, number = cpu(), 0
    while not watch.over and number < MOST_CRASHES:
        number += 1
        place = folder / f"{target}-{number}-"
        command = [
            sys.executable,
            "-m",
            "benchmarks.hardening.fuzz_targets",
            target,
            folder,
            corpus,
            scratch / target,
        ]
        command += [f"-timeout={WAIT_SECONDS}", f"-seed={number}", "-print_final_stats=1"]
        command += [f"-rss_limit_mb={MEMORY_MIB}", f"-artifact_prefix={place}", "-max_len=65536"]
        code, said = watch.run(list(map(str, command)), folder / f"{target}.log")
        counts = dict(re.findall(r"stat::(\w+):\s+(\d+)", said))
        found["inputs"] += int(counts.get("number_of_executed_units", 0))
        found["new"] += int(counts.get("new_units_added", 0))
        found["peak MiB"] = max(found["peak MiB"], int(counts.get("peak_rss_mb", 0)))
        found["coverage"] = max([found["coverage"], *map(int, re.findall(r" cov: (\d+)", said))])
        if code == 0:
            continue
        inputs = sorted(folder.glob(f"{place.name}*"))
        reasons = re.findall(r"Uncaught Python exception: ===\s(.*)|(ERROR: libFuzzer: .*)", said)
        reason = "".join(reasons[0]) if reasons else f"ended with code {code}"
        found["crashes"].append(reason[:300])
        if keep is not None:
            keep.mkdir(exist_ok=True)
            (keep / f"{target}-{number}.txt").write_text(said[-20000:])
            for path in inputs:
                shutil.copy(path, keep)
    spent = {
        "seconds": round(watch.seconds),
        "seconds of a processor": round(cpu() - before),
        "seconds without anything new": round(watch.without),
    }
    return spent | {"runs": number} | found


class Watch:
    """Runs fuzzers until ``idle`` seconds brought no new coverage, ``most`` seconds at most."""

    def __init__(self, idle: int, most: int) -> None:
        self._idle, self._most = idle, most
        self._started = self._last = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds since the start."""
        return time.monotonic() - self._started

    @property
    def without(self) -> float:
        """The seconds since the last new coverage."""
        return time.monotonic() - self._last

    @property
    def over(self) -> bool:
        """Whether it is time to stop."""
        return self.seconds > self._most or self.without > self._idle

    def run(self, command: list[str], log: Path) -> tuple[int, str]:
        """Run a fuzzer until it ends or is to stop; return its exit code and what it said."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        seen = 0
        with (
            log.open("wb") as file,
            subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=file, env=environment
            ) as fuzzer,
        ):
            while fuzzer.poll() is None:
                time.sleep(1)
                news = len(re.findall(rb"\t(?:INITED|NEW) ", log.read_bytes()))
                if news > seen:
                    seen, self._last = news, time.monotonic()
                if seen and self.over:
                    fuzzer.send_signal(signal.SIGUSR1)  # libFuzzer ends with its counts
        return fuzzer.returncode, log.read_text(errors="backslashreplace")


def cpu() -> float:
    """Return the seconds that children have computed for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
