"""One question to a preset: what does a changed setting do to classes of the training splits.

    python benchmarks/beyond/trial.py --data-dir DATA --out benchmarks/beyond/trials
        --preset aligned --classes fashion-mnist/sandal,mnist/2 --set training.epochs=5

No test split is opened: 500 normals of the training split are held out, and 2,000 images of its
other classes are the anomalies. Without ``--set`` the preset itself is measured. Finished trials
are kept, so the command can be repeated.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adacl import Config, preset
from adacl.cli.options import parse_setting
from adacl.data import benchmarks
from adacl.metrics import auroc
from adacl.pixels import ImageSpec
from adacl.protocols import grid
from adacl.training import raw_scores, train

HELD_OUT, OTHERS, VALIDATION = 500, 2000, 150


def split(source: str, seed: int, data_dir: Path) -> tuple[np.ndarray, ...]:
    """Return a training split's images, and places in it.

    Places: of normals held out, for early stopping and to learn from; of the other classes.
    """
    data, name = source.split("/")
    images, labels = benchmarks.load(data, "train", data_dir)
    normal = labels == benchmarks.get(data).classes.index(name)
    rng = np.random.default_rng([seed, 7])
    own, others = (rng.permutation(np.flatnonzero(which)) for which in (normal, ~normal))
    return (images, *np.split(own, [HELD_OUT, HELD_OUT + VALIDATION]), others)


def run(
    source: str, config: Config, seed: int, data_dir: Path, changes: list[str]
) -> dict[str, Any]:
    images, held_out, stopping, learnt, others = split(source, seed, data_dir)
    spec = ImageSpec(*images.shape[1:])
    cpu = torch.device("cpu")
    network, history = train(images, learnt, stopping, spec, config, seed=seed, device=cpu)

    def scores(places: np.ndarray) -> np.ndarray:
        return raw_scores(network, spec.to_tensor(images[places], cpu))

    return {
        "class": source,
        "preset": config.preset,
        "changes": changes,
        "seed": seed,
        "auroc": auroc(scores(held_out), scores(others[:OTHERS])),
        "validation_auroc": history.epochs[-1].validation_auroc,
        "epochs": len(history.epochs),
        "seconds": round(sum(epoch.seconds for epoch in history.epochs), 1),
    }


def ask(description: str, run: Callable[..., dict[str, Any]]) -> None:
    """Run a question for the classes, seeds and settings of the command line."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--classes", required=True)
    parser.add_argument("--set", action="append", default=[], dest="changes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    config = preset(given.preset).replace(**dict(map(parse_setting, given.changes)))
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
    for name in grid.run_cells(run, cells, given.out, given.jobs):
        found = json.loads((given.out / "cells" / f"{name}.json").read_text(encoding="utf-8"))
        print(name, json.dumps(found["auroc"]), flush=True)


if __name__ == "__main__":
    ask(__doc__, run)
