"""Training and validation of the paper's network, on whole images."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from adacl.anomalies import check_anomaly_config, draw_kinds, make
from adacl.config import Config, TrainingConfig
from adacl.data.samples import Samples
from adacl.errors import ConfigError
from adacl.imaging.spec import Array
from adacl.metrics import auroc
from adacl.networks.regressor import SCORING_BATCH, Regressor, raw_scores
from adacl.networks.views import views_of
from adacl.training.batches import draw_samples
from adacl.training.fit_distance import SOME, fit_distance

Step: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Images, labels, and which of them are anomalies, see :func:`draw_samples`."""


class ImageLesson:
    """Teach one number for each image: normal images against anomalies made from them.

    Parameters
    ----------
    train_on, validate_on
        Normal images to learn from and for early stopping.
    config
        The method.

    Raises
    ------
    ConfigError
        If the anomalies' kinds or their options cannot be, or ``training.shift`` is as large as the
        images.
    """

    slow_to_draw = False

    def __init__(self, train_on: Samples, validate_on: Samples, config: Config) -> None:
        stored = train_on.subset(slice(1)).tensor(torch.device("cpu"))
        check_anomaly_config(config.anomalies, stored.shape[1:])
        spec = train_on.spec
        if config.training.shift >= min(spec.height, spec.width):
            raise ConfigError(
                f"training.shift = {config.training.shift} with images of {spec.width} x "
                f"{spec.height} pixels: it must be smaller than both"
            )
        self.train_on, self.validate_on, self.config = train_on, validate_on, config

    def network(self) -> Regressor:
        """Return an untrained network, normalised by some 2,000 images."""
        spec = self.train_on.spec
        network = Regressor(self.config.network, spec.channels, spec.height, spec.width)
        pixels = self.train_on.thinned(SOME).tensor(torch.device("cpu"))[:, : spec.channels]
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        network.mean.copy_(pixels.mean((0, 2, 3)).view_as(network.mean))
        network.std.copy_(pixels.std((0, 2, 3)).clamp(min=1e-3).view_as(network.std))
        return network

    def draw(self, chosen: Samples, generator: torch.Generator) -> Step:
        """Draw what a step sees that shows some of the images."""
        normal = chosen.ordered().tensor(generator.device)
        return draw_samples(normal, views_of(self.config.network), generator, self.config)

    def loss(self, network: Regressor, step: Step) -> Tensor:
        """Return the loss of a step."""
        samples, labels, anomalous = step
        half = self.config.training.precision == "bfloat16"
        with torch.autocast(samples.device.type, torch.bfloat16, enabled=half):
            output = network(samples)
        return _loss(output.float(), labels, anomalous, self.config.training)

    def validate(
        self, network: Regressor, generator: torch.Generator
    ) -> tuple[float, dict[str, float]]:
        """Return the AUROC of held-out normals against their augmented versions, and per kind."""
        anomalies = self.config.anomalies
        kinds = anomalies.kinds
        drawn = draw_kinds(len(self.validate_on), generator, anomalies)
        normal_scores: list[Array] = []
        made_scores: list[list[Array]] = []
        for normal in self.validate_on.batches(network.mean.device, SCORING_BATCH):
            normal_scores.append(raw_scores(network, normal))
            changed = (make(k, normal, generator, **anomalies.options.get(k, {})) for k in kinds)
            made_scores.append([raw_scores(network, each.images) for each in changed])
        normals: Array = np.concatenate(normal_scores)
        anomaly_scores: Array = np.concatenate(made_scores, axis=1)
        mixed = anomaly_scores[drawn.cpu().numpy(), np.arange(len(self.validate_on))]
        per_kind = {kind: auroc(normals, anomaly_scores[index]) for index, kind in enumerate(kinds)}
        return auroc(normals, mixed), per_kind

    def finish(self, network: Regressor) -> None:
        """Fit the distance among the features, if the network has one."""
        if self.config.network.distance:
            fit_distance(network, self.train_on, self.validate_on)


def _loss(output: Tensor, labels: Tensor, anomalous: Tensor, config: TrainingConfig) -> Tensor:
    error = (
        functional.mse_loss if config.loss == "mse" else functional.binary_cross_entropy_with_logits
    )
    if not config.balance:
        return error(output, labels)
    share = anomalous.float().mean()
    weights = torch.where(anomalous, 0.5 / share, 0.5 / (1 - share))
    return (weights * error(output, labels, reduction="none")).mean()
