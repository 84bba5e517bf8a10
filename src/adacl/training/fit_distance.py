"""Fit the distance of a trained network to the embeddings of normal images."""

from __future__ import annotations

import torch
from torch import Tensor

from adacl.data.samples import Samples
from adacl.networks.regressor import Regressor, seen
from adacl.networks.views import own_views

BATCH = 256
SOME = 2048
FEWEST = 20


def fit_distance(network: Regressor, train_on: Samples, validate_on: Samples) -> None:
    """Learn the distance from (some 2,000 of) the images and its unit from the held-out ones.

    Where fewer than 20 are held out, their spread says little, and all images give the unit.
    """
    learnt, _ = _embeddings(network, train_on.thinned(SOME))
    for_unit = validate_on.thinned(SOME)
    if len(for_unit) < FEWEST:
        for_unit = for_unit.joined(train_on.thinned(SOME))
    held_out, outputs = _embeddings(network, for_unit)
    scored = slice(network.config.scored_views or None)
    scores = outputs[scored].mean(0)
    network.distance.fit(learnt, held_out[scored], scores, network.config.distance)


@torch.inference_mode()
def _embeddings(network: Regressor, samples: Samples) -> tuple[Tensor, Tensor]:
    """Return the embeddings (K, N, D) in the view of every output, and that output (K, N)."""
    network.eval()
    embeddings, outputs = [], []
    for batch in samples.batches(network.mean.device, BATCH):
        features = [network.extract(seen(batch, view)) for view in own_views(network.views)]
        hidden = [network.hidden(view) for view in features]
        embeddings.append(torch.stack(list(map(network.located, features, hidden))))
        outputs.append(torch.stack([network.own_score(v, k) for k, v in enumerate(hidden)]))
    return torch.cat(embeddings, dim=1), torch.cat(outputs, dim=1)
