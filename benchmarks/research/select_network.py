"""Choose the default network and anomaly settings without looking at a test label.

Each candidate is trained on one class of a training split with the paper's four kinds of made
anomalies. It is judged by the AUROC between held-out normals of that same split and made
anomalies of kinds that it never saw (``UNSEEN``). No test split is opened and no sample of
another class is used.

Whether this signal means anything is checked on data that no table reports: scikit-learn's
8 x 8 digits, enlarged to 28 x 28, with the other digits as real anomalies.

    python -m benchmarks.research.select_network --data-dir DATA
        --out benchmarks/results/select_network

Finished cells are skipped, so the command can be repeated after an interruption.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch.nn import functional

from adacl.config import Config
from adacl.data.samples import Samples
from adacl.datasets import catalogue
from adacl.imaging.spec import ImageSpec
from adacl.metrics import auroc
from adacl.networks.regressor import count_parameters, raw_scores
from adacl.scale import grid
from adacl.training.loop import train

TASKS = [
    *[("mnist", c) for c in (2, 8)],
    *[("fashion-mnist", c) for c in (5, 6)],
    *[("cifar10", c) for c in (0, 3)],
    *[("digits", c) for c in (2, 3, 8, 9)],
]
EPOCHS = 8
SEAMLESS = ("mirror", "flip", "half turn", "stretched")
SEAMED = ("erased", "patch of another")
PLAIN = {"network__conv_dropout": 0.0, "network__dropout": 0.0}
SMALL_CUT = {"anomalies__options": {"cut_paste": {"area": [0.05, 0.3]}}}
NARROW_CUT = {"anomalies__options": {"cut_paste": {"area": [0.02, 0.15]}}}
WIDE_CUT = {"anomalies__options": {"cut_paste": {"area": [0.1, 0.5]}}}
CANDIDATES: dict[str, dict[str, object]] = {
    "average, 3x3, batch norm": {
        "network__pool": "average",
        "network__kernel": 3,
        "network__batch_norm": True,
        "network__channels": [32, 64, 128],
        **PLAIN,
    },
    "flat, 3x3, batch norm": {"network__kernel": 3, "network__batch_norm": True, **PLAIN},
    "flat, 5x5, batch norm": {"network__batch_norm": True, **PLAIN},
    "flat, 5x5, batch norm, dropout": {"network__batch_norm": True},
    "flat, 3x3": {"network__kernel": 3, **PLAIN},
    "flat, 5x5": {**PLAIN},
    "flat, 3x3, dropout": {"network__kernel": 3},
    "flat, 5x5, dropout": {},
    "flat, 5x5, dropout .2/.5": {"network__conv_dropout": 0.2, "network__dropout": 0.5},
    "flat, 7x7, dropout": {"network__kernel": 7},
    "flat, 5x5, dropout, 24-48-72": {"network__channels": [24, 48, 72]},
    "flat, 5x5, dropout, cut-paste area .02-.15": NARROW_CUT,
    "flat, 5x5, dropout, cut-paste area .1-.5": WIDE_CUT,
    "flat, 5x5, dropout, rate 1e-3": {"training__rate_max": 1e-3},
    "flat, 5x5, dropout, rate 4e-3": {"training__rate_max": 4e-3},
    "flat, 5x5, dropout, triangular": {"training__schedule": "triangular"},
}


def unseen(images: torch.Tensor, seed: int) -> dict[str, torch.Tensor]:
    """Make anomalies of kinds that training never sees, from images N x C x H x W in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    count, _, height, width = images.shape
    quarter = height // 4
    erased = images.clone()
    erased[:, :, quarter : 2 * quarter, quarter : 2 * quarter] = images.mean()
    grid = functional.affine_grid(
        torch.tensor([[[1.0, 0.5, 0.0], [0.0, 1.0, 0.0]]]).repeat(count, 1, 1),
        list(images.shape),
        align_corners=False,
    )
    other = images.roll(1, 0).clone()
    pasted = images.clone()
    side = height // 3
    pasted[:, :, side : 2 * side, side : 2 * side] = other[:, :, side : 2 * side, side : 2 * side]
    cells = functional.unfold(images, height // 4, stride=height // 4)
    order = torch.randperm(cells.shape[2], generator=generator)
    area = (height // 4 * 4, width // 4 * 4)
    puzzle = functional.fold(cells[:, :, order], area, height // 4, stride=height // 4)
    return {
        "mirror": images.flip(-1),
        "flip": images.flip(-2),
        "half turn": images.flip(-1, -2),
        "shift": images.roll((quarter, quarter), (2, 3)),
        "blur": functional.avg_pool2d(images, 5, 1, 2, count_include_pad=False),
        "noise": (images + 0.15 * torch.randn(images.shape, generator=generator)).clamp(0, 1),
        "erased": erased,
        "shear": functional.grid_sample(images, grid, padding_mode="border", align_corners=False),
        "patch of another": pasted,
        "4 x 4 puzzle": functional.pad(puzzle, (0, width - area[1], 0, height - area[0])),
        "average of two": (images + other) / 2,
        "stretched": functional.interpolate(
            images[:, :, quarter // 2 : -(quarter // 2)], (height, width), mode="bilinear"
        ),
    }


def images_of(data: str, number: int, folder: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return normal images and, for the digits alone, real anomalies."""
    if data != "digits":
        images, labels = catalogue.load(data, "train", folder)
        return images[labels == number], None
    digits = load_digits()
    enlarged = np.stack(
        [
            np.asarray(Image.fromarray((im * 255 / 16).astype(np.uint8)).resize((28, 28), 2))
            for im in digits.images
        ]
    )[..., None]
    return enlarged[digits.target == number], enlarged[digits.target != number]


def cell(candidate: str, data: str, number: int, seed: int, folder: str) -> dict[str, object]:
    """Train one candidate on one class and judge it."""
    torch.set_num_threads(1)
    normal, real = images_of(data, number, folder)
    order = np.random.default_rng([seed, 99]).permutation(len(normal))
    held, stop = (500, 150) if len(normal) > 2000 else (50, 20)
    judged, stopping, learnt = np.split(order, [held, held + stop])
    config = Config().replace(training__epochs=EPOCHS, **(SMALL_CUT | CANDIDATES[candidate]))
    spec = ImageSpec(*normal.shape[1:])
    cpu = torch.device("cpu")
    started = time.perf_counter()
    samples = Samples(normal, spec)
    train_on, validate_on = samples.subset(learnt), samples.subset(stopping)
    network, history = train(train_on, validate_on, config, seed=seed, device=cpu)
    seconds = time.perf_counter() - started
    held_out = spec.to_tensor(normal[judged], cpu)
    scores = raw_scores(network, held_out)
    per_kind = {
        kind: auroc(scores, raw_scores(network, made))
        for kind, made in unseen(held_out, seed).items()
    }
    result = {
        "candidate": candidate,
        "data": data,
        "class": number,
        "seed": seed,
        "unseen": float(np.mean(list(per_kind.values()))),
        "per_kind": per_kind,
        "validation": history.best.validation_auroc,
        "parameters": count_parameters(network),
        "seconds": round(seconds, 1),
    }
    if real is not None:
        result["real"] = auroc(scores, raw_scores(network, spec.to_tensor(real, cpu)))
    return result


def summary(folder: Path) -> str:
    """Return the table of ``docs/evidence/network.md``: means over classes and seeds in %."""
    cells = grid.read_cells(folder)
    rows = []
    for candidate in CANDIDATES:
        own = [c for c in cells if c["candidate"] == candidate]
        digits = [c for c in own if c["data"] == "digits"]
        images = [c for c in own if c["data"] != "digits"]

        def seen(cells: list[dict], kinds: tuple[str, ...]) -> float:
            return 100 * float(np.mean([c["per_kind"][kind] for c in cells for kind in kinds]))

        values = (
            100 * float(np.mean([c["real"] for c in digits])),
            seen(digits, SEAMLESS),
            seen(images, SEAMLESS),
            seen(images, SEAMED),
            100 * float(np.mean([c["validation"] for c in images])),
        )
        rows.append(f"| {candidate} | " + " | ".join(f"{v:.1f}" for v in values) + " |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--summary", action="store_true", help="print the table and stop")
    arguments = parser.parse_args()
    if arguments.summary:
        print(summary(arguments.out))
        return
    cells: list[grid.Cell] = [
        (
            f"{data}-{number}-seed{seed}-{candidate}",
            {
                "candidate": candidate,
                "data": data,
                "number": number,
                "seed": seed,
                "folder": arguments.data_dir,
            },
        )
        for seed in arguments.seeds
        for candidate in CANDIDATES
        for data, number in TASKS
    ]
    for result in grid.run_cells(cell, cells, arguments.out, arguments.jobs):
        print("done:", result["cell"], flush=True)


if __name__ == "__main__":
    main()
