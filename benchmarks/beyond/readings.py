"""Other ways to read the same network, beside the way of its preset.

    python benchmarks/beyond/readings.py --data-dir DATA --out benchmarks/beyond/readings
        --preset varied --classes cifar10/deer,cifar10/plane --set training.precision=bfloat16

Each network is trained once, as ``trial.py`` does, with its splits: no test split is opened.
Finished classes are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from trial import OTHERS, ask, split

from adacl import Config
from adacl.embeddings import fit_distance
from adacl.metrics import auroc
from adacl.networks import Regressor, Residual, seen
from adacl.pixels import ImageSpec
from adacl.training import raw_scores, train

Array = NDArray[Any]
LEARNT = 2000
"""Images to learn from that the distances here are fitted to."""
SHRINKAGE = 0.01


def over_views(network: Regressor, images: Tensor, of: Callable[[Tensor], Tensor]) -> Array:
    """Return something of every view of images, V x N x F, in double precision."""
    parts = torch.split(images, 256)
    found = [torch.cat([of(seen(p, view)) for p in parts]) for view in network.views]
    values: Array = torch.stack(found).double().numpy()
    return values


def moved(images: Tensor, down: int, right: int) -> Tensor:
    """Return images shifted by some pixels, their rims mirrored."""
    height, width = images.shape[-2:]
    wide = functional.pad(images, (2, 2, 2, 2), mode="reflect")
    return wide[..., 2 - down : 2 - down + height, 2 - right : 2 - right + width].contiguous()


def layers(network: Regressor) -> list[nn.Sequential]:
    """Return the network up to the end of each stage and residual block."""
    parts = list(network.features)
    ends = [i + 1 for i, part in enumerate(parts) if isinstance(part, nn.ReLU | Residual)]
    return [nn.Sequential(*parts[:end]) for end in ends]


def mahalanobis(
    values: dict[str, Array], outputs: list[int], per_view: bool = False
) -> dict[str, Array]:
    """Return distances (N,) of unit-length values V x N x F, the mean over the views."""
    unit = {
        part: v / np.maximum(np.linalg.norm(v, axis=2, keepdims=True), 1e-12)
        for part, v in values.items()
    }
    learnt, own = unit["learnt"], np.array(outputs)
    centres = np.stack([learnt[own == k].mean((0, 1)) for k in own])

    def precision(apart: Array) -> Array:
        covariance = np.cov(apart.reshape(-1, apart.shape[-1]).T)
        ridge = SHRINKAGE * covariance.diagonal().mean() + 1e-12
        return np.linalg.inv(covariance + ridge * np.eye(len(covariance)))

    apart = learnt - centres[:, None]
    precisions = [precision(view if per_view else apart) for view in apart]
    return {
        part: np.mean(
            [
                np.sqrt(((d @ p) * d).sum(1))
                for d, p in zip(v - centres[:, None], precisions, strict=True)
            ],
            axis=0,
        )
        for part, v in unit.items()
    }


def area(scores: dict[str, Array]) -> float:
    return auroc(scores["normal"], scores["other"])


def from_outputs(outputs: dict[str, Array], own: list[int]) -> dict[str, dict[str, Array]]:
    """Return scores (N,) by the outputs V x N x K alone, without distance."""
    found: dict[str, dict[str, Array]] = {"mean": {}, "less others": {}, "softmax": {}}
    for part, values in outputs.items():
        mine = np.stack([v[:, o] for v, o in zip(values, own, strict=True)])
        others = (values.sum(2) - mine) / (values.shape[2] - 1)
        found["mean"][part] = mine.mean(0)
        found["less others"][part] = (mine - others).mean(0)
        found["softmax"][part] = (mine + np.log(np.exp(-values).sum(2))).mean(0)
    return found


@torch.no_grad()
def readings(network: Regressor, images: dict[str, Tensor]) -> dict[str, float]:
    """Return the AUROC of each way to read a network."""
    own = [view.output for view in network.views]
    preset = {part: raw_scores(network, x).astype(float) for part, x in images.items()}
    outputs = {part: over_views(network, x, network) for part, x in images.items()}
    alone = from_outputs(outputs, own)
    found = {"preset": area(preset)}
    found |= {f"outputs, {name}": area(scores) for name, scores in alone.items()}
    if network.config.pool != "average":
        return found

    def beside(scores: dict[str, Array], distance: dict[str, Array], weight: float) -> float:
        by = weight * scores["stopping"].std() / distance["stopping"].std()
        return area({part: scores[part] + by * distance[part] for part in scores})

    def features(layer: nn.Module) -> dict[str, Array]:
        def pooled(x: Tensor) -> Tensor:
            values: Tensor = layer((x - network.mean) / network.std).mean((2, 3))
            return values

        return {part: over_views(network, x, pooled) for part, x in images.items()}

    *earlier, last = map(features, layers(network))
    for number, values in enumerate(earlier, 1):
        distance = mahalanobis(values, own)
        found[f"preset, distance after layer {number}, too"] = beside(preset, distance, 0.2)
    distance = mahalanobis(last, own, per_view=True)
    found["a covariance for each view"] = beside(alone["mean"], distance, network.config.distance)
    copies = [(0, 0), (2, 0), (-2, 0), (0, 2), (0, -2)]
    found["preset, five shifted copies"] = area(
        {
            part: np.mean([raw_scores(network, moved(images[part], *by)) for by in copies], axis=0)
            for part in ("normal", "other")
        }
    )
    return found


def run(
    source: str, config: Config, seed: int, data_dir: Path, changes: list[str]
) -> dict[str, Any]:
    images, held_out, stopping, learnt, others = split(source, seed, data_dir)
    spec = ImageSpec(*images.shape[1:])
    cpu = torch.device("cpu")
    network, history = train(images, learnt, stopping, spec, config, seed=seed, device=cpu)
    parts = {
        "normal": held_out,
        "other": others[:OTHERS],
        "stopping": stopping,
        "learnt": learnt[:LEARNT],
    }
    tensors = {part: spec.to_tensor(images[places], cpu) for part, places in parts.items()}
    found = readings(network, tensors)
    for views in (1, 2, 4, 8):
        if views <= len(network.views):
            network.config = replace(network.config, scored_views=views)
            fit_distance(network, images, learnt, stopping, spec)
            scores = {part: raw_scores(network, tensors[part]) for part in ("normal", "other")}
            found[f"views scored: {views}"] = area(scores)
    return {
        "class": source,
        "preset": config.preset,
        "changes": changes,
        "seed": seed,
        "seconds": round(sum(epoch.seconds for epoch in history.epochs), 1),
        "auroc": found,
    }


if __name__ == "__main__":
    ask(__doc__, run)
