"""Build networks from their configuration, and score batches with either kind."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adacl.config import NetworkConfig
from adacl.imaging.spec import Array, ImageSpec
from adacl.networks import regressor
from adacl.networks.dense import DenseRegressor
from adacl.networks.regressor import Regressor

Network = Regressor | DenseRegressor
DENSE_PIXELS = 1 << 20
"""Pixels that a network with a map scores at once, about."""


def build_network(config: NetworkConfig, spec: ImageSpec) -> Network:
    """Return an untrained network for images of some form.

    Raises
    ------
    ConfigError
        If it would have 300,000 parameters or more.
    """
    if config.output == "map":
        return DenseRegressor(config, spec.channels)
    return Regressor(config, spec.channels, spec.height, spec.width)


@torch.inference_mode()
def dense_maps(
    network: DenseRegressor, batch: Tensor, window: tuple[int, int, int, int] | None = None
) -> NDArray[np.float32]:
    """Return the maps (N, ceil(H / 2), ceil(W / 2)) of images N x C x H x W in [0, 1].

    Or of a window of them, see :meth:`adacl.networks.dense.DenseRegressor.anomaly_map`.
    """
    network.eval()
    height, width = batch.shape[-2:]
    parts = [network.anomaly_map(part, window) for part in torch.split(batch, _at_once(batch))]
    maps: NDArray[np.float32] = torch.cat(parts).cpu().numpy()
    return maps[:, : (height + 1) // 2, : (width + 1) // 2]


@torch.inference_mode()
def raw_scores(network: Network, batch: Tensor) -> Array:
    """Return the raw regression (N,) of images N x C x H x W in [0, 1]; any N.

    Of a network with a map it is the peak of the map, which a model brings to the scale of the
    places, see :class:`adacl.model.peak_scale.PeakScale`.
    """
    if isinstance(network, Regressor):
        return regressor.raw_scores(network, batch)
    network.eval()
    parts = [network.raw_score(part) for part in torch.split(batch, _at_once(batch))]
    scores: Array = torch.cat(parts).cpu().numpy()
    return scores


def _at_once(batch: Tensor) -> int:
    return max(1, DENSE_PIXELS // math.prod(batch.shape[-2:]))
