"""Distillation: one network that learns what three others say instead of labels drawn at random.

    python -m benchmarks.research.distill --data-dir DATA --out benchmarks/results/beyond/distilled
        --preset aligned --classes fashion-mnist/shirt,mnist/8

The teachers are of the same preset and learn from the same normal images with other seeds. The
student's labels are the mean of their outputs for the very images it sees. Splits as in
``trial.py``: no test split is opened. Finished classes are kept.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from adacl.training import loop
from adacl.training.batches import draw_samples
from benchmarks.research.trial import SCORED, Trial, area, ask

TEACHERS = 3


def question(trial: Trial) -> dict[str, Any]:
    alone, _ = trial.learn(trial.seed)
    teachers = [trial.learn(trial.seed + number)[0] for number in range(1, TEACHERS + 1)]

    @torch.no_grad()
    def taught_samples(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        samples, labels, anomalous = draw_samples(*arguments)
        outputs = torch.stack([teacher.eval()(samples) for teacher in teachers])
        return samples, outputs.mean(0).clamp(0, 1).to(labels.dtype), anomalous

    with patch.object(loop, "draw_samples", taught_samples):
        student, _ = trial.learn(trial.seed)
    taught = [trial.scores(teacher) for teacher in teachers]
    together = {part: np.mean([scores[part] for scores in taught], axis=0) for part in SCORED}
    return {
        "auroc": {
            "alone": area(trial.scores(alone)),
            "teachers": [area(scores) for scores in taught],
            "teachers together": area(together),
            "student": area(trial.scores(student)),
        }
    }


if __name__ == "__main__":
    ask(__doc__, question)
