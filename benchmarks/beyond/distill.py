"""Distillation: one network that learns what three others say instead of labels drawn at random.

    python benchmarks/beyond/distill.py --data-dir DATA --out benchmarks/beyond/distilled
        --preset aligned --classes fashion-mnist/shirt,mnist/8

The teachers are of the same preset and learn from the same normal images with other seeds. The
student's labels are the mean of their outputs for the very images it sees. Splits as in
``trial.py``: no test split is opened. Finished classes are kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from trial import OTHERS, split

from adacl import Config, preset, training
from adacl.cli.options import parse_setting
from adacl.metrics import auroc
from adacl.networks import Regressor
from adacl.pixels import ImageSpec
from adacl.protocols import grid
from adacl.samples import draw_samples

TEACHERS = 3


def run(source: str, config: Config, data_dir: Path) -> dict[str, Any]:
    images, held_out, stopping, learnt, others = split(source, 0, data_dir)
    spec = ImageSpec(*images.shape[1:])
    cpu = torch.device("cpu")

    def learn(seed: int) -> tuple[Regressor, np.ndarray]:
        network, _ = training.train(images, learnt, stopping, spec, config, seed=seed, device=cpu)
        places = np.concatenate([held_out, others[:OTHERS]])
        return network, training.raw_scores(network, spec.to_tensor(images[places], cpu))

    def area(scores: np.ndarray) -> float:
        return auroc(scores[: len(held_out)], scores[len(held_out) :])

    _, alone = learn(0)
    teachers, taught = zip(*(learn(seed) for seed in range(1, TEACHERS + 1)), strict=True)

    @torch.no_grad()
    def taught_samples(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        samples, labels, anomalous = draw_samples(*arguments)
        outputs = torch.stack([teacher.eval()(samples) for teacher in teachers])
        return samples, outputs.mean(0).clamp(0, 1).to(labels.dtype), anomalous

    with patch.object(training, "draw_samples", taught_samples):
        _, student = learn(0)
    return {
        "class": source,
        "config": config.to_dict(),
        "alone": area(alone),
        "teachers": [area(scores) for scores in taught],
        "teachers together": area(np.mean(taught, axis=0)),
        "student": area(student),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--classes", required=True)
    parser.add_argument("--set", action="append", default=[], dest="changes")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    config = preset(given.preset).replace(**dict(map(parse_setting, given.changes)))
    cells: list[grid.Cell] = [
        (
            "+".join([source.replace("/", "-"), given.preset, *given.changes]),
            {"source": source, "config": config, "data_dir": given.data_dir},
        )
        for source in given.classes.split(",")
    ]
    for name in grid.run_cells(run, cells, given.out, given.jobs):
        found = json.loads((given.out / "cells" / f"{name}.json").read_text(encoding="utf-8"))
        print(name, {k: v for k, v in found.items() if k != "config"}, flush=True)


if __name__ == "__main__":
    main()
