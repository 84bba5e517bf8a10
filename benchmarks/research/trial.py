"""One question to a preset: what does a changed setting do to classes of the training splits.

    python -m benchmarks.research.trial --data-dir DATA --out benchmarks/results/beyond/trials
        --preset aligned --classes fashion-mnist/sandal,mnist/2 --set loop.epochs=5

No test split is opened: 500 normals of the training split are held out, and 2,000 images of its
other classes are the anomalies. Without ``--set`` the preset itself is measured. Finished trials
are kept, so the command can be repeated.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adacl import Config, preset
from adacl.config.presets import parse_settings
from adacl.data.samples import Samples
from adacl.datasets import catalogue
from adacl.metrics import auroc
from adacl.model.history import History
from adacl.networks.regressor import Regressor
from adacl.scale import grid
from adacl.training import loop

HELD_OUT, OTHERS, VALIDATION = 500, 2000, 150
SCORED = ("normal", "other")
CPU = torch.device("cpu")
Question = Callable[["Trial"], dict[str, Any]]


class Trial:
    """A class of a training split: what is learnt from, what is scored, and how.

    The parts are ``normal`` (held out) and ``other`` (of the split's other classes) to score,
    ``stopping`` for early stopping and ``learnt`` to learn from.
    """

    def __init__(self, source: str, config: Config, seed: int, data_dir: Path) -> None:
        data, name = source.split("/")
        images, labels = catalogue.load(data, "train", data_dir)
        self.config, self.seed = config, seed
        normal = labels == catalogue.get(data).classes.index(name)
        rng = np.random.default_rng([seed, 7])
        own, others = (rng.permutation(np.flatnonzero(which)) for which in (normal, ~normal))
        held_out, stopping, learnt = np.split(own, [HELD_OUT, HELD_OUT + VALIDATION])
        samples = Samples(images)
        self.parts = {
            "normal": samples.subset(held_out),
            "other": samples.subset(others[:OTHERS]),
            "stopping": samples.subset(stopping),
            "learnt": samples.subset(learnt),
        }

    def learn(self, seed: int) -> tuple[Regressor, History]:
        """Return a network that has learnt, and how it went."""
        learnt, stopping = self.parts["learnt"], self.parts["stopping"]
        return loop.train(learnt, stopping, self.config, seed=seed, device=CPU)

    def tensor(self, part: str, most: int | None = None) -> Tensor:
        """Return (the first of) the images of a part, N x C x H x W in [0, 1]."""
        return self.parts[part].subset(slice(most)).tensor(CPU)

    def scores(self, network: Regressor) -> dict[str, np.ndarray]:
        """Return the scores (N,) of the parts to score."""
        return {part: loop.raw_scores(network, self.tensor(part)) for part in SCORED}


def area(scores: dict[str, np.ndarray]) -> float:
    return auroc(*(scores[part] for part in SCORED))


def question(trial: Trial) -> dict[str, Any]:
    network, history = trial.learn(trial.seed)
    return {
        "auroc": area(trial.scores(network)),
        "validation_auroc": history.epochs[-1].validation_auroc,
        "epochs": len(history.epochs),
        "seconds": round(sum(epoch.seconds for epoch in history.epochs), 1),
    }


def run(
    question: Question, source: str, config: Config, seed: int, data_dir: Path, changes: list[str]
) -> dict[str, Any]:
    answer = question(Trial(source, config, seed, data_dir))
    return {
        "class": source,
        "preset": config.preset,
        "changes": changes,
        "seed": seed,
        **answer,
    }


def ask(description: str, question: Question) -> None:
    """Put a question to the classes, seeds and settings of the command line."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--classes", required=True)
    parser.add_argument("--set", action="append", default=[], dest="changes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    config = preset(given.preset).replace(**parse_settings(given.changes))
    cells: list[grid.Cell] = [
        (
            "+".join([source.replace("/", "-"), f"seed{seed}", given.preset, *given.changes]),
            {
                "source": source,
                "config": config,
                "seed": seed,
                "data_dir": given.data_dir,
                "changes": given.changes,
            },
        )
        for seed in given.seeds
        for source in given.classes.split(",")
    ]
    for found in grid.run_cells(partial(run, question), cells, given.out, given.jobs):
        print(found["cell"], json.dumps(found["auroc"]), flush=True)


if __name__ == "__main__":
    ask(__doc__, question)
