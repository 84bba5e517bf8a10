"""The layers of each network as plain records, from which module and ONNX graph are built.

Networks of one number for an image are a list of :class:`Stage`, see :func:`stage_plan`; networks
with a map are a list of :class:`Layer`, see :func:`dense_plan`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from adacl.config import NetworkConfig

FINAL_SIDE = 4
FULL_STAGES, FULL_WIDTH = 6, 64
"""Stages beyond those listed filter each channel by itself from the seventh on (images beyond 256
pixels), and wherever they have more channels than this."""

HEAD = "head"
"""Name of the layer whose output is the map."""
OUTPUTS = 4
"""Outputs of a network with a map: one for each family of local anomalies."""
FALL = 4.0
"""How many times faster a single output falls below the usual peak of normal images than it rises
above it, see ``network.alone``. So it does not lift places that are far below a peak."""
STEM_KERNEL = 5
SMALLEST_SEEN = 4
"""Pixels of an image, once it is shrunk, in which a part is looked for, at least."""
CELL, CELLS = 8, 9
"""What surrounds a place, for ``network.local_contrast``: a square of 9 x 9 cells of 8 x 8 pixels.
Between the middles of cells it changes linearly."""
LEAST_SPREAD = 0.25
"""Of the standard deviation within normal images: what varies less is plain, not of low
contrast."""
HALVING = (0.25, 0.5, 0.25)
"""Binomial filter: it takes away what half as many pixels cannot show."""


class Convolution(NamedTuple):
    """A convolution of a network of one number, padded with zeros.

    Parameters
    ----------
    name, norm
        Names of its weights and of those of the batch normalisation that follows, in the network's
        state. Without batch normalisation ``norm`` is None, and there is a bias.
    before, after
        Channels of its input and its output.
    kernel
        In pixels.
    groups
        Into which the channels are divided.
    """

    name: str
    norm: str | None
    before: int
    after: int
    kernel: int = 3
    groups: int = 1

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of its weight."""
        return self.after, self.before // self.groups, self.kernel, self.kernel


class Stage(NamedTuple):
    """A convolution that halves the image, and residual ones that keep its size.

    The first is followed by a maximum of 2 x 2 and a ReLU, each residual one by a ReLU and the sum
    with its input.
    """

    first: Convolution
    residual: tuple[Convolution, ...]


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


def stage_widths(config: NetworkConfig, height: int, width: int) -> tuple[int, ...]:
    """Return the output channels of every stage for an image size.

    Each stage halves the image, rounding up. Stages are repeated at the last width until the
    longer side is at most 4 pixels, so that the flattened features, and with them the number
    of parameters, hardly grow with the image; small images use fewer, but two at least.

    Parameters
    ----------
    config
        The network.
    height, width
        Image size in pixels.
    """
    stages = max(2, math.ceil(math.log2(max(height, width) / FINAL_SIDE)))
    widths = config.channels
    return (widths + widths[-1:] * (stages - len(widths)))[:stages]


def stage_plan(config: NetworkConfig, channels: int, height: int, width: int) -> list[Stage]:
    """Return the stages of a network of one number, in the order in which they are computed.

    Parameters
    ----------
    config
        The network.
    channels, height, width
        Form of the images.
    """
    stages, before, position = [], channels, 0
    for number, after in enumerate(stage_widths(config, height, width)):
        listed = number < len(config.channels)
        full = listed or (number < FULL_STAGES and after <= FULL_WIDTH)
        first = Convolution(
            name=f"features.{position}",
            norm=f"features.{position + 1}" if config.batch_norm else None,
            before=before,
            after=after,
            kernel=config.kernel if listed else 3,
            groups=1 if full else after,
        )
        position += 4 if config.batch_norm else 3
        blocks = config.blocks[number] if number < len(config.blocks) else 0
        residual = tuple(
            Convolution(
                name=f"features.{block}.conv",
                norm=f"features.{block}.norm" if config.batch_norm else None,
                before=after,
                after=after,
            )
            for block in range(position, position + blocks)
        )
        position += blocks + (config.conv_dropout > 0)
        stages.append(Stage(first, residual))
        before = after
    return stages


def smallest_side(config: NetworkConfig) -> int:
    """Return the smallest side of an image, in pixels, whose edge all layers can reflect.

    If parts are turned upright, the layers see a frame instead, and the image is at least as large
    as a part is looked for in.
    """
    if config.upright == "yes":
        return SMALLEST_SEEN * config.shrunk
    cell = CELL // 2 + 1 if config.local_contrast else 1  # smaller ones cannot fill a cell
    return max(int(2 ** len(config.channels) + 1), cell) * config.shrunk


def reach(config: NetworkConfig) -> int:
    """Return how far, in pixels, a place of the map sees: the radius of its receptive field."""
    around = CELL * (CELLS // 2) + CELL + CELL // 2
    far = {"image": 2 * around * config.local_contrast}  # of a place to the mean, and to the spread
    steps = {"image": 1}
    for layer in dense_plan(config, channels=1):
        step = steps[layer.inputs[0]]
        seen = max(far[name] + steps[name] * (steps[name] > step) for name in layer.inputs)
        seen += step * layer.halved
        step *= 1 + layer.halved
        far[layer.name] = seen + step * (layer.kernel // 2)
        steps[layer.name] = step * layer.stride
    seen = far[HEAD] + steps[HEAD] * (config.window // 2)
    return seen if config.shrunk == 1 else (seen + steps[HEAD]) * config.shrunk


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
