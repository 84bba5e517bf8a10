"""Where a training step's time goes, and whether PyTorch's shortcuts make it shorter.

    python -m benchmarks.speed.step_profile --data-dir DATA
        --out benchmarks/results/step_profile.json

The preset's network, 128 normal images and as many made ones, real images. The profile counts each
operator's own time. The ways to compute a step are gone through in turn, medians of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adacl.anomalies import make_mixture
from adacl.config import Config
from adacl.datasets import catalogue
from adacl.imaging.spec import ImageSpec
from adacl.networks.regressor import Regressor
from adacl.training.labels import draw_labels
from benchmarks.common import record, seconds

CPU = torch.device("cpu")
WAYS = {
    "as it is": {},
    "fused Adam": {"fused": True},
    "bfloat16": {"half": True},
    "torch.compile": {"compiled": True},
}


def step_of(
    images: np.ndarray, half: bool = False, fused: bool = False, compiled: bool = False
) -> Callable[[], None]:
    config, spec = Config(), ImageSpec(*images.shape[1:])
    network = Regressor(config.network, spec.channels, spec.height, spec.width).train()
    network.to(memory_format=torch.channels_last)
    forward = torch.compile(network) if compiled else network
    optimizer = torch.optim.Adam(network.parameters(), fused=fused)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        normal = spec.to_tensor(images, CPU)
        with torch.profiler.record_function("making anomalies"):
            made, _ = make_mixture(normal, generator, config.anomalies)
        labels = draw_labels(torch.arange(2 * len(normal)) >= len(normal), generator)
        both = torch.cat([normal, made.images]).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            output = forward(both)
        loss = torch.nn.functional.mse_loss(output.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def profile(step: Callable[[], None], steps: int = 10) -> dict[str, float]:
    """Return each operator's share of the time, the largest first."""
    for _ in range(5):
        step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        for _ in range(steps):
            step()
    events = found.key_averages()
    whole = sum(event.self_cpu_time_total for event in events)
    shares = {event.key: event.self_cpu_time_total / whole for event in events}
    making = next(event for event in events if event.key == "making anomalies")
    shares["making anomalies"] = making.cpu_time_total / whole
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return {name: round(share, 3) for name, share in ordered[:12]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    results: dict[str, Any] = {"threads": torch.get_num_threads()}
    for name in ("mnist", "cifar10"):
        images, _ = catalogue.load(name, "test", arguments.data_dir)
        steps = {way: step_of(images[:128], **options) for way, options in WAYS.items()}
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(arguments.rounds + 1):
            for way, step in steps.items():
                times[way].append(1e3 * seconds(step, 6))
        results[name] = {
            "step_ms": {way: round(statistics.median(x[1:]), 1) for way, x in times.items()},
            "profile": profile(steps["as it is"]),
        }
        print(name, results[name], flush=True)
    record(arguments.out, results)


if __name__ == "__main__":
    main()
