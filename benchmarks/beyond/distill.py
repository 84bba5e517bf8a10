"""Distillation: one network that learns what three others say instead of labels drawn at random.

    python benchmarks/beyond/distill.py --data-dir DATA --out benchmarks/beyond/distilled
        --preset aligned --classes fashion-mnist/shirt,mnist/8

The teachers are of the same preset and learn from the same normal images with other seeds. The
student's labels are the mean of their outputs for the very images it sees. Splits as in
``trial.py``: no test split is opened. Finished classes are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from trial import OTHERS, ask, split

from adacl import Config, training
from adacl.metrics import auroc
from adacl.networks import Regressor
from adacl.pixels import ImageSpec
from adacl.samples import draw_samples

TEACHERS = 3


def run(
    source: str, config: Config, seed: int, data_dir: Path, changes: list[str]
) -> dict[str, Any]:
    images, held_out, stopping, learnt, others = split(source, seed, data_dir)
    spec = ImageSpec(*images.shape[1:])
    cpu = torch.device("cpu")

    def learn(seed: int) -> tuple[Regressor, np.ndarray]:
        network, _ = training.train(images, learnt, stopping, spec, config, seed=seed, device=cpu)
        places = np.concatenate([held_out, others[:OTHERS]])
        return network, training.raw_scores(network, spec.to_tensor(images[places], cpu))

    def area(scores: np.ndarray) -> float:
        return auroc(scores[: len(held_out)], scores[len(held_out) :])

    _, alone = learn(seed)
    teachers, taught = zip(
        *(learn(seed + number) for number in range(1, TEACHERS + 1)), strict=True
    )

    @torch.no_grad()
    def taught_samples(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        samples, labels, anomalous = draw_samples(*arguments)
        outputs = torch.stack([teacher.eval()(samples) for teacher in teachers])
        return samples, outputs.mean(0).clamp(0, 1).to(labels.dtype), anomalous

    with patch.object(training, "draw_samples", taught_samples):
        _, student = learn(seed)
    return {
        "class": source,
        "preset": config.preset,
        "changes": changes,
        "seed": seed,
        "auroc": {
            "alone": area(alone),
            "teachers": [area(scores) for scores in taught],
            "teachers together": area(np.mean(taught, axis=0)),
            "student": area(student),
        },
    }


if __name__ == "__main__":
    ask(__doc__, run)
