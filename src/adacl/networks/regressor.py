"""The light CNN regressors (paper, section 3.3): fewer than 300,000 parameters, enforced.

``docs/evidence/network.md`` tells how the default was chosen, without looking at a test label.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from adacl.config import PARAMETER_LIMIT, NetworkConfig
from adacl.errors import ConfigError
from adacl.imaging.spec import Array
from adacl.networks.architecture import Convolution, stage_plan
from adacl.networks.distance import Distance
from adacl.networks.views import View, scored_views, views_of

SCORING_BATCH = 256


class Residual(nn.Module):
    """A 3 x 3 convolution whose output is added to its input."""

    def __init__(self, plan: Convolution) -> None:
        super().__init__()
        self.conv = _convolution(plan)
        self.norm = nn.BatchNorm2d(plan.after) if plan.norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Return features N x C x H x W of the same form."""
        change: Tensor = self.relu(self.norm(self.conv(features)))
        return features + change


class Regressor(nn.Module):
    """A convolutional regressor of one number per image, or one for each of some views of it.

    Parameters
    ----------
    config
        The network.
    channels, height, width
        Form of the images.

    Raises
    ------
    ConfigError
        If the network would have 300,000 parameters or more.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: NetworkConfig, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.config = config
        self.input_shape = (channels, height, width)
        self.views = views_of(config)
        with torch.device("meta"):  # count before any memory is taken
            self._build(channels, height, width)
        parameters = count_parameters(self)
        if parameters >= PARAMETER_LIMIT:
            raise ConfigError(
                f"network: {parameters:,} parameters, the limit is {PARAMETER_LIMIT:,} "
                "(paper, section 3.3); use fewer channels or hidden units, or smaller images"
            )
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std", torch.ones(1, channels, 1, 1))
        self._build(channels, height, width)

    def _build(self, channels: int, height: int, width: int) -> None:
        config = self.config
        plan = stage_plan(config, channels, height, width)
        layers: list[nn.Module] = []
        for first, residual in plan:
            layers.append(_convolution(first))
            if first.norm:
                layers.append(nn.BatchNorm2d(first.after))
            layers += [nn.MaxPool2d(2, ceil_mode=True), nn.ReLU(inplace=True)]
            layers += [Residual(convolution) for convolution in residual]
            if config.conv_dropout:
                layers.append(nn.Dropout2d(config.conv_dropout))
            height, width = math.ceil(height / 2), math.ceil(width / 2)
        if config.pool == "average":
            layers.append(nn.AvgPool2d((height, width)))
            height = width = 1
        self.features = nn.Sequential(*layers, nn.Flatten())
        features = plan[-1].first.after * height * width
        self.hidden = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(features, config.hidden),
            nn.ReLU(inplace=True),
        )
        outputs = 1 + max(view.output for view in self.views)
        self.output = nn.Linear(config.hidden, outputs)
        if config.distance:
            among = {
                "hidden": config.hidden,
                "features": features,
                "both": config.hidden + features,
            }[config.distance_among]
            self.distance = Distance(outputs, among, config.distance_components)

    def extract(self, images: Tensor) -> Tensor:
        """Return the features (N, F) of images (N, C, H, W) in [0, 1], after the convolutions.

        Channels beyond the network's own, which only serve to make anomalies, are passed over.
        """
        features: Tensor = self.features((images[:, : self.input_shape[0]] - self.mean) / self.std)
        return features

    def embed(self, images: Tensor) -> Tensor:
        """Return the hidden units (N, ``config.hidden``) of images (N, C, H, W) in [0, 1]."""
        embedding: Tensor = self.hidden(self.extract(images))
        return embedding

    def forward(self, images: Tensor) -> Tensor:
        """Return the linear outputs (N, K) that the loss sees, for images (N, C, H, W) in [0, 1].

        There is one for each view that is normal by itself: one, or see ``NetworkConfig.turns``.
        """
        outputs: Tensor = self.output(self.embed(images))
        return outputs

    def raw_score(self, images: Tensor) -> Tensor:
        """Return the raw regression (N,), the score before clipping: the mean over the views.

        With the sigmoid head and no distance this is already in [0, 1]; else it need not be.
        """
        scores = [self._score_of_view(images, view) for view in scored_views(self.config)]
        return scores[0] if len(scores) == 1 else torch.stack(scores).mean(0)

    def _score_of_view(self, images: Tensor, view: View) -> Tensor:
        features = self.extract(seen(images, view))
        embedding = self.hidden(features)
        score = self.own_score(embedding, view.output)
        if not self.config.distance:
            return score
        distance: Tensor = self.distance(self.located(features, embedding), view.output)
        return score + distance

    def located(self, features: Tensor, embedding: Tensor) -> Tensor:
        """Return the embeddings for the distance, of features (N, F) and hidden units (N, D)."""
        if self.config.distance_among == "both":
            parts = [functional.normalize(part, dim=1) for part in (embedding, features)]
            return torch.cat(parts, dim=1)
        return embedding if self.config.distance_among == "hidden" else features

    def own_score(self, embedding: Tensor, output: int) -> Tensor:
        """Return the regression (N,) of one output, without distance, for hidden units (N, D)."""
        score: Tensor = self.output(embedding)[:, output].double()
        return score.sigmoid() if self.config.head == "sigmoid" else score


def _convolution(plan: Convolution) -> nn.Conv2d:
    return nn.Conv2d(
        plan.before,
        plan.after,
        plan.kernel,
        padding=plan.kernel // 2,
        groups=plan.groups,
        bias=plan.norm is None,
    )


def seen(images: Tensor, view: View) -> Tensor:
    """Return a view of images (N, C, H, W), in the same form."""
    if not (view.turns or view.mirrored):
        return images
    sources = torch.from_numpy(view.sources(*images.shape[-2:])).to(images.device)
    moved = images.flatten(2).index_select(2, sources).view(images.shape)
    return moved.contiguous(memory_format=torch.channels_last)


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters, plus the values that a distance keeps."""
    kept: list[Tensor] = [p for p in network.parameters() if p.requires_grad]
    for module in network.modules():
        if isinstance(module, Distance):
            kept.extend(module.buffers())
    return sum(tensor.numel() for tensor in kept)


@torch.inference_mode()
def raw_scores(network: Regressor, batch: Tensor) -> Array:
    """Return the raw regression (N,) of images N x C x H x W in [0, 1]; any N.

    The batch is filled up to a multiple of 16, because matrix products of other heights round
    differently: so an image's score does not depend on the company it comes in.
    """
    network.eval()
    filled = functional.pad(batch, (0, 0, 0, 0, 0, 0, 0, -len(batch) % 16))
    parts = [network.raw_score(part) for part in torch.split(filled, SCORING_BATCH)]
    scores: Array = torch.cat(parts)[: len(batch)].cpu().numpy()
    return scores
