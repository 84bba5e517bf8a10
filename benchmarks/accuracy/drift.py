"""How often the drift alarm is false, and how soon it notices that scores have moved.

    python -m benchmarks.accuracy.drift --out benchmarks/results/drift.json

Scores are independent draws of one distribution; the test sees only their ranks, so any continuous
one does. Each run draws held-out normals, stores them as a model does, and watches a stream: of
normals for the rate of false alarms, of normals moved up by some standard deviations for the delay.
``false_alarms`` counts the tests that found scores moved, ``episodes`` the times that it began.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from adacl.model.threshold_rules import from_normal_scores
from adacl.serve.station.drift import ANSWERS_A_FALSE_ALARM, STEP, WINDOW, DriftWatch, limit
from benchmarks.common import record

NORMALS = (20, 60, 150, 300, 1000)
SHIFTS = (0.5, 0.75, 1.0, 1.5)
DELAY_RUNS = 200
MOST = 20_000
"""Answers that a run waits for an alarm."""


def watch_of(random: np.random.Generator, normals: int) -> DriftWatch:
    """Return the watch of a model with fresh held-out normals."""
    return DriftWatch(from_normal_scores(random.normal(size=normals), 0.01, 0.95, "hold-out"))


def false_alarms(normals: int, runs: int, answers: int) -> dict[str, Any]:
    """Watch streams of normals."""
    random = np.random.default_rng([normals, 0])
    alarms = episodes = runs_with = 0
    for _ in range(runs):
        watch = watch_of(random, normals)
        before, found = "collecting", 0
        for score in random.normal(size=answers).tolist():
            watch.add(score)
            if not watch._untested and len(watch._recent) == WINDOW:
                found += watch.state == "moved"
                episodes += watch.state == "moved" != before
                before = watch.state
        alarms += found
        runs_with += found > 0
    share = 100_000 / (runs * answers)
    return {
        "normals": normals,
        "limit": round(limit(normals), 4),
        "runs": runs,
        "answers_a_run": answers,
        "false_alarms_per_100000": round(alarms * share, 3),
        "episodes_per_100000": round(episodes * share, 3),
        "runs_with_a_false_alarm": runs_with,
    }


def delays(normals: int, shift: float) -> dict[str, Any]:
    """Watch streams that move after a full window of normals."""
    random = np.random.default_rng([normals, 1])
    found = []
    for _ in range(DELAY_RUNS):
        watch = watch_of(random, normals)
        for score in random.normal(size=WINDOW).tolist():
            watch.add(score)
        after = 0
        while watch.state != "moved" and after < MOST:
            watch.add(float(random.normal(shift)))
            after += 1
        found.append(after)
    return {
        "normals": normals,
        "shift_in_sd": shift,
        "runs": DELAY_RUNS,
        "median_answers": int(np.median(found)),
        "90th_percentile": int(np.quantile(found, 0.9)),
        "not_noticed": sum(after >= MOST for after in found),
    }


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    started = time.perf_counter()
    results = {
        "window": WINDOW,
        "step": STEP,
        "stated_answers_a_false_alarm": ANSWERS_A_FALSE_ALARM,
        "normals_only": [false_alarms(n, options.runs, options.answers) for n in NORMALS],
        "moved": [delays(n, shift) for n in NORMALS[1:] for shift in SHIFTS],
        "seconds": 0.0,
    }
    results["seconds"] = round(time.perf_counter() - started, 1)
    record(options.out, results)


if __name__ == "__main__":
    main()
