"""What all networks of a fit share: how one is trained, and how it scores images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from adacl.config import Config
from adacl.data.samples import Samples
from adacl.imaging.tiles import Tiling
from adacl.model.header import ModelHeader
from adacl.model.history import EpochRecord, History
from adacl.model.model import Model
from adacl.model.peak_scale import PeakScale
from adacl.model.threshold import Threshold
from adacl.networks.build import Network, raw_scores
from adacl.networks.regressor import SCORING_BATCH
from adacl.training.loop import train
from adacl.training.place_lesson import WEIGHED
from adacl.training.splits import Images, Split

OnEpoch = Callable[[str, EpochRecord], object]


class Fitting(NamedTuple):
    """The settings that all networks of a fit share."""

    samples: Samples
    config: Config
    tiling: Tiling | None
    resize: tuple[int, int] | None
    seed: int
    device: torch.device
    checkpoints: Path | None
    on_epoch: OnEpoch | None

    @property
    def dense(self) -> bool:
        """Whether its networks have a map."""
        return self.config.network.output == "map"

    def train(self, stage: str, part: Split) -> tuple[Network, History]:
        """Train a network on a part of the images."""
        on_epoch, folder = self.on_epoch, self.checkpoints
        return train(
            self.samples.of(part.train),
            self.samples.of(part.calibration if self.dense else part.validation),
            self.config,
            seed=self.seed,
            device=self.device,
            checkpoint=folder / f"{stage.replace(' ', '-')}.ckpt" if folder else None,
            on_epoch=(lambda record, _: on_epoch(stage, record)) if on_epoch else None,
        )

    def scorer(self, network: Network, scale: PeakScale) -> Model:
        """Return a network with a map as a model, whose threshold is not set yet."""
        unset = ModelHeader(
            self.samples.spec,
            self.config,
            None,
            self.resize,
            Threshold(0.5, "manual"),
            History(),
            mask=self.samples.mask,
            peak_scale=scale,
        )
        return Model(network, unset)

    def peak_scale(self, network: Network, learnt: Images) -> PeakScale:
        """Return the scale of a network's peaks, from some of the images that it learnt."""
        if not self.dense:
            return PeakScale()
        scorer = self.scorer(network, PeakScale())
        some = self.samples.of(learnt).thinned(WEIGHED)
        places = (scorer.looked_at(scorer.maps(image[None]))[0] for image in some)
        return PeakScale.learnt(places, self.config.network)

    def score(self, network: Network, images: Images, scale: PeakScale) -> NDArray[np.float64]:
        """Return the raw score of each of some images, in rising order of their numbers."""
        chosen = self.samples.of(images)
        if self.dense:
            scorer = self.scorer(network, scale)
            return np.concatenate([scorer.raw(image[None]) for image in chosen])
        batches = chosen.batches(self.device, SCORING_BATCH)
        raw = np.concatenate([raw_scores(network, batch) for batch in batches])
        if self.tiling is None:
            return raw
        owner = self.samples.owner[chosen.numbers]
        per_image = np.split(raw, np.flatnonzero(np.diff(owner)) + 1)
        return np.array([self.tiling.aggregate(part) for part in per_image])
