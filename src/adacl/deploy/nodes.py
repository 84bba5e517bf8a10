"""Build an ONNX graph node by node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from adacl.imaging.spec import ImageSpec

OPSET, OPSET_UPRIGHT = 13, 16
"""Of most graphs, and of those that turn parts upright, by ``GridSample``."""
IR_VERSION = 8
TYPES = {
    "uint8": TensorProto.UINT8,
    "uint16": TensorProto.UINT16,
    "float32": TensorProto.FLOAT,
}
WEIGHT_STEPS = 63
"""Levels of an 8-bit weight on either side of 0: seven bits. With eight, processors without VNNI
instructions overflow where they add up pairs of products."""
BIAS_STEPS = 1 << 30
"""Steps of a bias at most, in 32 bits; they would overflow where all weights are next to 0."""


@dataclass
class Graph:
    """Nodes and constants as they are added; each has one output, known by its name."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    defaults: list[onnx.ValueInfoProto] = field(default_factory=list)

    def constant(self, array: ArrayLike) -> str:
        """Store an array."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def default(self, name: str, numbers: Sequence[int]) -> str:
        """Add an optional input of whole numbers, with its default, unless it is there."""
        if name in [known.name for known in self.defaults]:
            return name
        self.constants.append(numpy_helper.from_array(np.array(numbers, np.int64), name))
        form = helper.make_tensor_value_info(name, TensorProto.INT64, [len(numbers)])
        self.defaults.append(form)
        return name

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node."""
        name = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def parameters(
        self,
        weight: NDArray[Any],
        bias: NDArray[Any],
        steps: Steps | None,
        rounded: Callable[[NDArray[Any]], NDArray[Any]] = np.round,
    ) -> list[str]:
        """Store a weight (O, ...) and a bias (O,), in 8 and 32 bits if the input has ``steps``.

        ``rounded`` turns the weight, in units of its own steps, into whole numbers.
        """
        if steps is None:
            return [self.constant(weight), self.constant(bias)]
        largest = np.abs(weight).reshape(len(weight), -1).max(1).clip(min=1e-12)
        finest = np.abs(bias) / (steps.scale * BIAS_STEPS)
        scale = np.maximum(largest / WEIGHT_STEPS, finest).astype(np.float32)
        whole = rounded(weight / scale.reshape(-1, *(1,) * (weight.ndim - 1))).astype(np.int8)
        fine = (scale * steps.scale).astype(np.float32)
        stored = (
            (whole, scale, np.zeros(len(whole), np.int8)),
            (np.round(bias / fine).astype(np.int32), fine, np.zeros(len(bias), np.int32)),
        )
        return [
            self.add("DequantizeLinear", *map(self.constant, arrays), axis=0) for arrays in stored
        ]

    def cast(self, value: str, to: int) -> str:
        """Convert to another type."""
        return self.add("Cast", value, to=to)

    def sides(self, value: str) -> str:
        """Return height and width of a tensor N x C x H x W, as two whole numbers."""
        bounds = (self.constant(np.array([number])) for number in (2, 4))
        return self.add("Slice", self.add("Shape", value), *bounds)

    def model(
        self,
        value: str,
        spec: ImageSpec,
        head: str,
        batch: int | None,
        input_size: tuple[int, int] | None,
        opset: int = OPSET,
    ) -> onnx.ModelProto:
        """Close the graph: outputs, input, version.

        Without ``input_size`` images of any size are taken, and there is a map among the outputs.
        """
        raw_type = TensorProto.FLOAT
        if head == "sigmoid":
            raw_type = TensorProto.DOUBLE
        self.add("Identity", value, output="raw_score")
        score = self.cast("raw_score", TensorProto.FLOAT) if head == "sigmoid" else "raw_score"
        bounds = (self.constant(np.float32(limit)) for limit in (0, 1))
        self.add("Clip", score, *bounds, output="pred_score")
        shape = [batch or "batch", *(input_size or ("height", "width")), spec.channels]
        map_shape = [shape[0], "map_height", "map_width"]
        has_map = input_size is None
        graph = helper.make_graph(
            self.nodes,
            "adacl",
            [helper.make_tensor_value_info("images", TYPES[spec.dtype], shape), *self.defaults],
            [
                helper.make_tensor_value_info("raw_score", raw_type, shape[:1]),
                helper.make_tensor_value_info("pred_score", TensorProto.FLOAT, shape[:1]),
                *[helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, map_shape)]
                * has_map,
            ],
            self.constants,
        )
        model = helper.make_model(
            graph,
            producer_name="adacl",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", opset)],
        )
        onnx.checker.check_model(model, full_check=True)
        return model


@dataclass(frozen=True)
class Steps:
    """The 8-bit scale of activations: what one step means, and which step is 0."""

    scale: float
    zero: int

    def apply(self, graph: Graph, value: str) -> str:
        """Round a value to the steps."""
        scale, zero = self._constants(graph)
        rounded = graph.add("QuantizeLinear", value, scale, zero)
        return graph.add("DequantizeLinear", rounded, scale, zero)

    def numbers(self, graph: Graph, value: str) -> str:
        """Turn a value into the numbers of its nearest steps, uint8."""
        return graph.add("QuantizeLinear", value, *self._constants(graph))

    def value(self, graph: Graph, numbers: str) -> str:
        """Turn numbers of steps back into the value."""
        return graph.add("DequantizeLinear", numbers, *self._constants(graph))

    def _constants(self, graph: Graph) -> tuple[str, str]:
        return graph.constant(np.float32(self.scale)), graph.constant(np.uint8(self.zero))
