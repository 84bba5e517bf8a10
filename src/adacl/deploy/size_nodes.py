"""Nodes that change the size of images and features, and those that compare with surroundings."""

from __future__ import annotations

import numpy as np

from adacl.deploy.nodes import Graph
from adacl.networks.architecture import CELL, CELLS, LEAST_SPREAD


def shrunk_nodes(graph: Graph, value: str, side: int) -> str:
    """Return the means over squares of pixels, padding the last ones with the edge."""
    if side == 1:
        return value
    padded = graph.add("Pad", value, _to_multiple(graph, value, side), mode="edge")
    return graph.add("AveragePool", padded, kernel_shape=[side, side], strides=[side, side])


def _to_multiple(graph: Graph, value: str, side: int) -> str:
    """Return the pads that make height and width multiples of a side."""
    rest = graph.add("Mod", graph.sides(value), graph.constant(np.array([side])))
    lacking = graph.add("Sub", graph.constant(np.array([side])), rest)
    lacking = graph.add("Mod", lacking, graph.constant(np.array([side])))
    none, both = (graph.constant(np.zeros(count, np.int64)) for count in (4, 2))
    return graph.add("Concat", none, both, lacking, axis=0)


def enlarged_nodes(graph: Graph, value: str, image: str, factor: int) -> str:
    """Return the map of shrunk images as large as that of the images themselves."""
    if factor == 1:
        return value
    large = resized_nodes(graph, value, factor)
    one, two = (graph.constant(np.array([number])) for number in (1, 2))
    ends = graph.add("Div", graph.add("Add", graph.sides(image), one), two)
    starts, axes = graph.constant(np.array([0, 0])), graph.constant(np.array([2, 3]))
    return graph.add("Slice", large, starts, ends, axes)


def resized_nodes(graph: Graph, value: str, factor: int) -> str:
    """Enlarge by a factor, linearly between the middles of pixels."""
    scales = graph.constant(np.array([1, 1, factor, factor], np.float32))
    return graph.add(
        "Resize",
        value,
        "",
        scales,
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )


def cut_nodes(graph: Graph, value: str, other: str) -> str:
    """Cut off what lies beyond height and width of another."""
    starts, axes = graph.constant(np.array([0, 0])), graph.constant(np.array([2, 3]))
    return graph.add("Slice", value, starts, graph.sides(other), axes)


def local_contrast_nodes(graph: Graph, value: str, deviation: float) -> str:
    """Add what :func:`adacl.networks.local_contrast.local_contrast` computes."""
    apart = graph.add("Sub", value, _around(graph, value))
    square = graph.add("ReduceMean", graph.add("Mul", apart, apart), axes=[1])
    least = graph.constant(np.float32((LEAST_SPREAD * deviation) ** 2))
    spread = graph.add("Sqrt", graph.add("Add", _around(graph, square), least))
    return graph.add("Div", apart, spread)


def _around(graph: Graph, value: str) -> str:
    padded = graph.add("Pad", value, _to_multiple(graph, value, CELL), mode="reflect")
    cells = graph.add("AveragePool", padded, kernel_shape=[CELL, CELL], strides=[CELL, CELL])
    means = graph.add("AveragePool", cells, kernel_shape=[CELLS, CELLS], pads=4 * [CELLS // 2])
    return cut_nodes(graph, resized_nodes(graph, means, CELL), value)
