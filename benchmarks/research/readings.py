"""Other ways to read the same network, beside the way of its preset.

    python -m benchmarks.research.readings --data-dir DATA --out benchmarks/results/beyond/readings
        --preset varied --classes cifar10/deer,cifar10/plane --set training.precision=bfloat16

Each network is trained once, as ``trial.py`` does, with its splits: no test split is opened.
Finished classes are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from adacl.networks.distance import Distance
from adacl.networks.regressor import Regressor, Residual, raw_scores, seen
from adacl.training.fit_distance import fit_distance
from benchmarks.research.trial import SCORED, Trial, area, ask

Parts = dict[str, np.ndarray]
LEARNT = 2000
"""Images to learn from that the distances here are fitted to."""


def over_views(network: Regressor, images: Tensor, of: Callable[[Tensor], Tensor]) -> Tensor:
    """Return something of every view of images, V x N x F, in double precision."""
    parts = torch.split(images, 256)
    found = [torch.cat([of(seen(p, view)) for p in parts]) for view in network.views]
    return torch.stack(found).double()


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


def distances(values: dict[str, Tensor], own: list[int], groups: list[list[int]]) -> Parts:
    """Return distances (N,) of values V x N x F, the mean over the views.

    ``groups`` has the outputs that share a covariance.
    """
    found: dict[str, list[Tensor]] = {part: [] for part in values}
    for group in groups:
        distance = Distance(len(group), values["learnt"].shape[2], 0).double()
        learnt, stopping = (values[part][group] for part in ("learnt", "stopping"))
        distance.fit(learnt, stopping, torch.tensor([0.0, 1.0]), 1.0)
        for part, views in values.items():
            found[part] += [
                distance(view, group.index(output))
                for view, output in zip(views, own, strict=True)
                if output in group
            ]
    return {part: torch.stack(views).mean(0).numpy() for part, views in found.items()}


def from_outputs(outputs: dict[str, Tensor], own: list[int]) -> dict[str, Parts]:
    """Return scores (N,) by the outputs V x N x K alone, without distance."""
    found: dict[str, Parts] = {"mean": {}, "less others": {}, "softmax": {}}
    for part, tensor in outputs.items():
        values = tensor.numpy()
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
    every = sorted(set(own))
    preset = {part: raw_scores(network, x).astype(float) for part, x in images.items()}
    outputs = {part: over_views(network, x, network) for part, x in images.items()}
    alone = from_outputs(outputs, own)
    found = {"preset": area(preset)}
    found |= {f"outputs, {name}": area(scores) for name, scores in alone.items()}
    if network.config.pool != "average":
        return found

    def beside(scores: Parts, distance: Parts, weight: float) -> float:
        by = weight * scores["stopping"].std() / distance["stopping"].std()
        return area({part: scores[part] + by * distance[part] for part in scores})

    def features(layer: nn.Module) -> dict[str, Tensor]:
        def pooled(x: Tensor) -> Tensor:
            values: Tensor = layer((x - network.mean) / network.std).mean((2, 3))
            return values

        return {part: over_views(network, x, pooled) for part, x in images.items()}

    *earlier, last = map(features, layers(network))
    for number, values in enumerate(earlier, 1):
        distance = distances(values, own, [every])
        found[f"preset, distance after layer {number}, too"] = beside(preset, distance, 0.2)
    distance = distances(last, own, [[output] for output in every])
    found["a covariance for each view"] = beside(alone["mean"], distance, network.config.distance)
    copies = [(0, 0), (2, 0), (-2, 0), (0, 2), (0, -2)]
    found["preset, five shifted copies"] = area(
        {
            part: np.mean([raw_scores(network, moved(images[part], *by)) for by in copies], axis=0)
            for part in SCORED
        }
    )
    return found


def question(trial: Trial) -> dict[str, Any]:
    network, history = trial.learn(trial.seed)
    images = {part: trial.tensor(part) for part in (*SCORED, "stopping")}
    images["learnt"] = trial.tensor("learnt", LEARNT)
    found = readings(network, images)
    for views in (1, 2, 4):
        if views < len(network.views):
            network.config = replace(network.config, scored_views=views)
            fit_distance(network, trial.parts["learnt"], trial.parts["stopping"])
            found[f"views scored: {views}"] = area(trial.scores(network))
    return {
        "seconds": round(sum(epoch.seconds for epoch in history.epochs), 1),
        "auroc": found,
    }


if __name__ == "__main__":
    ask(__doc__, question)
