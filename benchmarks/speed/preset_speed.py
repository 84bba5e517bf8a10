"""What a preset costs: seconds to learn and images a second to score, beside those of ``paper``.

    python -m benchmarks.speed.preset_speed --data-dir DATA
        --out benchmarks/results/preset_speed.json

Every repetition takes all presets in turn; figures are medians, ratios are taken within them.
Learning: one epoch over about 1,000 images, PyTorch. Scoring: 4,096 images in memory, exported in
32 and 8 bits, onnxruntime. All cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from adacl import AnomalyDetector, Config, preset
from adacl.datasets import catalogue
from adacl.deploy.export import export_model
from adacl.runtime import Scorer
from benchmarks.common import record, seconds

LEARNT, SCORED = 1024, 4096
FAST = {"training__precision": "bfloat16"}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "paper": ("paper", {}),
    "aligned": ("aligned", {}),
    "aligned, one view": ("aligned", {"network__scored_views": 1}),
    "varied": ("varied", {}),
    "varied, one view": ("varied", {"network__scored_views": 1}),
    "paper, bfloat16": ("paper", FAST),
    "aligned, bfloat16": ("aligned", FAST),
    "varied, bfloat16": ("varied", FAST),
}


def fit(config: Config, images: np.ndarray) -> AnomalyDetector:
    """Learn for one epoch; no image is spared for the threshold, which plays no part here."""
    return AnomalyDetector(config=config, contamination=0.1).fit(images)


def measure(images: np.ndarray, rounds: int) -> dict[str, Any]:
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    learnt = images[: LEARNT + LEARNT // 5]
    scored = np.resize(images, (SCORED, *images.shape[1:]))
    with tempfile.TemporaryDirectory() as scratch:
        scorers: dict[str, dict[str, Scorer]] = {}
        for number in range(rounds):
            for name, (start, changes) in VARIANTS.items():
                config = preset(start).replace(
                    training__epochs=1, training__min_epoch_images=LEARNT, **changes
                )
                detector = fit(config, learnt)
                seen = max(LEARNT, detector.model_.header.training["train"])
                spent = detector.history_.epochs[0].seconds
                found[name]["epoch, ms per image"].append(1000 * spent / seen)
                if number or "bfloat16" in name:
                    continue
                detector.save(Path(scratch) / "m.adacl")
                scorers[name] = {}
                for bits in (32, 8):
                    target = Path(scratch) / f"{len(scorers)}-{bits}.onnx"
                    export_model(
                        Path(scratch) / "m.adacl", target, dynamic_batch=True, int8=bits == 8
                    )
                    scorers[name][f"images a second, {bits} bits"] = Scorer(target)
            for name, engines in scorers.items():
                for what, scorer in engines.items():
                    spent = seconds(lambda scorer=scorer: scorer.score_samples(scored), 1)
                    found[name][what].append(SCORED / spent)
    return {
        name: {
            what: {
                "median": statistics.median(values),
                "of paper": statistics.median(
                    v / p for v, p in zip(values, found["paper"][what], strict=True)
                ),
            }
            for what, values in figures.items()
        }
        for name, figures in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    results = {}
    for data in ("mnist", "cifar10"):
        images, labels = catalogue.load(data, "train", arguments.data_dir)
        results[data] = measure(images[labels == 3], arguments.rounds)
        print(data, results[data], flush=True)
        record(arguments.out, results)


if __name__ == "__main__":
    main()
