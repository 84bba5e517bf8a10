"""Try on KolektorSDD whether a kind of made anomaly that looks like a crack finds cracks.

The paper's kinds do not.

    python -m benchmarks.research.cracks --data DIR/kolektorsdd
        --out benchmarks/results/beyond/cracks.json

Every fourth good part is held out. Tiles of 64x64 pixels, half the preset's epochs, one network
each (the threshold plays no part). The kind was chosen for what cracks look like, before any run.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from adacl import AnomalyDetector, Config
from adacl.metrics import auroc

KINDS = {"cut_paste": 1.0, "puzzling": 1.0, "rotation": 1.0, "mix_up": 1.0}
VARIANTS: dict[str, dict[str, float]] = {
    "paper": KINDS,
    "paper and scars": KINDS | {"scar": 1.0},
    "scars alone": {"scar": 1.0},
}


def run(folder: Path, weights: dict[str, float], epochs: int, seed: int) -> dict[str, Any]:
    good = sorted((folder / "good").iterdir())
    learnt = [path for place, path in enumerate(good) if place % 4]
    config = Config().replace(anomalies__weights=weights, training__epochs=epochs)
    started = time.perf_counter()
    detector = AnomalyDetector(
        config=config, tile=(64, 64), contamination=0.01, random_state=seed
    ).fit(learnt)
    seconds = time.perf_counter() - started
    normal = -detector.score_samples(good[::4])
    abnormal = -detector.score_samples(sorted((folder / "defect").iterdir()))
    return {
        "seed": seed,
        "auroc": auroc(normal, abnormal),
        "epochs": epochs,
        "seconds": round(seconds),
        "parameters": detector.model_.header.training["parameters"],
        "kind_auroc": detector.history_.best.kind_auroc,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    results: dict[str, list[dict[str, Any]]] = {}
    for seed in arguments.seeds:
        for name, weights in VARIANTS.items():
            results.setdefault(name, []).append(
                run(arguments.data, weights, arguments.epochs, seed)
            )
            print(name, results[name][-1], flush=True)
            arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
