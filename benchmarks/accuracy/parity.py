"""Do exported models score as PyTorch does, and what does int8 cost? All classes, real images.

    python -m benchmarks.accuracy.parity --data-dir DATA
        --out benchmarks/results/parity.json [--jobs 2]

For every class of MNIST, Fashion-MNIST and CIFAR-10 a model of the preset is trained (seed 0), and
exported in 32 and 8 bits. The test split is scored by PyTorch and by either engine: all of it in
batches of 256, 2,100 images in batches of 7, and 300 one by one. What is recorded is the largest
difference of the raw regression of any image, and the AUROC against the other classes. The same
command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adacl import AnomalyDetector
from adacl.datasets import catalogue
from adacl.deploy.export import export_model
from adacl.metrics import auroc
from adacl.runtime import Scorer
from benchmarks.common import record

NAMES = ("mnist", "fashion-mnist", "cifar10")
BATCHES = (1, 7, 256)


def run(task: tuple[str, int, str]) -> dict[str, Any]:
    name, normal, data_dir = task
    torch.set_num_threads(1)
    images, labels = catalogue.load(name, "train", data_dir)
    test, test_labels = catalogue.load(name, "test", data_dir)
    detector = AnomalyDetector(preset="paper", contamination=0.01).fit(images[labels == normal])
    wanted = -detector.score_samples(test)
    abnormal = test_labels != normal
    found: dict[str, Any] = {
        "data": name,
        "class": normal,
        "auroc": auroc(wanted[~abnormal], wanted[abnormal]),
        "spread_of_scores": float(wanted.std()),
    }
    with tempfile.TemporaryDirectory() as temporary:
        model, exported = Path(temporary) / "m.adacl", Path(temporary) / "m.onnx"
        detector.save(model)
        for precision in ("float32", "int8"):
            export_model(model, exported, dynamic_batch=True, int8=precision == "int8")
            for backend in ("onnxruntime", "openvino"):
                scorer = Scorer(exported, backend=backend, threads=1)
                largest: dict[str, float] = {}
                for batch in BATCHES:
                    some = test if batch == BATCHES[-1] else test[: 300 * batch]
                    raw = np.concatenate(
                        [scorer.raw(some[i : i + batch]) for i in range(0, len(some), batch)]
                    )
                    largest[str(batch)] = float(np.abs(raw - wanted[: len(some)]).max())
                found[f"{backend} {precision}"] = {
                    "largest_difference": largest,
                    "auroc_loss": found["auroc"] - auroc(raw[~abnormal], raw[abnormal]),
                    "file_bytes": exported.stat().st_size,
                }
    return found


def summary(cells: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in NAMES:
        some = [cell for cell in cells if cell["data"] == name]
        if not some:
            continue
        found[name] = {"classes": len(some), "auroc": statistics.mean(c["auroc"] for c in some)}
        for engine in (key for key in some[0] if " " in key):
            losses = [cell[engine]["auroc_loss"] for cell in some]
            found[name][engine] = {
                "largest_difference": max(
                    max(cell[engine]["largest_difference"].values()) for cell in some
                ),
                "auroc_loss_mean": statistics.mean(losses),
                "auroc_loss_worst": max(losses),
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    cells: list[dict[str, Any]] = []
    if arguments.out.exists():
        cells = json.loads(arguments.out.read_text())["results"]["cells"]
    done = {(cell["data"], cell["class"]) for cell in cells}
    tasks = [
        (name, normal, arguments.data_dir)
        for normal in range(10)
        for name in NAMES
        if (name, normal) not in done
    ]
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        for cell in pool.imap_unordered(run, tasks):
            cells.append(cell)
            record(arguments.out, {"summary": summary(cells), "cells": cells})
            print(cell["data"], cell["class"], f"{cell['auroc']:.4f}", flush=True)
    print(json.dumps(summary(cells), indent=1))


if __name__ == "__main__":
    main()
