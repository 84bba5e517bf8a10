"""A trained model: network, form of its input, threshold and provenance; scoring with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from adacl.config import Config
from adacl.imaging.spec import Array, ImageSpec
from adacl.imaging.tiles import Tiling
from adacl.model.history import History
from adacl.model.scoring import ImageScore, full_size, scores_of
from adacl.model.thresholds import Threshold
from adacl.networks.build import Network, dense_map, raw_scores
from adacl.networks.dense import DenseRegressor
from adacl.networks.regressor import SCORING_BATCH

__all__ = ["Model"]

Identity = TypeVar("Identity")

DENSE_BATCH = 16
"""Images of any size that are gathered before they are scored."""


@dataclass
class Model:
    """Everything needed to score an image and to say what the score means.

    Parameters
    ----------
    network, spec, config
        The regressor, the form of its input, and the method it was trained by.
    tiling
        How images are cut into tiles, or None.
    resize
        Height and width that image files are resized to (before cutting), or None.
    threshold, history
        How the threshold and the network came about.
    training
        Provenance: versions, seed, numbers of images.
    digests
        Hashes of the images it was fitted on, see :func:`adacl.data.samples.digest`.
    activation_maxima
        The largest activation of each stage, see
        :func:`adacl.training.activations.activation_maxima`; what an 8-bit copy of the network is
        scaled by.
    """

    network: Network
    spec: ImageSpec
    config: Config
    tiling: Tiling | None
    resize: tuple[int, int] | None
    threshold: Threshold
    history: History
    training: dict[str, Any] = field(default_factory=dict)
    digests: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    activation_maxima: tuple[float, ...] = ()

    def raw(self, samples: Array) -> Array:
        """Return the raw regression (S,) of samples S x H x W x C, stored as ``spec`` says."""
        device = self.network.mean.device
        starts = range(0, len(samples), SCORING_BATCH)
        parts = [
            raw_scores(self.network, self.spec.to_tensor(samples[i : i + SCORING_BATCH], device))
            for i in starts
        ]
        return np.concatenate(parts)

    def native_map(self, image: Array) -> NDArray[np.float32] | None:
        """Return the raw regression of every pixel of an image, if the network has a map."""
        if not isinstance(self.network, DenseRegressor):
            return None
        pixels = self.spec.to_tensor(image[None], self.network.mean.device)
        return full_size(dense_map(self.network, pixels), *image.shape[:2])

    def scores(
        self, images: Iterable[tuple[Identity, Array]]
    ) -> Iterator[tuple[Identity, ImageScore]]:
        """Score images H x W x C one after another, see :func:`adacl.model.scoring.scores_of`."""
        batch = DENSE_BATCH if self.config.network.output == "map" else SCORING_BATCH
        return scores_of(images, self.raw, self.tiling, batch)

    @property
    def any_size(self) -> bool:
        """Whether arrays of any height and width can be scored."""
        return self.tiling is not None or self.config.network.output == "map"

    def describe(self) -> dict[str, Any]:
        """Return what ``adacl info`` shows, as plain values."""
        return {
            "preset": self.config.preset,
            "spec": asdict(self.spec),
            "tiling": asdict(self.tiling) if self.tiling else None,
            "resize": list(self.resize) if self.resize else None,
            "threshold": self.threshold.to_dict(),
            "training": self.training,
            "history": self.history.to_dict(),
            "config": self.config.to_dict(),
            "activation_maxima": list(self.activation_maxima),
        }
