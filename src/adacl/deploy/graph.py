"""The inference graph in ONNX: pixels in, the raw regression and the anomaly score out.

It is built from a model file's tensors, without PyTorch, of operators that every engine has.
Three things differ from the network as it is trained, and none changes a score by more than
rounding: the normalisation's scale and batch normalisation are folded into the convolutions,
and ReLU comes before the maximum instead of after it, where it costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from adacl.config import NetworkConfig
from adacl.deploy.nodes import Graph, Steps
from adacl.deploy.pillow_resize import rows_first, weights
from adacl.imaging.spec import ImageSpec
from adacl.networks.architecture import Convolution, Stage, stage_plan
from adacl.networks.views import View, scored_views

Array = NDArray[Any]
Tensors = Mapping[str, Array]

BATCH_NORM_EPSILON = 1e-5
NORM_EPSILON = 1e-12
FAR = 10
"""Values that lie further from zero than so many times their range are brought near it first: else
32 bits would round their mean."""


def build_graph(
    tensors: Tensors,
    spec: ImageSpec,
    network: NetworkConfig,
    batch: int | None,
    input_size: tuple[int, int],
    maxima: Sequence[float] | None,
) -> onnx.ModelProto:
    """Build the graph of a trained network.

    Parameters
    ----------
    tensors
        Weights and normalisation, by their names in :class:`adacl.networks.regressor.Regressor`.
    spec
        Form of the images that the network takes.
    network
        The network.
    batch
        Images in a batch, or None for any number.
    input_size
        Height and width of the input; where they are not the network's own, the graph resizes as
        Pillow does.
    maxima
        With them the stages are computed in 8 bits, see
        :func:`adacl.training.activations.activation_maxima`.

    Returns
    -------
    ModelProto
        Input ``images``, batch x H x W x C as stored. Outputs ``raw_score`` and ``pred_score``,
        (batch,), float32; with the sigmoid head ``raw_score`` is float64, so that what is close
        to 1 can still be ranked.
    """
    graph = Graph()
    zero, mean = zero_and_mean(tensors, spec)
    views = scored_views(network)
    value = _seen(graph, pixels_less_mean(graph, spec, zero, mean, input_size), views, spec)
    steps: Steps | None = None
    if maxima is not None and spec.dtype == "uint8":  # of deeper pixels, 8 bits would be too few
        low, high = float((spec.low - mean).min()), float((spec.high - mean).max())
        steps = Steps((high - low) / 255, round(-low / (high - low) * 255))
        value = steps.apply(graph, value)
    largest = iter(maxima or ())
    tensors, plan = _planned(tensors, spec, network)
    for first, residual in plan:
        value, steps = _convolved(graph, value, first, tensors, steps, largest)
        value = graph.add("MaxPool", value, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
        if steps:
            value = steps.apply(graph, value)
        for convolution in residual:
            change, steps = _convolved(graph, value, convolution, tensors, steps, largest)
            value, steps = _activated(graph, graph.add("Add", value, change), largest)
    if network.pool == "average":
        value, steps = graph.add("GlobalAveragePool", value), None
    value = graph.add("Flatten", value)
    hidden = graph.parameters(tensors["hidden.1.weight"], tensors["hidden.1.bias"], steps)
    embedding = graph.add("Relu", graph.add("Gemm", value, *hidden, transB=1))
    output = graph.parameters(tensors["output.weight"], tensors["output.bias"], None)
    outputs = graph.add("Gemm", embedding, *output, transB=1)
    among = {"hidden": [embedding], "features": [value], "both": [embedding, value]}
    score = _score(graph, outputs, among[network.distance_among], views, tensors, network)
    return graph.model(score, spec, network.head, batch, input_size)


def zero_and_mean(tensors: Tensors, spec: ImageSpec) -> tuple[float, Array]:
    """Return what is subtracted from stored pixels, and then the mean of each channel (C,)."""
    span = spec.high - spec.low
    zero = spec.low if abs(spec.low) > FAR * span else 0.0
    return zero, spec.low - zero + tensors["mean"].reshape(spec.channels) * span


def pixels_less_mean(
    graph: Graph,
    spec: ImageSpec,
    zero: float,
    mean: Array,
    input_size: tuple[int, int] | None = None,
) -> str:
    """Bring stored pixels to N x C x H x W, resized if need be, less the mean of each channel.

    ``zero`` and ``mean`` are those of :func:`zero_and_mean`.
    """
    value = graph.add("Transpose", "images", perm=[0, 3, 1, 2])
    if input_size in (None, (spec.height, spec.width)):
        value = graph.cast(value, TensorProto.FLOAT)
    else:
        value = _resized(graph, value, spec, input_size)
    if (spec.dtype, spec.low, spec.high) != ("uint8", 0, 255):
        bounds = (graph.constant(np.float32(limit)) for limit in (spec.low, spec.high))
        value = graph.add("Clip", value, *bounds)
    if zero:
        value = graph.add("Sub", value, graph.constant(np.float32(zero)))
    return graph.add("Sub", value, graph.constant(mean.astype(np.float32).reshape(1, -1, 1, 1)))


def _resized(graph: Graph, value: str, spec: ImageSpec, size: tuple[int, int]) -> str:
    """Resize as Pillow does: in the same order, and rounded to what it keeps in between."""
    whole = spec.dtype == "uint8"
    value = graph.cast(value, TensorProto.DOUBLE)
    passes = [(size[1], spec.width, False), (size[0], spec.height, True)]
    if not rows_first(size, (spec.height, spec.width)):
        passes.reverse()
    for before, after, turned in passes:
        if before == after:
            continue
        matrix = weights(before, after, whole)
        stored = graph.constant((matrix.T if turned else matrix).astype("f4" if whole else "f8"))
        matrix_name = graph.cast(stored, TensorProto.DOUBLE) if whole else stored
        factors = (matrix_name, value) if turned else (value, matrix_name)
        value = graph.add("MatMul", *factors)
        if whole:
            value = graph.add("Floor", graph.add("Add", value, graph.constant(np.float64(0.5))))
        else:
            value = graph.cast(graph.cast(value, TensorProto.FLOAT), TensorProto.DOUBLE)
    value = graph.cast(value, TensorProto.FLOAT)
    return value if whole else graph.add("Round", value)


def _planned(
    tensors: Tensors, spec: ImageSpec, network: NetworkConfig
) -> tuple[Tensors, list[Stage]]:
    """Return the plan of the network, and its tensors with the pixels' scale folded in.

    Raises
    ------
    ValueError
        If they do not fit each other.
    """
    plan = stage_plan(network, spec.channels, spec.height, spec.width)
    layers = [layer for stage in plan for layer in (stage.first, *stage.residual)]
    known = {name for layer in layers for name in (layer.name, layer.norm)}
    for name in tensors:
        if name.startswith("features.") and name.rpartition(".")[0] not in known:
            raise ValueError(f"{name}: the network has no such layer")
    shapes: dict[str, tuple[int, ...]] = {f"{layer.name}.weight": layer.shape for layer in layers}
    shapes["hidden.1.bias"] = (network.hidden,)
    shapes["output.weight"] = (len(tensors["output.bias"]), network.hidden)
    for name, needed in shapes.items():
        if tensors[name].shape != needed:
            raise ValueError(f"{name}: need the shape {needed}, got {tensors[name].shape}")
    scale = (spec.high - spec.low) * tensors["std"].reshape(1, spec.channels, 1, 1)
    first = f"{layers[0].name}.weight"
    return {**tensors, first: tensors[first] / scale}, plan


def _convolved(
    graph: Graph,
    value: str,
    layer: Convolution,
    tensors: Tensors,
    steps: Steps | None,
    maxima: Iterator[float],
) -> tuple[str, Steps | None]:
    """Add a convolution, with the batch normalisation folded in, and its ReLU."""
    weight = tensors[f"{layer.name}.weight"]
    if layer.norm:
        weight, bias = normalised(weight, tensors, layer.norm)
    else:
        bias = tensors[f"{layer.name}.bias"]
    parameters = graph.parameters(weight.astype(np.float32), bias.astype(np.float32), steps)
    value = graph.add("Conv", value, *parameters, group=layer.groups, pads=4 * [layer.kernel // 2])
    return _activated(graph, graph.add("Relu", value), maxima)


def normalised(weight: Array, tensors: Tensors, norm: str) -> tuple[Array, Array]:
    """Return weight and bias of a convolution with the batch normalisation after it folded in."""
    gain, offset, mean, variance = (
        tensors[f"{norm}.{part}"].astype(float)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    gain = gain / np.sqrt(variance + BATCH_NORM_EPSILON)
    return weight * gain.reshape(-1, 1, 1, 1), offset - mean * gain


def _activated(graph: Graph, value: str, maxima: Iterator[float]) -> tuple[str, Steps | None]:
    """Bring an activation to 8 bits, if its maximum is given."""
    largest = next(maxima, None)
    if largest is None:
        return value, None
    steps = Steps(largest / 255, 0)
    return steps.apply(graph, value), steps


def _seen(graph: Graph, value: str, views: tuple[View, ...], spec: ImageSpec) -> str:
    """Put the views of images N x C x H x W below each other, V N x C x H x W."""
    if views == (View(0, False, 0),):
        return value
    size, count = [spec.height, spec.width], len(views)
    sources = np.concatenate([view.sources(*size) for view in views]).astype(np.int32)
    value = graph.add("Reshape", value, graph.constant(np.array([0, spec.channels, -1])))
    value = graph.add("Gather", value, graph.constant(sources), axis=2)
    shape = [0, spec.channels, count, *size]
    value = graph.add("Reshape", value, graph.constant(np.array(shape)))
    value = graph.add("Transpose", value, perm=[2, 0, 1, 3, 4])
    return graph.add("Reshape", value, graph.constant(np.array([-1, spec.channels, *size])))


def _score(
    graph: Graph,
    outputs: str,
    located: list[str],
    views: tuple[View, ...],
    tensors: Tensors,
    network: NetworkConfig,
) -> str:
    """Return the mean over the views (N,) of their own output and the distance in them."""
    if len(tensors["output.weight"]) == 1 and len(views) == 1 and not network.distance:
        value = graph.add("Squeeze", outputs, graph.constant(np.array([1])))
        if network.head == "sigmoid":
            value = graph.add("Sigmoid", graph.cast(value, TensorProto.DOUBLE))
        return value
    own = [view.output for view in views]
    wanted = np.eye(len(tensors["output.weight"]), dtype=np.float32)[own]
    axis = graph.constant(np.array([2]))
    value = _by_view(graph, outputs, len(views), wanted.shape[1])
    value = graph.add("Mul", value, graph.constant(wanted[:, None]))
    value = graph.add("ReduceSum", value, axis, keepdims=0)
    if network.head == "sigmoid":
        value = graph.add("Sigmoid", graph.cast(value, TensorProto.DOUBLE))
    if network.distance:
        distance = _distance(graph, located, own, tensors)
        if network.head == "sigmoid":
            distance = graph.cast(distance, TensorProto.DOUBLE)
        value = graph.add("Add", value, distance)
    return graph.add("ReduceMean", value, axes=[0], keepdims=0)


def _distance(graph: Graph, located: list[str], outputs: list[int], tensors: Tensors) -> str:
    """Return the distances (V, N) in the views of some outputs."""
    parts = {
        part: tensors[f"distance.{part}"]
        for part in ("centres", "axes", "precisions", "rest", "offset", "scale")
    }
    if len(located) > 1:
        joined = [_unit(graph, part) for part in located]
        located = [graph.add("Concat", *joined, axis=1)]
    unit = _by_view(graph, _unit(graph, *located), len(outputs), parts["centres"].shape[1])
    apart = graph.add("Sub", unit, graph.constant(parts["centres"][outputs][:, None]))
    along = graph.add("MatMul", apart, graph.constant(parts["axes"]))
    squares = graph.add("Mul", along, graph.constant(np.sqrt(parts["precisions"])))
    squares = graph.add("ReduceSumSquare", squares, axes=[2], keepdims=0)
    if parts["axes"].shape[0] > parts["axes"].shape[1]:
        back = graph.add("MatMul", along, graph.constant(parts["axes"].T.copy()))
        across = graph.add("Sub", apart, back)
        across = graph.add("ReduceSumSquare", across, axes=[2], keepdims=0)
        across = graph.add("Mul", across, graph.constant(parts["rest"]))
        squares = graph.add("Add", squares, across)
    distance = graph.add("Sub", graph.add("Sqrt", squares), graph.constant(parts["offset"]))
    return graph.add("Mul", distance, graph.constant(parts["scale"]))


def _unit(graph: Graph, value: str) -> str:
    """Scale rows (N, D) to unit length."""
    length = graph.add("ReduceL2", value, axes=[1], keepdims=1)
    length = graph.add("Max", length, graph.constant(np.float32(NORM_EPSILON)))
    return graph.add("Div", value, length)


def _by_view(graph: Graph, value: str, views: int, width: int) -> str:
    return graph.add("Reshape", value, graph.constant(np.array([views, -1, width])))
