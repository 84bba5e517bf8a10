"""The service with and without a log of its answers, side by side: answers a second.

    python -m benchmarks.speed.station_log --data-dir DATA --out FILE

One exported model of a digit of MNIST is served three times: without a log, with ``--log``, and
with ``--log-thumbnails``, too. All three run all the time; the same clients ask them in turn, so
that what else the machine does hits all alike. Every answer is compared with the offline score, and
every answer must be in the log when the service has ended, or be counted as dropped.
"""

from __future__ import annotations

import argparse
import os
import re
import sqlite3
import statistics
import tempfile
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

from adacl.datasets import catalogue
from adacl.datasets.as_folders import write_images
from adacl.runtime import Scorer
from benchmarks.common import adacl, record
from benchmarks.speed.serve_load import DIGIT, IMAGES, TRAINING_IMAGES, Service, load

CLIENTS = (8, 64)
QUICK = ("--epochs", "1", "--set", "training.min_epoch_images=2048", "--set", "threshold.folds=1")
Sent = list[tuple[str, bytes]]


class Station:
    """A service, and the database of its answers, if it has one."""

    def __init__(self, name: str, model: Path, database: Path | None, *options: str) -> None:
        self.name = name
        self.database = database
        log = ("--log", str(database)) if database else ()
        self.service = Service(str(model), *log, *options)
        self.rates: dict[int, list[float]] = {clients: [] for clients in CLIENTS}
        self.answers = 0

    def run(self, clients: int, requests: int, sent: Sent, expected: dict[str, Any]) -> None:
        """Send requests, note answers a second, and wait until all are written."""
        found = load(self.service, clients, requests, sent, expected)
        if found["wrong"] or found["lost"] or list(found["statuses"]) != [200]:
            raise SystemExit(f"not all answers are right: {found}")
        self.rates[clients].append(found["answers_per_second"])
        self.answers += found["requests"]
        while self.database and self._counted("waiting"):
            time.sleep(0.1)

    def end(self) -> dict[str, int]:
        """End the service; count the answers, and what became of them."""
        dropped = self._counted("dropped_total") if self.database else 0
        self.service.stop()
        found = {"answers": self.answers, "dropped": dropped}
        if self.database:
            with closing(sqlite3.connect(self.database)) as connection:
                (found["in_the_log"],) = connection.execute(
                    "SELECT COUNT(*) FROM answers"
                ).fetchone()
        return found

    def _counted(self, name: str) -> int:
        address = f"http://127.0.0.1:{self.service.port}/metrics"
        with urllib.request.urlopen(address) as response:
            text = response.read().decode()
        return int(float(re.findall(rf"^adacl_log_{name} (\S+)", text, re.MULTILINE)[0]))


def main() -> None:
    """Measure, and record it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    images, labels = catalogue.load("mnist", "train", arguments.data_dir)
    normal = images[labels == DIGIT][:TRAINING_IMAGES]
    test = catalogue.load("mnist", "test", arguments.data_dir)[0][:IMAGES]
    averages = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_images(normal, map(str, range(len(normal))), folder / "normal")
        write_images(test, map(str, range(len(test))), folder / "test")
        fitted, model = folder / "digit.adacl", folder / "digit.onnx"
        adacl("fit", str(folder / "normal"), "-o", str(fitted), *QUICK)
        adacl("export", str(fitted), str(model), "--dynamic-batch")
        files = sorted((folder / "test").iterdir())
        sent = [(path.name, path.read_bytes()) for path in files]
        scorer = Scorer(model)
        expected = {
            score.path.name: (score.raw, int(score.raw > scorer.threshold.value))
            for score in scorer.score_files(files)
        }
        stations = [
            Station("no log", model, None),
            Station("log", model, folder / "log.db"),
            Station("log and thumbnails", model, folder / "small.db", "--log-thumbnails"),
        ]
        for station in stations:
            station.run(8, 1000, sent, expected)
            station.rates[8].clear()  # warm
        for number in range(arguments.rounds):
            averages.append(round(os.getloadavg()[0], 1))
            for clients in CLIENTS:
                turn = number % len(stations)
                for station in stations[turn:] + stations[:turn]:
                    station.run(clients, arguments.requests, sent, expected)
        kept = {station.name: station.end() for station in stations}
    results = {
        "load_average": averages,
        "kept": kept,
        "clients": [_compared(clients, *stations) for clients in CLIENTS],
    }
    record(arguments.out, results)


def _compared(clients: int, without: Station, *logging: Station) -> dict[str, Any]:
    found: dict[str, Any] = {
        "clients": clients,
        "answers_per_second": {},
        "ratio": {},
        "ratios": {},
    }
    for station in (without, *logging):
        rates = station.rates[clients]
        pairs = zip(without.rates[clients], rates, strict=True)
        ratios = sorted(round(rate / plain, 3) for plain, rate in pairs)
        found["answers_per_second"][station.name] = round(statistics.median(rates))
        if station is not without:
            found["ratio"][station.name] = round(statistics.median(ratios), 3)
            found["ratios"][station.name] = ratios
    return found


if __name__ == "__main__":
    main()
