"""The nodes that tell the score of a map from its highest places, inside a mask if there is one."""

from __future__ import annotations

import numpy as np
import onnx

from adacl.config import NetworkConfig
from adacl.deploy.engines import WINDOW
from adacl.deploy.nodes import Graph
from adacl.imaging.mask import Mask
from adacl.model.peak_scale import PeakScale
from adacl.networks.peak import rank_weights

LOWEST = -3e38
"""Below every place of a map."""


def peak_node(
    graph: Graph, maps: str, network: NetworkConfig, scale: PeakScale, most: str = ""
) -> str:
    """Return the raw regression of each map, see :meth:`PeakScale.raw`.

    ``most`` is the number of places that count, if not all do.
    """
    weights = rank_weights(network, np.iinfo(np.int64).max, enlarged=True).astype(np.float32)
    places = graph.add("Flatten", maps)
    shape = graph.add("Shape", places)
    bounds = (graph.constant(np.array([number])) for number in (1, 2))
    count = graph.add("Slice", shape, *bounds)
    limits = [graph.constant(np.array([len(weights)])), *([most] if most else [])]
    count = graph.add("Min", count, *limits)
    highest = graph.add("TopK", places, count, axis=1)
    graph.nodes[-1].output.append("where_highest")
    first = graph.constant(np.array([0]))
    counted = graph.add("Slice", graph.constant(weights), first, count)
    share = graph.add("Div", counted, graph.add("ReduceSum", counted, keepdims=1))
    factor, offset = (graph.constant(np.float32(part)) for part in (scale.factor, scale.offset))
    raw = graph.add("Add", graph.add("Mul", graph.add("MatMul", highest, share), factor), offset)
    if not network.few:
        return raw
    end, across = (graph.constant(np.array([n])) for n in (network.few * network.shrunk**2, 1))
    few = graph.add("Slice", highest, first, end, across)
    return graph.add("Max", raw, graph.add("ReduceMean", few, axes=[1], keepdims=0))


def masked_peak_node(
    graph: Graph, mask: Mask, maps: str, network: NetworkConfig, scale: PeakScale
) -> str:
    """Return the raw regression of what is looked at, and make the map, which is 0 elsewhere."""
    inside = inside_node(graph, mask, maps, 2)
    nothing, lowest = (graph.constant(np.float32(limit)) for limit in (0, LOWEST))
    graph.add("Where", inside, maps, nothing, output="anomaly_map")
    one = graph.constant(np.array([1]))
    most = graph.add("ReduceSum", graph.cast(inside, onnx.TensorProto.INT64), keepdims=0)
    most = graph.add("Max", graph.add("Reshape", most, one), one)
    return peak_node(graph, graph.add("Where", inside, maps, lowest), network, scale, most)


def inside_node(graph: Graph, mask: Mask, value: str, step: int) -> str:
    """Return which pixels or places (h, w) of (..., h, w) are looked at, as :meth:`Mask.at` does.

    They are ``step`` pixels apart. The input ``window`` tells the first row and column, and the
    size, of the image that they are part of.
    """
    last = (graph.constant(np.array([number])) for number in (-2, np.iinfo(np.int64).max))
    shape = graph.add("Slice", graph.add("Shape", value), *last)
    found = graph.constant(mask.pixels.astype(np.uint8))
    none, one, two, apart, rest = (
        graph.constant(np.array(number)) for number in (0, 1, 2, step, step - 1)
    )
    for axis in (0, 1):
        own = graph.constant(np.array(mask.pixels.shape[axis]))
        extent = graph.add("Gather", shape, graph.constant(np.array(axis)), axis=0)
        first, size = (
            graph.add("Gather", WINDOW, graph.constant(np.array(number)), axis=0)
            for number in (axis, axis + 2)
        )
        places = graph.add("Range", none, extent, one)
        places = graph.add("Add", places, graph.add("Div", first, apart))
        unset = graph.add("Equal", size, none)
        whole = graph.add("Div", graph.add("Add", size, rest), apart)
        whole = graph.add("Where", unset, extent, whole)
        middle = graph.add("Add", graph.add("Mul", places, two), one)
        nearest = graph.add("Div", graph.add("Mul", middle, own), graph.add("Mul", whole, two))
        found = graph.add("Gather", found, nearest, axis=axis)
    return graph.cast(found, onnx.TensorProto.BOOL)
