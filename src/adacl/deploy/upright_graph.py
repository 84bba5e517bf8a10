"""The nodes that turn parts upright, and their maps back, as :mod:`adacl.networks.upright` does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from adacl.deploy.nodes import Graph
from adacl.imaging.frame import FINE, LEAST_AXIS, LEAST_TAIL, RING, Frame
from adacl.imaging.spec import ImageSpec

END = np.iinfo(np.int64).max
INSIDE = (2, 3)
"""The axes of height and width."""


class PoseNodes(NamedTuple):
    """Names of the values of :class:`adacl.networks.upright.Pose`, doubles N x 1 x 1 x 1."""

    row: str
    column: str
    down: str
    right: str


def scaled_pixels(graph: Graph, spec: ImageSpec) -> str:
    """Bring stored pixels to N x C x H x W in [0, 1]."""
    value = graph.add("Transpose", "images", perm=[0, 3, 1, 2])
    value = graph.cast(value, TensorProto.FLOAT)
    value = graph.add("Sub", value, graph.constant(np.float32(spec.low)))
    value = graph.add("Div", value, graph.constant(np.float32(spec.high - spec.low)))
    return graph.add("Clip", value, *(graph.constant(np.float32(bound)) for bound in (0, 1)))


def pose_nodes(graph: Graph, value: str, limit: float) -> PoseNodes:
    """Find the part in each image N x C x H x W in [0, 1]."""
    add = graph.add
    step = _at_least_one(graph, value, FINE)
    steps = add("Concat", step, step, axis=0)
    both = [graph.constant(np.array(part)) for part in ((0, 0), (END, END), INSIDE)]
    inside = _part(graph, add("Slice", value, *both, steps), limit)
    rows, columns = (_numbers(graph, inside, axis) for axis in INSIDE)
    count = _sum(graph, inside)
    row, column = (
        add("Div", _sum(graph, add("Mul", inside, numbers)), count) for numbers in (rows, columns)
    )
    down, across = add("Sub", rows, row), add("Sub", columns, column)
    tall, wide, mixed = (
        _sum(graph, add("Mul", inside, add("Mul", *pair)))
        for pair in ((down, down), (across, across), (down, across))
    )
    apart = add("Sub", wide, tall)
    double = add("Mul", mixed, _double(graph, 2))
    length = add("Add", add("Mul", apart, apart), add("Mul", double, double))
    length = add("Max", add("Sqrt", length), _double(graph, LEAST_AXIS))
    ratio = add("Div", add("Abs", apart), length)
    larger = add("Sqrt", add("Div", add("Add", ratio, _double(graph, 1)), _double(graph, 2)))
    smaller = add("Div", add("Abs", mixed), add("Mul", length, larger))
    standing = add("Less", wide, tall)
    cosine = add("Where", standing, smaller, larger)
    sine = add("Where", standing, larger, smaller)
    sine = add("Mul", sine, _sign(graph, add("Less", mixed, _double(graph, 0))))
    along = add("Add", add("Mul", across, cosine), add("Mul", down, sine))
    cubes = add("Mul", inside, add("Mul", along, add("Mul", along, along)))
    least = add("Mul", _sum(graph, add("Abs", cubes)), _double(graph, LEAST_TAIL))
    sign = _sign(graph, add("Greater", _sum(graph, cubes), least))
    step = graph.cast(step, TensorProto.DOUBLE)
    return PoseNodes(
        *(add("Mul", *pair) for pair in ((row, step), (column, step), (sine, sign), (cosine, sign)))
    )


def upright_nodes(graph: Graph, value: str, pose: PoseNodes, frame: Frame) -> str:
    """Return what is seen of upright parts."""
    add = graph.add
    height, width = frame.size
    along = graph.constant((np.arange(height) - float(frame.above)).reshape(1, 1, -1, 1))
    beside = graph.constant((np.arange(width) - float(frame.left)).reshape(1, 1, 1, -1))
    rows = add("Sub", add("Mul", along, pose.down), add("Mul", beside, pose.right))
    columns = add("Add", add("Mul", along, pose.right), add("Mul", beside, pose.down))
    rows, columns = add("Add", pose.row, rows), add("Add", pose.column, columns)
    return _sampled(graph, value, rows, columns, "border")


def turned_back_nodes(
    graph: Graph, maps: str, image: str, pose: PoseNodes, frame: Frame, shrink: int
) -> str:
    """Return maps of upright parts as maps of their images."""
    add = graph.add
    places = []
    for axis, middle in zip(INSIDE, (pose.row, pose.column), strict=True):
        numbers = _numbers(graph, image, axis, halved=True)
        numbers = add("Mul", numbers, _double(graph, 2 / shrink))
        numbers = add("Add", numbers, _double(graph, 1 / shrink - 0.5))
        places.append(add("Sub", numbers, middle))
    lower, farther = places
    along = add("Add", add("Mul", lower, pose.down), add("Mul", farther, pose.right))
    beside = add("Sub", add("Mul", farther, pose.down), add("Mul", lower, pose.right))
    along, beside = (
        add("Div", add("Add", part, _double(graph, before - 0.5)), _double(graph, 2))
        for part, before in ((along, frame.above), (beside, frame.left))
    )
    return _sampled(graph, maps, along, beside, "zeros")


def _part(graph: Graph, value: str, limit: float) -> str:
    """Return where the part is, N x 1 x h x w of 0 and 1 in doubles."""
    add = graph.add
    wide = _at_least_one(graph, value, RING)
    less = add("Neg", wide)
    none, end = graph.constant(np.array([0])), graph.constant(np.array([END]))
    down, across = (graph.constant(np.array([axis])) for axis in INSIDE)
    inner = add("Slice", value, wide, less, down)
    sides = (
        add("Slice", value, none, wide, down),
        add("Slice", value, less, end, down),
        add("Slice", inner, none, wide, across),
        add("Slice", inner, less, end, across),
    )
    flat = graph.constant(np.array([0, 0, -1]))
    ring = add("Concat", *(add("Reshape", side, flat) for side in sides), axis=2)
    count = add("Slice", add("Shape", ring), *(graph.constant(np.array([n])) for n in (2, 3)))
    half = add(
        "Add", add("Div", count, graph.constant(np.array([2]))), graph.constant(np.array([1]))
    )
    lower = add("TopK", ring, half, axis=2, largest=0, sorted=1)
    graph.nodes[-1].output.append(f"where_{lower}")
    last = (graph.constant(np.array([number])) for number in (-1, END, 2))
    tone = add("Unsqueeze", add("Slice", lower, *last), graph.constant(np.array([3])))
    far = add("ReduceMax", add("Abs", add("Sub", value, tone)), axes=[1], keepdims=1)
    far = graph.cast(add("Greater", far, graph.constant(np.float32(limit))), TensorProto.FLOAT)
    mean = add("AveragePool", far, kernel_shape=[3, 3], pads=4 * [1])
    sure = graph.cast(add("Greater", mean, graph.constant(np.float32(0.5))), TensorProto.DOUBLE)
    some = add("Greater", _sum(graph, sure), _double(graph, 0))
    return add("Where", some, sure, _double(graph, 1))


def _at_least_one(graph: Graph, value: str, parts: int) -> str:
    """Return a part of the shorter side, one whole number, 1 at least."""
    least = graph.add("ReduceMin", graph.sides(value), keepdims=1)
    least = graph.add("Div", least, graph.constant(np.array([parts])))
    return graph.add("Max", least, graph.constant(np.array([1])))


def _numbers(graph: Graph, value: str, axis: int, halved: bool = False) -> str:
    """Return the numbers of rows or columns in doubles, or of every second one from the first."""
    shape = graph.add("Shape", value)
    extent = graph.add("Gather", shape, graph.constant(np.array(axis)), axis=0)
    zero, one, two = (graph.constant(np.array(number)) for number in (0, 1, 2))
    if halved:
        extent = graph.add("Div", graph.add("Add", extent, one), two)
    numbers = graph.cast(graph.add("Range", zero, extent, one), TensorProto.DOUBLE)
    form = [1, 1, -1, 1] if axis == INSIDE[0] else [1, 1, 1, -1]
    return graph.add("Reshape", numbers, graph.constant(np.array(form)))


def _sum(graph: Graph, value: str) -> str:
    return graph.add("ReduceSum", value, graph.constant(np.array(INSIDE)), keepdims=1)


def _sign(graph: Graph, negative: str) -> str:
    """Return -1 where it is true, else 1."""
    return graph.add("Where", negative, _double(graph, -1), _double(graph, 1))


def _double(graph: Graph, number: float) -> str:
    constant: NDArray[np.float64] = np.array(float(number))
    return graph.constant(constant)


def _sampled(graph: Graph, value: str, rows: str, columns: str, beyond: str) -> str:
    """Return images between their pixels, at rows and columns (N, 1, h, w)."""
    add = graph.add
    grid = []
    for axis, places in ((3, columns), (2, rows)):
        extent = add("Gather", add("Shape", value), graph.constant(np.array(axis)), axis=0)
        extent = add("Sub", extent, graph.constant(np.array(1)))
        last = graph.cast(add("Max", extent, graph.constant(np.array(1))), TensorProto.DOUBLE)
        place = add("Div", add("Mul", places, _double(graph, 2)), last)
        place = add("Sub", place, _double(graph, 1))
        place = graph.cast(place, TensorProto.FLOAT)
        place = add("Squeeze", place, graph.constant(np.array([1])))
        grid.append(add("Unsqueeze", place, graph.constant(np.array([3]))))
    return add(
        "GridSample",
        value,
        add("Concat", *grid, axis=3),
        align_corners=1,
        mode="bilinear",
        padding_mode=beyond,
    )
