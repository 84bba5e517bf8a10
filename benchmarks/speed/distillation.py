"""What training costs beside distillation (table 2 of the paper): parameters, FLOPs, seconds.

    python -m benchmarks.speed.distillation --data-dir DATA
        --out benchmarks/results/distillation.json

The teacher-student pair has the shape that Multiresolution KDAD publishes: a VGG-16 as teacher, a
thin VGG with batch normalisation as student, mean squared error and cosine at four depths. Its
weights are random, because only time is asked for: its accuracy is quoted, not measured. Steps of
both alternate, on the same CIFAR-10 images; an epoch is counted as the class's 5,000 images.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from adacl.anomalies import make_mixture
from adacl.datasets import catalogue
from adacl.imaging.spec import ImageSpec
from adacl.networks.regressor import Regressor, count_parameters
from adacl.protocols.image.one_vs_rest import paper_config
from adacl.training.labels import draw_labels
from benchmarks.common import record, seconds

TEACHER = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)
STUDENT = (16, 16, 0, 16, 128, 0, 16, 16, 256, 0, 16, 16, 512, 0, 16, 16, 512)
COMPARED = (4, 8, 12, 16)
DISTILLATION_EPOCHS = 200
IMAGES = 5000
BATCH = 64


class Vgg(nn.Module):
    """A VGG; 0 among the widths is a pooling. It returns the features at some depths."""

    def __init__(self, widths: Sequence[int], batch_norm: bool) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        channels = 3
        for width in widths:
            if width == 0:
                self.stages.append(nn.MaxPool2d(2))
                continue
            layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1)]
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            self.stages.append(nn.Sequential(*layers, nn.ReLU(inplace=True)))
            channels = width

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features at the depths compared."""
        found = []
        for place, stage in enumerate(self.stages):
            images = stage(images)
            if place in COMPARED:
                found.append(images)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--repetitions", type=int, default=8)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    images, _ = catalogue.load("cifar10", "test", arguments.data_dir)
    config = paper_config("cifar10")
    spec = ImageSpec(*images.shape[1:])
    generator = torch.Generator().manual_seed(0)
    device = torch.device("cpu")

    ours = Regressor(config.network, spec.channels, spec.height, spec.width)
    ours.to(memory_format=torch.channels_last)
    our_optimizer = torch.optim.Adam(ours.parameters())
    teacher, student = Vgg(TEACHER, False).eval(), Vgg(STUDENT, True)
    for network in (teacher, student):
        network.to(memory_format=torch.channels_last)
    student_optimizer = torch.optim.Adam(student.parameters())
    batch = images[: config.training.batch_size]

    def our_step() -> None:
        normal = spec.to_tensor(batch, device)
        made, _ = make_mixture(normal, generator, config.anomalies)
        labels = draw_labels(torch.arange(2 * len(normal)) >= len(normal), generator)
        ours.train()
        both = torch.cat([normal, made.images]).contiguous(memory_format=torch.channels_last)
        loss = functional.mse_loss(ours(both), labels)
        our_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        our_optimizer.step()

    def distillation_step() -> None:
        normal = spec.to_tensor(images[:BATCH], device)
        normal = normal.contiguous(memory_format=torch.channels_last)
        student.train()
        with torch.no_grad():
            wanted = teacher(normal)
        loss = torch.zeros(())
        for a, b in zip(student(normal), wanted, strict=True):
            cosine = functional.cosine_similarity(a.flatten(1), b.flatten(1))
            loss = loss + functional.mse_loss(a, b) + (1 - cosine).mean()
        student_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        student_optimizer.step()

    times: dict[str, list[float]] = {"ours": [], "distillation": []}
    for _ in range(arguments.repetitions + 1):
        times["ours"].append(seconds(our_step, 10))
        times["distillation"].append(seconds(distillation_step, 3))
    rows: dict[str, Any] = {}
    for name, step, size, epochs, parameters in (
        ("ours", our_step, len(batch), config.training.epochs, count_parameters(ours)),
        (
            "distillation",
            distillation_step,
            BATCH,
            DISTILLATION_EPOCHS,
            count_parameters(teacher) + count_parameters(student),
        ),
    ):
        with FlopCounterMode(display=False) as counter:
            step()
        steps = epochs * IMAGES / size
        rows[name] = {
            "parameters": parameters,
            "epochs": epochs,
            "batch": size,
            "gflop_per_step": counter.get_total_flops() / 1e9,
            "tflop_in_all": counter.get_total_flops() * steps / 1e12,
            "step_seconds": statistics.median(times[name][1:]),
            "seconds_in_all": statistics.median(times[name][1:]) * steps,
        }
    ratios = [b / a for a, b in zip(times["ours"][1:], times["distillation"][1:], strict=True)]
    rows["ratio_of_step_seconds"] = {
        "median": statistics.median(ratios),
        "min": min(ratios),
        "max": max(ratios),
    }
    rows["threads"] = torch.get_num_threads()
    rows["student_parameters"] = count_parameters(student)
    print(rows)
    record(arguments.out, rows)


if __name__ == "__main__":
    main()
