"""The largest activations of a trained network, by which an 8-bit export is scaled."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from adacl.anomalies import make_mixture
from adacl.config import AnomalyConfig
from adacl.data.samples import Samples
from adacl.networks.regressor import Regressor, Residual, seen
from adacl.networks.views import scored_views

SAMPLES = 512
BATCH = 128


@torch.inference_mode()
def activation_maxima(
    network: Regressor, samples: Samples, config: AnomalyConfig, seed: int
) -> tuple[float, ...]:
    """Return the largest activations, on normal images and on anomalies made of them.

    Parameters
    ----------
    network
        The trained network.
    samples
        Normal images; of many, some 512 are used.
    config
        How anomalies are made.
    seed
        Decides which.

    Returns
    -------
    tuple of float
        One for each convolution, and one for each sum that a residual one leads to; above 0.
    """
    network.eval()
    device = network.mean.device
    generator = torch.Generator(device).manual_seed(seed)
    layers = _activations(network)
    maxima = np.full(len(layers), 1e-6)

    def watch(index: int) -> torch.utils.hooks.RemovableHandle:
        def record(_module: nn.Module, _input: object, output: torch.Tensor) -> None:
            maxima[index] = max(maxima[index], float(output.max()))

        return layers[index].register_forward_hook(record)

    handles = [watch(index) for index in range(len(layers))]
    try:
        for normal in samples.thinned(SAMPLES).batches(device, BATCH):
            anomalies, _ = make_mixture(normal, generator, config)
            both = torch.cat([normal, anomalies.images])
            for view in scored_views(network.config):
                network(seen(both, view))
    finally:
        for handle in handles:
            handle.remove()
    return tuple(maxima.tolist())


def _activations(network: Regressor) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for layer in network.features:
        if isinstance(layer, nn.ReLU):
            layers.append(layer)
        elif isinstance(layer, Residual):
            layers += [layer.relu, layer]
    return layers
