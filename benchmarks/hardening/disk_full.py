"""Let writing fail after so many bytes, in each command: old files stay, errors are clear.

The disk is a file system of a few KiB in memory, which needs the rights to mount one; with
``--limit`` a limit on the size of files stands in for it. Needs Linux::

    python -m benchmarks.hardening.disk_full
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import FIT, run, write_textures

LIMITS = (8, 16, 32)
"""KiB: the old file takes four."""


def main() -> None:
    """Try each command with each size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--limit", action="store_true", help="limit the size of files instead")
    given = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = write_textures(folder / "good", 30)
        fitted = run("fit", good, "-o", folder / "m.adacl", *FIT)
        assert fitted.returncode == 0, fitted.stderr
        model = folder / "m.adacl"
        commands = {
            "fit": ("out.adacl", ["fit", good, "-o", "OUT", *FIT]),
            "calibrate": ("out.adacl", ["calibrate", model, good, "-o", "OUT"]),
            "export": ("out.onnx", ["export", model, "OUT"]),
            "score -o": ("out.csv", ["score", model, good, "--format", "csv", "-o", "OUT"]),
            "score --report": ("out.html", ["score", model, good, "--report", "OUT"]),
        }
        for title, (target, arguments) in commands.items():
            for limit in LIMITS:
                key = f"{title}, {limit} KiB"
                results[key] = tried(folder, target, arguments, limit, given.limit)
                print(key, json.dumps(results[key]), flush=True)
    record(RESULTS / "disk_full.json", results)


def tried(
    folder: Path, target: str, arguments: list[object], limit: int, by_limit: bool
) -> dict[str, Any]:
    """Run one command whose target lies on a disk of so many KiB, and say what came of it."""
    place = folder / "small"
    place.mkdir()

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * limit, 1024 * limit))

    if not by_limit:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={limit}k", "tmpfs", str(place)]
        subprocess.run(mount, check=True)
    try:
        old = place / target
        old.write_bytes(b"what was there before")
        parts = [old if part == "OUT" else part for part in arguments]
        ended = run(*parts, before=limited if by_limit else None)
        return {
            "exit code": ended.returncode,
            "old file untouched": old.read_bytes() == b"what was there before",
            "litter": sorted(path.name for path in place.iterdir() if path != old),
            "traceback": "Traceback" in ended.stderr,
            "message": (ended.stderr.strip().splitlines() or [""])[-1].replace(str(folder), "DIR"),
        }
    finally:
        if not by_limit:
            subprocess.run(["umount", str(place)], check=True)
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
