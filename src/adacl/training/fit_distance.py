"""The embeddings of normal images: what the distance of a trained network is fitted to."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from adacl.imaging.spec import Array, ImageSpec, Stored
from adacl.networks.regressor import Regressor, seen
from adacl.networks.views import own_views

__all__ = ["fit_distance", "some"]

BATCH = 256
FEWEST = 20


def fit_distance(
    network: Regressor, images: Stored, train_on: Array, validate_on: Array, spec: ImageSpec
) -> None:
    """Learn the distance from (some 2,000 of) the images and its unit from the held-out ones.

    Where fewer than 20 are held out, their spread says little, and all images give the unit.
    """
    learnt, _ = _embeddings(network, images, some(train_on), spec)
    for_unit = some(validate_on)
    if len(for_unit) < FEWEST:
        for_unit = np.concatenate([for_unit, some(train_on)])
    held_out, outputs = _embeddings(network, images, for_unit, spec)
    scored = slice(network.config.scored_views or None)
    scores = outputs[scored].mean(0)
    network.distance.fit(learnt, held_out[scored], scores, network.config.distance)


@torch.inference_mode()
def _embeddings(
    network: Regressor, images: Stored, places: Array, spec: ImageSpec
) -> tuple[Tensor, Tensor]:
    """Return the embeddings (K, N, D) in the view of every output, and that output (K, N)."""
    network.eval()
    found, outputs = [], []
    for start in range(0, len(places), BATCH):
        batch = spec.to_tensor(images[places[start : start + BATCH]], network.mean.device)
        features = [network.extract(seen(batch, view)) for view in own_views(network.views)]
        hidden = [network.hidden(view) for view in features]
        found.append(torch.stack(list(map(network.located, features, hidden))))
        outputs.append(torch.stack([network.own_score(v, k) for k, v in enumerate(hidden)]))
    return torch.cat(found, dim=1), torch.cat(outputs, dim=1)


def some(places: Array) -> Array:
    """Return some 2,000 of the places, in order."""
    return np.sort(places)[:: max(1, len(places) // 2048)]
