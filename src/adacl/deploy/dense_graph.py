"""The inference graph of a network with a map: pixels in; score, raw regression and map out.

It takes images of any height and width. Batch normalisation, the pixels' scale and the weights of
the outputs are folded into the convolutions, which changes no score by more than rounding.

In 8 bits, the features of every layer are divided by their largest value, which the ReLU passes on:
so all have the same steps. The first convolution, which sees the pixels, the last one, which gives
the map, and all after it are computed in 32 bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from adacl.deploy.engines import WINDOW
from adacl.deploy.graph import normalised, pixels_less_mean, zero_and_mean
from adacl.deploy.nodes import OPSET, OPSET_UPRIGHT, Graph, Steps
from adacl.deploy.peak_graph import inside_node, masked_peak_node, peak_node
from adacl.deploy.size_nodes import (
    cut_nodes,
    enlarged_nodes,
    local_contrast_nodes,
    resized_nodes,
    shrunk_nodes,
)
from adacl.deploy.upright_graph import pose_nodes, scaled_pixels, turned_back_nodes, upright_nodes
from adacl.imaging.frame import Frame
from adacl.imaging.mask import FILL
from adacl.model.header import ModelHeader
from adacl.networks.architecture import FALL, HALVING, HEAD, Layer, dense_plan

Array = NDArray[Any]
Tensors = Mapping[str, Array]

WHOLE = (0, 0, 0, 0)
"""The window of a whole image, whatever its size."""
FEATURES = Steps(1 / 255, 0)
"""Of features in 8 bits, from 0 to 1."""


def build_dense_graph(
    tensors: Tensors,
    header: ModelHeader,
    batch: int | None,
    maxima: Sequence[float] | None = None,
) -> onnx.ModelProto:
    """Build the graph of a trained network with a map.

    Parameters
    ----------
    tensors
        Weights and normalisation, by their names in :class:`adacl.networks.dense.DenseRegressor`.
    header
        Of its model file. Any height and width are taken; where a mask does not look the map is 0,
        and nothing counts.
    batch
        Images in a batch, or None for any number.
    maxima
        With them the convolutions are computed in 8 bits: the largest feature of each hidden
        layer, see :func:`adacl.training.activations.watched`.

    Returns
    -------
    ModelProto
        Input ``images``, batch x H x W x C as stored. Outputs ``raw_score`` and ``pred_score``
        (batch,), and ``anomaly_map`` (batch, ceil(H / 2), ceil(W / 2)), all float32.
    """
    spec, network, mask = header.spec, header.config.network, header.mask
    graph = Graph()
    span = spec.high - spec.low
    zero, mean = zero_and_mean(tensors, spec)
    scale = (span * tensors["std"]).reshape(1, spec.channels, 1, 1)
    value = whole = pixels_less_mean(graph, spec, zero, mean)
    shrink = network.shrunk
    if network.upright == "yes":
        limit, *sides = tensors["upright"].tolist()
        pixels = shrunk_nodes(graph, scaled_pixels(graph, spec), shrink)
        pose, frame = pose_nodes(graph, pixels, limit), Frame.of(sides)
        value, shrink = upright_nodes(graph, shrunk_nodes(graph, value, shrink), pose, frame), 1
    if mask is not None:
        graph.default(WINDOW, WHOLE)
        fill = (spec.low - zero + FILL * span - mean).astype(np.float32).reshape(1, -1, 1, 1)
        value = graph.add("Where", inside_node(graph, mask, value, 1), value, graph.constant(fill))
    channels = spec.channels
    seen = shrunk_nodes(graph, value, shrink)
    if network.local_contrast:
        seen = local_contrast_nodes(graph, seen, float(scale.mean()))
        scale = np.ones_like(scale)
    if network.place == "coordinates":
        places = graph.add("Concat", *_coordinates(graph, value), axis=1)
        seen = graph.add("Concat", seen, shrunk_nodes(graph, places, shrink), axis=1)
        channels += 2
    outputs = {"image": seen}
    plan = dense_plan(network, channels)
    steps = FEATURES if maxima is not None else None
    largest = _largest(plan, maxima)
    for layer in plan:
        first = outputs[layer.inputs[0]]
        others = (_as_large(graph, outputs[name], first, steps) for name in layer.inputs[1:])
        parts = [first, *others]
        joined = graph.add("Concat", *parts, axis=1) if len(parts) > 1 else first
        weight, bias = _folded(tensors, layer)
        if layer.name == HEAD:
            weight, bias = _joined(tensors, weight, bias)
        if layer.inputs == ("image",):
            weight[:, : spec.channels] /= scale
        before = np.concatenate([largest[name] for name in layer.inputs])
        weight = weight * before.reshape(1, -1, 1, 1)
        if layer.hidden:
            after = largest[layer.name]
            weight, bias = weight / after.reshape(-1, 1, 1, 1), bias / after
        outputs[layer.name] = _convolution(graph, joined, layer, weight, bias, steps)
    side = network.window // 2
    local = graph.add(
        "AveragePool", outputs[HEAD], kernel_shape=2 * [network.window], pads=4 * [side]
    )
    if network.alone:
        local = _with_single(graph, local, tensors["level"])
    if network.upright == "yes":
        large = turned_back_nodes(graph, local, whole, pose, frame, network.shrunk)
    else:
        large = enlarged_nodes(graph, local, value, network.shrunk)
    name = "" if mask else "anomaly_map"
    maps = graph.add("Squeeze", large, graph.constant(np.array([1])), output=name)
    if mask:
        raw = masked_peak_node(graph, mask, maps, network, header.peak_scale)
    else:
        raw = peak_node(graph, maps, network, header.peak_scale)
    opset = OPSET_UPRIGHT if network.upright == "yes" else OPSET
    return graph.model(raw, spec, network.head, batch, None, opset)


def _largest(plan: list[Layer], maxima: Sequence[float] | None) -> dict[str, Array]:
    """Return what the channels of the image and of each hidden layer are to be divided by."""
    hidden = [layer for layer in plan if layer.hidden]
    maxima = [1.0] * len(hidden) if maxima is None else maxima
    features = {
        layer.name: np.full(layer.after, largest)
        for layer, largest in zip(hidden, maxima, strict=True)
    }
    return {"image": np.ones(plan[0].before), **features}


def _convolution(
    graph: Graph, value: str, layer: Layer, weight: Array, bias: Array, steps: Steps | None
) -> str:
    """Add a convolution, its rim and its ReLU; with ``steps``, features are numbers of steps."""
    before = None if layer.inputs == ("image",) else steps
    if layer.halved:
        value = _halved(graph, value, layer.before, before)
    if layer.kernel > 1:
        value = _reflected(graph, value, layer.kernel // 2)
    if before:
        value = before.value(graph, value)
    weight, bias = weight.astype(np.float32), bias.astype(np.float32)
    parameters = graph.parameters(weight, bias, before if layer.hidden else None, _rounded)
    value = graph.add("Conv", value, *parameters, strides=2 * [layer.stride])
    if not layer.hidden:
        return value
    value = graph.add("Relu", value)
    return steps.numbers(graph, value) if steps else value


def _rounded(weight: Array) -> Array:
    """Round weights O x I x k x k so that the sum of each kernel stays, to half a step.

    Features change little from place to place, so an error of the sum would weigh more than those
    of the single weights, which are up to one step.
    """
    sums = weight.reshape(*weight.shape[:2], -1).cumsum(-1).round()
    return np.diff(sums, prepend=0).reshape(weight.shape)


def _halved(graph: Graph, value: str, channels: int, steps: Steps | None) -> str:
    """Smooth features, and take every second row and column."""
    kernel = np.outer(HALVING, HALVING).astype(np.float32)
    kernel = np.broadcast_to(kernel, (channels, 1, 3, 3))
    value = _reflected(graph, value, 1)
    if steps is None:
        return graph.add("Conv", value, graph.constant(kernel), strides=[2, 2], group=channels)
    unit = kernel.min()  # of which all others are whole multiples
    whole = (kernel / unit).astype(np.int8), np.full(channels, unit), np.zeros(channels, np.int8)
    weight = graph.add("DequantizeLinear", *map(graph.constant, whole), axis=0)
    value = steps.value(graph, value)
    value = graph.add("Conv", value, weight, strides=[2, 2], group=channels)
    return steps.numbers(graph, value)


def _reflected(graph: Graph, value: str, rim: int) -> str:
    pads = graph.constant(np.array([0, 0, rim, rim, 0, 0, rim, rim]))
    return graph.add("Pad", value, pads, mode="reflect")


def _folded(tensors: Tensors, layer: Layer) -> tuple[Array, Array]:
    """Return weight and bias of a layer in double precision, batch normalisation folded in."""
    weight = tensors[f"layers.{layer.name}.conv.weight"].astype(float)
    if not layer.hidden:
        return weight, tensors[f"layers.{layer.name}.conv.bias"]
    return normalised(weight, tensors, f"layers.{layer.name}.norm")


def _joined(tensors: Tensors, weight: Array, bias: Array) -> tuple[Array, Array]:
    """Return weight and bias of the weighted mean of the outputs, and of each one alone."""
    shares = tensors["shares"].astype(float)
    mean, level = (np.tensordot(shares, part, 1)[None] for part in (weight, bias))
    if "alone" not in tensors:
        return mean, level
    factor, offset = tensors["alone"].astype(float)
    single = factor.reshape(-1, 1, 1, 1) * weight
    return np.concatenate([mean, single]), np.concatenate([level, factor * bias + offset])


def _with_single(graph: Graph, local: str, level: Array) -> str:
    """Return the weighted mean of the outputs, or a single one where it is larger."""
    start, second, end, across = (
        graph.constant(np.array([number])) for number in (0, 1, np.iinfo(np.int64).max, 1)
    )
    mean = graph.add("Slice", local, start, second, across)
    single = graph.add("Slice", local, second, end, across)
    single = graph.add("ReduceMax", single, axes=[1])
    falling = graph.add("Mul", single, graph.constant(np.float32(FALL)))
    height = graph.add("Min", single, falling)
    return graph.add("Max", mean, graph.add("Add", height, graph.constant(level)))


def _as_large(graph: Graph, value: str, other: str, steps: Steps | None) -> str:
    """Double the size of features, and cut them to the size of others."""
    doubled = resized_nodes(graph, steps.value(graph, value) if steps else value, 2)
    value = cut_nodes(graph, doubled, other)
    return steps.numbers(graph, value) if steps else value


def _coordinates(graph: Graph, value: str) -> list[str]:
    """Return the row and the column of every pixel, N x 1 x H x W each, from -1 to 1 in its image.

    The input ``window`` tells the first row, the first column and the size of the image.
    """
    shape = graph.add("Shape", value)
    count = graph.add("Slice", shape, *(graph.constant(np.array([n])) for n in (0, 1)))
    one = graph.constant(np.array([1]))
    window = graph.default(WINDOW, WHOLE)
    whole = graph.add("Concat", count, one, graph.sides(value), axis=0)
    planes = []
    for axis in (2, 3):
        extent = graph.add("Gather", shape, graph.constant(np.array(axis)), axis=0)
        numbers = graph.add(
            "Range", graph.constant(np.array(0)), extent, graph.constant(np.array(1))
        )
        first, size = (
            graph.add("Gather", window, graph.constant(np.array(number)), axis=0)
            for number in (axis - 2, axis)
        )
        numbers = graph.add("Add", numbers, first)
        size = graph.add("Max", size, extent)
        last = graph.add("Sub", size, graph.constant(np.array(1)))
        numbers, last = (graph.cast(part, onnx.TensorProto.FLOAT) for part in (numbers, last))
        half = graph.add("Div", last, graph.constant(np.float32(2)))
        along = graph.add("Div", graph.add("Sub", numbers, half), half)
        form = [1, 1, -1, 1] if axis == 2 else [1, 1, 1, -1]
        along = graph.add("Reshape", along, graph.constant(np.array(form)))
        planes.append(graph.add("Expand", along, whole))
    return planes
