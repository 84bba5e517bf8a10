"""Kill `fit` at random moments, resume it, and compare the model with that of a fit left alone.

::

    python -m benchmarks.hardening.kills --count 5
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import FIT, command, run, write_textures

# With so few images the threshold comes from cross-fitting: several networks are trained.
KINDS = {
    "whole": FIT,
    "tiles": [*FIT, "--tile", "16x16"],
    "dense": ["--preset", "inspect", "--epochs", "2", "--device", "cpu"],
}


def main() -> None:
    """Kill and resume fits of each kind."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=5, help="kills of each kind")
    parser.add_argument("--kinds", nargs="+", default=["whole", "tiles"])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_textures(folder / "good", 40)
        for kind in given.kinds:
            results[kind] = killed(folder, kind, given.count, rng)
            print(kind, json.dumps(results[kind]), flush=True)
            record(RESULTS / "kills.json", results)


def killed(folder: Path, kind: str, count: int, rng: np.random.Generator) -> dict[str, Any]:
    """Kill fits of one kind, and count what came of them."""
    whole = folder / f"{kind}.adacl"
    started = time.monotonic()
    ended = run("fit", folder / "good", "-o", whole, *KINDS[kind])
    assert ended.returncode == 0, ended.stderr
    seconds, expected = time.monotonic() - started, _digest(whole)
    found = {"kills": 0, "ended before": 0, "equal": 0, "different": 0, "half files": 0}
    found |= {"refused or failed": 0, "litter": 0}
    for number in range(count):
        model = folder / f"{kind}-{number}" / "m.adacl"
        model.parent.mkdir()
        fit = ("fit", folder / "good", "-o", model, *KINDS[kind])
        process = subprocess.Popen(
            command(*fit), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(0.1, 1) * seconds)
        process.kill()
        if process.wait() == 0:
            found["ended before"] += 1
        else:
            found["kills"] += 1
            found["half files"] += model.exists() and _digest(model) != expected
            resumed = run(*fit, "--resume")
            found["refused or failed"] += resumed.returncode != 0
        same = model.exists() and _digest(model) == expected
        found["equal" if same else "different"] += 1
        found["litter"] += len([*model.parent.iterdir()]) - model.exists()
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
