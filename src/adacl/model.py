"""A trained model: network, form of its input, threshold and provenance; scoring with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from adacl.config import Config
from adacl.history import History
from adacl.networks import Regressor
from adacl.pixels import Array, ImageSpec
from adacl.thresholds import Threshold
from adacl.tiles import Tiling
from adacl.training import SCORING_BATCH, raw_scores

__all__ = ["ImageScore", "Model"]

Identity = TypeVar("Identity")


@dataclass(frozen=True)
class ImageScore:
    """The score of one image.

    Parameters
    ----------
    raw
        The regression before clipping; rank by this.
    tile
        Top-left corner of the worst tile in pixels, when the model works on tiles.
    """

    raw: float
    tile: tuple[int, int] | None = None

    @property
    def score(self) -> float:
        """The anomaly score, clipped to [0, 1]."""
        return min(1.0, max(0.0, self.raw))


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
        Hashes of the images it was fitted on, see :func:`adacl.data.store.digest`.
    """

    network: Regressor
    spec: ImageSpec
    config: Config
    tiling: Tiling | None
    resize: tuple[int, int] | None
    threshold: Threshold
    history: History
    training: dict[str, Any] = field(default_factory=dict)
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
        """Score images H x W x C one after another, in batches and with bounded memory.

        Parameters
        ----------
        images
            Pairs of anything that identifies an image, and its pixels. Without tiles every
            image has the size in ``spec``; with tiles any size will do.

        Yields
        ------
        identity, score
            In the order given.
        """
        waiting: list[tuple[Identity, Array, tuple[int, int]]] = []
        samples = 0
        for identity, image in images:
            parts = self.tiling.cut(image) if self.tiling else image[None]
            waiting.append((identity, parts, (image.shape[0], image.shape[1])))
            samples += len(parts)
            if samples >= SCORING_BATCH:
                yield from self._score_batch(waiting)
                waiting, samples = [], 0
        if waiting:
            yield from self._score_batch(waiting)

    def _score_batch(
        self, batch: list[tuple[Identity, Array, tuple[int, int]]]
    ) -> Iterator[tuple[Identity, ImageScore]]:
        ends = np.cumsum([len(parts) for _, parts, _ in batch])
        raw = np.split(self.raw(np.concatenate([parts for _, parts, _ in batch])), ends[:-1])
        for (identity, _, (height, width)), scores in zip(batch, raw, strict=True):
            if self.tiling is None:
                yield identity, ImageScore(float(scores[0]))
            else:
                place = self.tiling.places(height, width)[int(scores.argmax())]
                yield identity, ImageScore(self.tiling.aggregate(scores), place)

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
        }
