"""The layers of a network as plain records, from which module and exported graph are built."""

from __future__ import annotations

from typing import NamedTuple

from adacl.config import NetworkConfig

__all__ = ["HALVING", "HEAD", "OUTPUTS", "Layer", "dense_plan", "smallest_side"]

HEAD = "head"
"""Name of the layer whose output is the map."""
OUTPUTS = 4
"""Outputs of a network with a map: one for each family of local anomalies."""
STEM_KERNEL = 5
HALVING = (0.25, 0.5, 0.25)
"""Binomial filter: it takes away what half as many pixels cannot show."""


class Layer(NamedTuple):
    """A convolution over the outputs of earlier layers, laid on top of each other.

    Parameters
    ----------
    name
        Name of the layer, and of its weights in the network's state.
    inputs
        Names of the layers that it takes; ``image`` is the image itself. Those that are coarser
        than the first are doubled in size, linearly between their pixels.
    before, after
        Channels of its input and its output.
    kernel, stride
        In pixels of its input. The rim is reflected, so that every output has its full field.
    halved
        Whether the input is halved first: smoothed by ``HALVING`` along rows and columns, of which
        every second is taken. Without smoothing, scores depend on where the grid of every second
        pixel happens to lie.
    hidden
        Whether batch normalisation and a ReLU follow; otherwise a bias alone.
    """

    name: str
    inputs: tuple[str, ...]
    before: int
    after: int
    kernel: int = 3
    stride: int = 1
    halved: bool = False
    hidden: bool = True


def smallest_side(config: NetworkConfig) -> int:
    """Return from which side on, in pixels, all layers have a rim that they can reflect."""
    return int(2 ** len(config.channels)) + 1


def dense_plan(config: NetworkConfig, channels: int) -> list[Layer]:
    """Return the layers of a network with a map, in the order in which they are computed.

    Stages of two convolutions halve the image and widen to the widths of ``config.channels``; on
    the way back each is joined with the stage of its size. The map has half the image's size.

    Parameters
    ----------
    config
        The network.
    channels
        Channels of the image.
    """
    widths = config.channels
    layers = [
        Layer("stem", ("image",), channels, widths[0], kernel=STEM_KERNEL, stride=2),
        Layer("down0", ("stem",), widths[0], widths[0]),
    ]
    for stage in range(1, len(widths)):
        before, after = widths[stage - 1], widths[stage]
        layers += [
            Layer(f"halved{stage}", (f"down{stage - 1}",), before, after, halved=True),
            Layer(f"down{stage}", (f"halved{stage}",), after, after),
        ]
    last, width = layers[-1].name, widths[-1]
    for stage in range(len(widths) - 2, -1, -1):
        skip, after = f"down{stage}", widths[stage]
        narrow = f"narrow{stage}"
        layers += [
            Layer(narrow, (last,), width, after, kernel=1),
            Layer(f"up{stage}", (skip, narrow), 2 * after, after),
        ]
        last, width = f"up{stage}", after
    layers.append(Layer(HEAD, (last,), width, OUTPUTS, kernel=1, hidden=False))
    return layers
