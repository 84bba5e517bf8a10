"""Speed of training and scoring, as a share of what the machine's matrix product reaches.

    python -m benchmarks.speed.speed --data-dir DATA --out benchmarks/results/speed.json

Every repetition alternates: a large matrix product, training steps, anomaly creation alone,
scoring. Rates are medians over the repetitions; FLOPs are counted by PyTorch's own counter.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from adacl.anomalies import make_mixture
from adacl.config import Config
from adacl.datasets import catalogue
from adacl.imaging.spec import ImageSpec
from adacl.networks.regressor import Regressor, count_parameters, raw_scores
from adacl.training.labels import draw_labels
from benchmarks.common import record, seconds, timed

CPU = torch.device("cpu")
SIDE = 2048


def measure(name: str, images: np.ndarray, repetitions: int) -> dict[str, Any]:
    config = Config()
    spec = ImageSpec(*images.shape[1:])
    network = Regressor(config.network, spec.channels, spec.height, spec.width)
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters())
    generator = torch.Generator().manual_seed(0)
    batch, many = images[: config.training.batch_size], images[:2048]
    normal = spec.to_tensor(batch, CPU)

    def step() -> None:
        normal = spec.to_tensor(batch, CPU)
        made, _ = make_mixture(normal, generator, config.anomalies)
        labels = draw_labels(torch.arange(2 * len(normal)) >= len(normal), generator)
        network.train()
        both = torch.cat([normal, made.images]).contiguous(memory_format=torch.channels_last)
        loss = torch.nn.functional.mse_loss(network(both), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def score() -> None:
        for start in range(0, len(many), 256):
            raw_scores(network, spec.to_tensor(many[start : start + 256], CPU))

    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    jobs: dict[str, tuple[Callable[[], object], int]] = {
        "matrix_product": (lambda: torch.mm(a, b), 3),
        "step": (step, 10),
        "anomaly_creation": (lambda: make_mixture(normal, generator, config.anomalies), 10),
        "score": (score, 1),
    }
    with FlopCounterMode(display=False) as counter:
        step()
    step_flops = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(normal)
    image_flops = counter.get_total_flops() / len(normal)
    times: dict[str, list[float]] = {job: [] for job in jobs}
    for _ in range(repetitions):
        for job, (function, count) in jobs.items():
            times[job].append(seconds(function, count))
    times = {job: values[1:] for job, values in times.items()}
    product = [2 * SIDE**3 / t for t in times["matrix_product"]]
    train_share = [step_flops / t / p for t, p in zip(times["step"], product, strict=True)]
    score_share = [
        image_flops * len(many) / t / p for t, p in zip(times["score"], product, strict=True)
    ]
    creation = [c / t for c, t in zip(times["anomaly_creation"], times["step"], strict=True)]
    return {
        "data": name,
        "parameters": count_parameters(network),
        "mflop_per_image_scored": image_flops / 1e6,
        "gflop_per_step": step_flops / 1e9,
        "batch_normal": len(batch),
        "step_ms": 1e3 * statistics.median(times["step"]),
        "normal_images_per_s_trained": len(batch) / statistics.median(times["step"]),
        "images_per_s_scored": len(many) / statistics.median(times["score"]),
        "matrix_product_gflops": statistics.median(product) / 1e9,
        "training_share": _spread(train_share),
        "scoring_share": _spread(score_share),
        "anomaly_creation_share_of_step": _spread(creation),
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def start_up() -> dict[str, Any]:
    commands = {
        "adacl --help": ["-m", "adacl", "--help"],
        "import adacl": ["-c", "import adacl"],
        "import torch": ["-c", "import torch"],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(7):
        for name, command in commands.items():
            found[name].append(timed(*command)["seconds"])
    return {name: statistics.median(values[1:]) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--repetitions", type=int, default=12)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    results: dict[str, Any] = {"threads": torch.get_num_threads(), "runs": []}
    for name in ("mnist", "cifar10"):
        images, _ = catalogue.load(name, "test", arguments.data_dir)
        results["runs"].append(measure(name, images, arguments.repetitions))
        print(results["runs"][-1])
    results["start_up_seconds"] = start_up()
    record(arguments.out, results)


if __name__ == "__main__":
    main()
