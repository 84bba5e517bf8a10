"""Two versions of the service under load, side by side: answers a second of one against the other.

    python -m benchmarks.speed.serve_ratio --data-dir DATA --before SRC --out FILE
    python -m benchmarks.speed.serve_ratio --data-dir DATA --log --out FILE

SRC is the ``src`` folder of the other version, for instance in a worktree; with ``--log`` it is the
present version without a log of its answers against the same with one. Each version fits and
exports its own model of one digit of MNIST. Both services run all the time; the same clients ask
them in turn, so that what else the machine does hits both alike. Every answer is compared with
the offline score, as in :mod:`benchmarks.speed.serve_load`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from adacl.datasets import catalogue
from adacl.datasets.as_folders import write_images
from benchmarks.common import record
from benchmarks.speed.serve_load import (
    CLIENTS,
    DIGIT,
    IMAGES,
    SERVERS,
    TRAINING_IMAGES,
    Service,
    load,
)

SRC = Path(__file__).parents[2] / "src"
WARM = 2000
"""Requests to each service before any is counted."""
OFFLINE = """
import json, sys
from pathlib import Path
from adacl.runtime import Scorer
scorer = Scorer(sys.argv[1])
files = sorted(Path(sys.argv[2]).iterdir())
limit = scorer.threshold.value
print(json.dumps({s.path.name: (s.raw, int(s.raw > limit)) for s in scorer.score_files(files)}))
"""


class Version:
    """One version of adacl, its model and its service."""

    def __init__(self, src: Path, folder: Path, name: str, *options: str) -> None:
        os.environ["PYTHONPATH"] = str(src)
        fitted, model = folder / f"{name}.adacl", folder / f"{name}.onnx"
        adacl = [sys.executable, "-m", "adacl"]
        fit = ["fit", str(folder / "normal"), "-o", str(fitted), "--epochs", "2", "--quiet"]
        subprocess.run([*adacl, *fit], check=True)
        subprocess.run([*adacl, "export", str(fitted), str(model), "--dynamic-batch"], check=True)
        offline = [sys.executable, "-c", OFFLINE, str(model), str(folder / "test")]
        found = subprocess.run(offline, check=True, stdout=subprocess.PIPE)
        self.expected = json.loads(found.stdout)
        self.service = Service(str(model), *options)
        self.rates: dict[int, list[float]] = {clients: [] for clients in CLIENTS}
        self.seconds: dict[int, list[float]] = {clients: [] for clients in CLIENTS}

    def run(self, clients: int, requests: int, sent: list[tuple[str, bytes]]) -> None:
        """Send requests, and note answers a second and the service's own seconds for each."""
        before = self._spent()
        found = load(self.service, clients, requests, sent, self.expected)
        if found["wrong"] or found["lost"] or list(found["statuses"]) != [200]:
            raise SystemExit(f"not all answers are right: {found}")
        self.rates[clients].append(found["answers_per_second"])
        self.seconds[clients].append((self._spent() - before) / found["requests"])

    def _spent(self) -> float:
        threads = Path(f"/proc/{self.service.process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    other = parser.add_mutually_exclusive_group(required=True)
    other.add_argument("--before", type=Path)
    other.add_argument("--log", action="store_true")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    images, labels = catalogue.load("mnist", "train", arguments.data_dir)
    normal = images[labels == DIGIT][:TRAINING_IMAGES]
    test = catalogue.load("mnist", "test", arguments.data_dir)[0][:IMAGES]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_images(normal, map(str, range(len(normal))), folder / "normal")
        write_images(test, map(str, range(len(test))), folder / "test")
        sent = [(path.name, path.read_bytes()) for path in sorted((folder / "test").iterdir())]
        own = os.environ.get("PYTHONPATH", "")
        before = Version((arguments.before or SRC).resolve(), folder, "before")
        log = ["--log", str(folder / "answers.db")] if arguments.log else []
        after = Version(SRC, folder, "after", *log)
        os.environ["PYTHONPATH"] = own  # for the clients
        for each in (before, after):
            load(each.service, 8, WARM, sent, each.expected)
        averages = []
        for number in range(arguments.rounds):
            averages.append(round(os.getloadavg()[0], 1))
            for clients in CLIENTS:
                for each in (before, after)[:: 1 if number % 2 else -1]:
                    each.run(clients, arguments.requests, sent)
        for each in (before, after):
            each.service.stop()
        kept = _kept(folder / "answers.db") if arguments.log else None
    results: dict[str, Any] = {
        "versions": {name: version(name) for name in SERVERS},
        "load_average": averages,
        "clients": [_compared(clients, before, after) for clients in CLIENTS],
    }
    if kept is not None:
        results["answers_in_the_log"] = kept
        results["answers_given"] = WARM + arguments.rounds * arguments.requests * len(CLIENTS)
    record(arguments.out, results)


def _kept(log: Path) -> int:
    command = [sys.executable, "-m", "adacl", "log", str(log), "--format", "csv"]
    rows = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return len(rows.splitlines()) - 1


def _compared(clients: int, before: Version, after: Version) -> dict[str, Any]:
    rates = list(zip(before.rates[clients], after.rates[clients], strict=True))
    seconds = list(zip(before.seconds[clients], after.seconds[clients], strict=True))
    return {
        "clients": clients,
        "answers_per_second": [round(statistics.median(each)) for each in zip(*rates, strict=True)],
        "ratio": round(statistics.median(new / old for old, new in rates), 3),
        "ratios": sorted(round(new / old, 3) for old, new in rates),
        "processor_us": [
            round(statistics.median(each) * 1e6) for each in zip(*seconds, strict=True)
        ],
        "processor_ratio": round(statistics.median(old / new for old, new in seconds), 3),
    }


if __name__ == "__main__":
    main()
