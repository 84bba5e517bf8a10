"""How often a threshold's bound is kept, image by image and part by part, from recorded scores.

As :func:`benchmarks.accuracy.robustness.kept` does it, for every record of
``benchmarks/results/inspection.jsonl``; beside it what independent scores of as many images give::

    python -m benchmarks.accuracy.promise

The result is ``benchmarks/results/promise.json``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.model.threshold_rules import from_normal_scores
from adacl.scale import records
from benchmarks.accuracy.inspection import RECORDS
from benchmarks.accuracy.robustness import SPLITS, parts_of
from benchmarks.common import RESULTS, record

FPR, CONFIDENCE, SET_ASIDE = 0.01, 0.95, 1
SIMULATED = 3000


def main() -> None:
    """Measure all records, and write the result."""
    argparse.ArgumentParser(description=__doc__.split("\n\n")[0]).parse_args()
    record(RESULTS / "promise.json", [measured(entry) for entry in records.read(RECORDS)])


def measured(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the shares of splits in which the bound is kept for one record."""
    scores = np.array(entry["scores"]["good"])
    parts = np.array(parts_of([Path(name) for name in entry["files"]["good"]]))
    rng = np.random.default_rng(0)
    simulated = [
        within(rng.random(len(scores)), np.arange(len(scores)), False, rng)
        for _ in range(SIMULATED)
    ]
    by = {
        name: np.mean([within(scores, parts, grouped, split) for _ in range(SPLITS)])
        for name, grouped in (("by image", False), ("by part", True))
        for split in [np.random.default_rng(0)]
    }
    return {
        **{name: entry[name] for name in ("set", "fold", "preset", "seed")},
        "images": len(scores),
        "parts": len(np.unique(parts)),
        **{name: float(share) for name, share in by.items()},
        "independent, simulated": float(np.mean(simulated)),
    }


def within(
    scores: NDArray[Any], parts: NDArray[Any], grouped: bool, rng: np.random.Generator
) -> bool:
    """Whether the bound from half of the parts holds for the other half."""
    names = np.unique(parts)
    setting = np.isin(parts, rng.permutation(names)[: len(names) // 2])
    threshold = from_normal_scores(
        scores[setting],
        FPR,
        CONFIDENCE,
        "hold-out",
        SET_ASIDE,
        parts[setting] if grouped else None,
    )
    return bool((scores[~setting] > threshold.value).mean() <= (threshold.upper_bound or 0))


if __name__ == "__main__":
    main()
