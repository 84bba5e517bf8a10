"""Seconds, FLOPs and AUROC of training together: what half precision and fewer epochs bring.

    python -m benchmarks.speed.training_speed --data-dir DATA
        --out benchmarks/results/training_speed.json

One class of each data set against the rest, the classes of the main job. All ways of training are
gone through in turn for each seed, so that a busy machine slows all of them; seconds are those of
the training loop alone, validation included. Nothing is chosen by these figures.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from adacl.anomalies import make_mixture
from adacl.config import Config
from adacl.data.samples import Samples
from adacl.datasets import catalogue
from adacl.metrics import auroc
from adacl.networks.regressor import Regressor, raw_scores
from adacl.training.loop import train
from adacl.training.splits import split_normals
from benchmarks.common import record, seconds

CLASSES = [("mnist", 3), ("fashion-mnist", 5), ("cifar10", 1)]
WAYS: dict[str, dict[str, Any]] = {
    "10 epochs, float32 (preset)": {},
    "10 epochs, bfloat16": {"training__precision": "bfloat16"},
    "5 epochs, float32": {"training__epochs": 5},
    "5 epochs, bfloat16": {"training__epochs": 5, "training__precision": "bfloat16"},
}
CPU = torch.device("cpu")
SIDE = 2048


def flops_per_image(samples: Samples) -> float:
    """Count a training step's FLOPs per normal image, the made one included."""
    spec = samples.spec
    network = Regressor(Config().network, spec.channels, spec.height, spec.width)
    normal = samples.subset(slice(64)).tensor(CPU)
    made, _ = make_mixture(normal, torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        network(torch.cat([normal, made.images])).square().mean().backward()
    return counter.get_total_flops() / 64


def run(name: str, normal: int, way: dict[str, Any], seed: int, data_dir: str) -> dict[str, Any]:
    images, labels = catalogue.load(name, "train", data_dir)
    test, test_labels = catalogue.load(name, "test", data_dir)
    images = images[labels == normal]
    samples, config = Samples(images), Config().replace(**way)
    split = split_normals(
        len(images), config.training.validation_size, config.threshold, True, seed
    )
    found: list[Any] = []

    def learn() -> None:
        found.append(
            train(
                samples.subset(split.train),
                samples.subset(split.validation),
                config,
                seed=seed,
                device=CPU,
            )
        )

    took = seconds(learn, 1)
    network, history = found[0]
    batches = Samples(test, samples.spec).batches(CPU, 256)
    scores = np.concatenate([raw_scores(network, batch) for batch in batches])
    epochs = len(history.epochs)
    per_epoch = max(len(split.train), config.training.min_epoch_images)
    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    flops = flops_per_image(samples) * per_epoch * epochs
    product = 2 * SIDE**3 / seconds(lambda: torch.mm(a, b), 3)
    return {
        "seed": seed,
        "seconds": round(took, 2),
        "epochs": epochs,
        "tflop": round(flops / 1e12, 3),
        "share_of_matrix_product": round(flops / took / product, 3),
        "auroc": round(auroc(scores[test_labels == normal], scores[test_labels != normal]), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    results: dict[str, Any] = {"threads": torch.get_num_threads(), "runs": {}}
    for name, normal in CLASSES:
        runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for seed in arguments.seeds:
            for way, changes in WAYS.items():
                runs[way].append(run(name, normal, changes, seed, arguments.data_dir))
                print(name, way, runs[way][-1], flush=True)
        first = [r["seconds"] for r in runs["10 epochs, float32 (preset)"]]
        results["runs"][f"{name} {normal}"] = {
            way: {
                "auroc_mean": round(statistics.mean(r["auroc"] for r in found), 4),
                "auroc_sd": round(statistics.stdev(r["auroc"] for r in found), 4),
                "seconds_median": statistics.median(r["seconds"] for r in found),
                "seconds_ratio": [
                    round(r["seconds"] / f, 3) for r, f in zip(found, first, strict=True)
                ],
                "runs": found,
            }
            for way, found in runs.items()
        }
        record(arguments.out, results)


if __name__ == "__main__":
    main()
