"""One class is normal, the others are anomalies (paper, section 4.1 and table 1).

Training uses the training split of the normal class alone, of which 150 images are kept for
early stopping; testing uses the whole test split of all classes. No threshold is involved, so no
further normals are held out.
"""

from __future__ import annotations

import hashlib
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from adacl._version import __version__
from adacl.config import Config, preset
from adacl.data import benchmarks
from adacl.fitting import split_normals
from adacl.metrics import auroc
from adacl.networks import Regressor, count_parameters
from adacl.pixels import ImageSpec
from adacl.protocols.grid import Cell
from adacl.training import raw_scores, resolve_device, train

__all__ = ["EPOCHS", "cells", "run_cell", "summarise"]

EPOCHS = {"mnist": 10, "fashion-mnist": 10, "cifar10": 15}
"""Epochs as in table 2; Fashion-MNIST is not in it."""


def cells(
    name: str,
    classes: Sequence[str],
    seeds: Sequence[int],
    preset_name: str,
    data_dir: Path | None,
    device: str,
) -> list[Cell]:
    """Return the cells of a grid, seed by seed, so that a first column is soon complete.

    Raises
    ------
    ConfigError
        If the data set is not known.
    """
    benchmark = benchmarks.get(name)
    return [
        (
            f"{name}-{normal}-seed{seed}-{preset_name}",
            {
                "name": name,
                "normal": benchmark.classes.index(normal),
                "seed": seed,
                "preset_name": preset_name,
                "data_dir": data_dir,
                "device": device,
            },
        )
        for seed in seeds
        for normal in classes
    ]


def configuration(name: str, preset_name: str) -> Config:
    """Return the configuration of a preset with the data set's number of epochs."""
    return preset(preset_name).replace(training__epochs=EPOCHS[name])


def run_cell(
    name: str, normal: int, seed: int, preset_name: str, data_dir: Path | None, device: str
) -> dict[str, Any]:
    """Train on one class and test on all; return the figures and how they came about.

    Returns
    -------
    dict
        ``auroc`` (raw scores) and ``auroc_clipped`` in [0, 1], the history, seconds and FLOPs of
        training, parameters, threads, versions, and a checksum of the pixels used.
    """
    config = configuration(name, preset_name)
    images, labels = benchmarks.load(name, "train", data_dir)
    images = images[labels == normal]
    test_images, test_labels = benchmarks.load(name, "test", data_dir)
    height, width, channels = images.shape[1:]
    spec = ImageSpec(height, width, channels)
    split = split_normals(
        len(images), config.training.validation_size, config.threshold, False, seed
    )
    where = resolve_device(device)
    started = time.perf_counter()
    network, history = train(
        images, split.train, split.validation, spec, config, seed=seed, device=where
    )
    seconds = time.perf_counter() - started
    scores = np.concatenate(
        [
            raw_scores(network, spec.to_tensor(test_images[start : start + 1000], where))
            for start in range(0, len(test_images), 1000)
        ]
    )
    is_normal = test_labels == normal
    clipped = scores.clip(0, 1)
    per_image = _forward_flops(network, spec)
    images_seen = 2 * len(history.epochs) * max(len(split.train), config.training.min_epoch_images)
    return {
        "data": name,
        "class": benchmarks.get(name).classes[normal],
        "seed": seed,
        "preset": preset_name,
        "auroc": auroc(scores[is_normal], scores[~is_normal]),
        "auroc_clipped": auroc(clipped[is_normal], clipped[~is_normal]),
        "n_train": len(split.train),
        "n_validation": len(split.validation),
        "n_test_normal": int(is_normal.sum()),
        "n_test_abnormal": int((~is_normal).sum()),
        "parameters": count_parameters(network),
        "epochs": len(history.epochs),
        "best_epoch": history.best_epoch,
        "validation_auroc": history.best.validation_auroc,
        "kind_auroc": history.best.kind_auroc,
        "training_seconds": round(seconds, 2),
        "training_gflop": 3 * per_image * images_seen / 1e9,
        "mflop_per_image": per_image / 1e6,
        "device": where.type,
        "threads": torch.get_num_threads(),
        "versions": {
            "adacl": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "config": config.to_dict(),
        "data_sha256": _checksum(images, test_images),
    }


def _forward_flops(network: Regressor, spec: ImageSpec) -> int:
    batch = torch.zeros(1, spec.channels, spec.height, spec.width, device=network.mean.device)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(batch)
    return int(counter.get_total_flops())


def _checksum(*arrays: Any) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def summarise(results: Sequence[dict[str, Any]], classes: Sequence[str]) -> dict[str, Any]:
    """Summarise cells: mean and standard deviation over seeds per class, and of the class means.

    The standard deviation of the mean is that of the mean over all classes, seed by seed, over
    those seeds for which every class is finished.
    """
    by_class = {
        name: {r["seed"]: 100 * r["auroc"] for r in results if r["class"] == name}
        for name in classes
    }
    seeds = sorted(set.intersection(*(set(areas) for areas in by_class.values())))
    means = [statistics.mean(by_class[name][seed] for name in classes) for seed in seeds]
    return {
        "per_class": {
            name: _mean_sd(list(areas.values())) for name, areas in by_class.items() if areas
        },
        "mean": _mean_sd(means) if means else None,
        "complete_seeds": seeds,
        "cells": len(results),
        "training_seconds": round(sum(r["training_seconds"] for r in results), 1),
        "training_gflop": round(sum(r["training_gflop"] for r in results), 1),
        "epochs": sorted({r["epochs"] for r in results}),
        **{name: results[0][name] for name in ("parameters", "threads", "versions", "config")},
        "data_sha256": {r["class"]: r["data_sha256"] for r in results},
    }


def _mean_sd(values: list[float]) -> dict[str, float | int | None]:
    return {
        "mean": round(statistics.mean(values), 2),
        "sd": round(statistics.stdev(values), 2) if len(values) > 1 else None,
        "n": len(values),
    }
