"""The largest activations of a trained network, by which an 8-bit export is scaled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from adacl.anomalies import make_mixture
from adacl.config import AnomalyConfig
from adacl.data.samples import Samples
from adacl.networks.build import Network
from adacl.networks.dense import DenseRegressor
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
    with watched(network) as maxima:
        for normal in samples.thinned(SAMPLES).batches(device, BATCH):
            made, _ = make_mixture(normal, generator, config)
            both = torch.cat([normal, made.images])
            for view in scored_views(network.config):
                network(seen(both, view))
    return tuple(maxima)


@contextmanager
def watched(network: Network) -> Iterator[list[float]]:
    """Watch a network while it scores images.

    A network with a map is to be shown normal images alone. Anomalies raise its features to
    several times their height, and 8 bits that span those are too coarse to rank normal images.

    Yields
    ------
    list of float
        The largest activations so far; above 0.
    """
    layers = _activations(network)
    maxima = [1e-6] * len(layers)

    def watch(index: int) -> torch.utils.hooks.RemovableHandle:
        def record(_module: nn.Module, _input: object, output: torch.Tensor) -> None:
            maxima[index] = max(maxima[index], float(output.max()))

        return layers[index].register_forward_hook(record)

    handles = [watch(index) for index in range(len(layers))]
    try:
        yield maxima
    finally:
        for handle in handles:
            handle.remove()


def _activations(network: Network) -> list[nn.Module]:
    if isinstance(network, DenseRegressor):
        return [network.layers[layer.name] for layer in network.plan if layer.hidden]
    layers: list[nn.Module] = []
    for layer in network.features:
        if isinstance(layer, nn.ReLU):
            layers.append(layer)
        elif isinstance(layer, Residual):
            layers += [layer.relu, layer]
    return layers
