"""A trained model that PyTorch computes: the network, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from adacl.imaging.spec import Array
from adacl.model.header import ModelHeader
from adacl.model.scoring import ImageScore, ScoringModel, scores_of
from adacl.networks.regressor import SCORING_BATCH, Regressor, raw_scores

__all__ = ["Model"]

Identity = TypeVar("Identity")


@dataclass
class Model(ScoringModel):
    """Everything needed to score an image and to say what the score means.

    Parameters
    ----------
    network, header
        The regressor, and all that is known of it.
    digests
        Hashes of the images it was fitted on, see :func:`adacl.data.samples.digest`.
    """

    network: Regressor
    header: ModelHeader
    digests: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    def raw(self, samples: Array) -> Array:
        """Return the raw regression (S,) of samples S x H x W x C, stored as ``spec`` says."""
        device = self.network.mean.device
        starts = range(0, len(samples), SCORING_BATCH)
        parts = [
            raw_scores(self.network, self.spec.to_tensor(samples[i : i + SCORING_BATCH], device))
            for i in starts
        ]
        return np.concatenate(parts)

    def scores(
        self, images: Iterable[tuple[Identity, Array]]
    ) -> Iterator[tuple[Identity, ImageScore]]:
        """Score images H x W x C one after another, see :func:`adacl.model.scoring.scores_of`."""
        return scores_of(images, self.raw, self.tiling, SCORING_BATCH)
