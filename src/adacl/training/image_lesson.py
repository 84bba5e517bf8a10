"""What the paper's network learns from in an epoch, and how it is validated: whole images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from adacl.anomalies import check_anomaly_config, draw_kinds, make
from adacl.config import Config, TrainingConfig
from adacl.errors import ConfigError
from adacl.imaging.spec import Array, ImageSpec, Stored
from adacl.metrics import auroc
from adacl.networks.regressor import SCORING_BATCH, Regressor, raw_scores
from adacl.training.batches import draw_samples
from adacl.training.fit_distance import fit_distance, some

__all__ = ["ImageLesson"]


class ImageLesson:
    """One number for an image: normal images against anomalies made of the whole of them.

    Parameters
    ----------
    images
        Normal images N x H x W x C, stored as ``spec`` says; may be memory-mapped. Channels
        beyond ``spec.channels`` are seen by the kinds of anomaly alone.
    train_on, validate_on
        Numbers of those to learn from and of those for early stopping.
    spec
        Form of the images.
    config
        The method.

    Raises
    ------
    ConfigError
        If the anomalies' kinds are unknown, the network too large or the images too small.
    """

    def __init__(
        self, images: Stored, train_on: Array, validate_on: Array, spec: ImageSpec, config: Config
    ) -> None:
        check_anomaly_config(config.anomalies)
        if config.training.shift >= min(spec.height, spec.width):
            raise ConfigError(
                f"training.shift = {config.training.shift} with images of {spec.width} x "
                f"{spec.height} pixels: it must be smaller than both"
            )
        self.images, self.spec, self.config = images, spec, config
        self.train_on, self.validate_on = train_on, validate_on

    def network(self) -> Regressor:
        """Return an untrained network that knows mean and deviation of some 2,000 images."""
        spec = self.spec
        network = Regressor(self.config.network, spec.channels, spec.height, spec.width)
        chosen = self.images[some(self.train_on)][..., : spec.channels]
        pixels = spec.to_tensor(chosen, torch.device("cpu"))
        network.mean.copy_(pixels.mean((0, 2, 3)).view_as(network.mean))
        network.std.copy_(pixels.std((0, 2, 3)).clamp(min=1e-3).view_as(network.std))
        return network

    def loss(self, network: Regressor, chosen: Array, generator: torch.Generator) -> Tensor:
        """Return the loss of a step that shows some of the images."""
        config, device = self.config, network.mean.device
        normal = self.spec.to_tensor(self.images[np.sort(chosen)], device)
        samples, labels, anomalous = draw_samples(normal, network.views, generator, config)
        half = config.training.precision == "bfloat16"
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            output = network(samples)
        return _loss(output.float(), labels, anomalous, config.training)

    def validate(
        self, network: Regressor, generator: torch.Generator
    ) -> tuple[float, dict[str, float]]:
        """Return the AUROC of held-out normals against their augmented versions, and per kind."""
        device = network.mean.device
        anomalies = self.config.anomalies
        kinds = anomalies.kinds
        drawn = draw_kinds(len(self.validate_on), generator, anomalies)
        normal_scores: list[Array] = []
        made_scores: list[list[Array]] = []
        for start in range(0, len(self.validate_on), SCORING_BATCH):
            chosen = self.images[self.validate_on[start : start + SCORING_BATCH]]
            normal = self.spec.to_tensor(chosen, device)
            normal_scores.append(raw_scores(network, normal))
            changed = (make(k, normal, generator, **anomalies.options.get(k, {})) for k in kinds)
            made_scores.append([raw_scores(network, each.images) for each in changed])
        normals: Array = np.concatenate(normal_scores)
        made: Array = np.concatenate(made_scores, axis=1)
        mixed = made[drawn.cpu().numpy(), np.arange(len(self.validate_on))]
        per_kind = {kind: auroc(normals, made[place]) for place, kind in enumerate(kinds)}
        return auroc(normals, mixed), per_kind

    def finish(self, network: Regressor) -> None:
        """Fit the distance among the features, if the network has one."""
        if self.config.network.distance:
            fit_distance(network, self.images, self.train_on, self.validate_on, self.spec)


def _loss(output: Tensor, labels: Tensor, anomalous: Tensor, config: TrainingConfig) -> Tensor:
    error = (
        functional.mse_loss if config.loss == "mse" else functional.binary_cross_entropy_with_logits
    )
    if not config.balance:
        return error(output, labels)
    share = anomalous.float().mean()
    weights = torch.where(anomalous, 0.5 / share, 0.5 / (1 - share))
    return (weights * error(output, labels, reduction="none")).mean()
