"""A trained model in PyTorch: the network and its header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from adacl.data.samples import Samples
from adacl.errors import ModelFileError
from adacl.imaging.spec import Array
from adacl.model.header import ModelHeader
from adacl.model.large_images import Window
from adacl.model.scoring import ImageScore, ScoringModel, scores_of
from adacl.networks.build import Network, dense_maps, raw_scores
from adacl.networks.dense import DenseRegressor
from adacl.networks.regressor import SCORING_BATCH

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
        Hashes of the images it was fitted on, see :func:`adacl.data.copies.digest`.
    set_by
        Hashes of the images that set its threshold, if it was calibrated.
    """

    network: Network
    header: ModelHeader
    digests: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    set_by: frozenset[int] = frozenset()

    @cached_property
    def learnt(self) -> frozenset[int]:
        """The hashes of the images it was fitted on."""
        return frozenset(self.digests.tolist())

    def raw(self, samples: Array) -> Array:
        """Return the raw regression (S,) of samples S x H x W x C, stored as ``spec`` says.

        Raises
        ------
        ModelFileError
            If it is not finite.
        """
        if self.header.has_map:
            return self.peaks(self.maps(samples))
        batches = Samples(samples, self.spec).batches(self.network.mean.device, SCORING_BATCH)
        return self._finite(np.concatenate([raw_scores(self.network, batch) for batch in batches]))

    def look(self, images: Array, window: Window | None) -> Array:
        """Return the maps of pixels S x H x W x C from a window of images, or of whole ones."""
        assert isinstance(self.network, DenseRegressor)
        pixels = self.spec.to_tensor(images, self.network.mean.device)
        if self.header.mask is not None:
            pixels = self.header.mask.filled(pixels, window)
        return self._finite(dense_maps(self.network, pixels, window))

    @staticmethod
    def _finite(outputs: Array) -> Array:
        if not np.isfinite(outputs).all():
            raise ModelFileError("the model's scores are not finite; fit it again")
        return outputs

    def scores(
        self, images: Iterable[tuple[Identity, Array]]
    ) -> Iterator[tuple[Identity, ImageScore]]:
        """Score images H x W x C one after another, see :func:`adacl.model.scoring.scores_of`."""
        batch = DENSE_BATCH if self.header.has_map else SCORING_BATCH
        outputs = self.maps if self.header.has_map else self.raw
        return scores_of(images, outputs, self, batch)
