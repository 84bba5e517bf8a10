"""A trained model that PyTorch computes: the network, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from adacl.data.samples import Samples
from adacl.errors import ModelFileError
from adacl.imaging.spec import Array
from adacl.model.header import ModelHeader
from adacl.model.large_images import Window
from adacl.model.scoring import ImageScore, ScoringModel, scores_of
from adacl.networks.build import Network, dense_map, raw_scores
from adacl.networks.dense import DenseRegressor
from adacl.networks.regressor import SCORING_BATCH

__all__ = ["Model"]

Identity = TypeVar("Identity")

DENSE_BATCH = 16
"""Images of any size that are gathered before they are scored."""


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

    network: Network
    header: ModelHeader
    digests: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    def raw(self, samples: Array) -> Array:
        """Return the raw regression (S,) of samples S x H x W x C, stored as ``spec`` says.

        Raises
        ------
        ModelFileError
            If it is not finite.
        """
        large = self.raw_of_large(samples) if len(samples) else None
        if large is not None:
            return large
        batches = Samples(samples, self.spec).batches(self.network.mean.device, SCORING_BATCH)
        found = np.concatenate([raw_scores(self.network, batch) for batch in batches])
        if not np.isfinite(found).all():
            raise ModelFileError("the model's scores are not finite; fit it again")
        return found

    def look(self, pixels: Array, window: Window | None) -> Array:
        """Return the map of pixels H x W x C from a window of an image, or the whole."""
        assert isinstance(self.network, DenseRegressor)
        values = self.spec.to_tensor(pixels[None], self.network.mean.device)
        return dense_map(self.network, values, window)

    def scores(
        self, images: Iterable[tuple[Identity, Array]]
    ) -> Iterator[tuple[Identity, ImageScore]]:
        """Score images H x W x C one after another, see :func:`adacl.model.scoring.scores_of`."""
        batch = DENSE_BATCH if self.header.has_map else SCORING_BATCH
        return scores_of(images, self.raw, self, batch)
