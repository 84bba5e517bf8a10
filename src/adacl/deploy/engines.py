"""The engines that run an exported graph."""

from __future__ import annotations

import os
import queue
from typing import Any, Protocol

import numpy as np

from adacl.errors import ConfigError, missing_extra
from adacl.imaging.spec import Array
from adacl.model.large_images import Window


class Run(Protocol):
    """An open graph; may be called from many threads."""

    def __call__(
        self, images: Array, output: str = "raw_score", window: Window | None = None, /
    ) -> Array:
        """Return one of the outputs, by default the raw regression, of a batch of images.

        With a ``window`` the images are parts of larger ones.
        """


BACKENDS = ("onnxruntime", "openvino")
WINDOW = "window"
"""Input of a graph with coordinates: the window of a larger image that the pixels are. By default
they are the whole image."""


def read_graph(content: bytes) -> tuple[dict[str, str], str, list[Any], set[str]]:
    """Return the properties of a serialised model, type and shape of its input, and its outputs.

    Raises
    ------
    MissingExtraError
        If onnxruntime is not installed.
    """
    session = _session(content, optimise=False)
    (entry,) = session.get_inputs()
    outputs = {output.name for output in session.get_outputs()}
    return session.get_modelmeta().custom_metadata_map, entry.type, entry.shape, outputs


def open_backend(name: str, content: bytes, threads: int, least: int = 1) -> Run:
    """Prepare a serialised model for use.

    Parameters
    ----------
    name
        One of ``BACKENDS``.
    content
        The model.
    threads
        How many threads will call the returned function at the same time. Each call computes in
        one thread: so many small batches side by side beat one that all threads share.
    least
        The smallest side of an image, in pixels, that the model takes.

    Raises
    ------
    MissingExtraError
        If the engine is not installed.
    """
    if name == "openvino":
        return _openvino(content, threads, least)
    session = _session(content)
    placed = _is_placed(session)

    def run(images: Array, output: str = "raw_score", window: Window | None = None, /) -> Array:
        inputs = {"images": images}
        if window and placed:
            inputs[WINDOW] = np.array(window)
        values: Array = session.run([output], inputs)[0]
        return values

    return run


def _is_placed(session: Any) -> bool:
    """Tell whether a graph looks at where in an image pixels come from."""
    return any(entry.name == WINDOW for entry in session.get_overridable_initializers())


def _session(content: bytes, optimise: bool = True) -> Any:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # on by default, to Microsoft
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise missing_extra(error) from error

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _openvino(content: bytes, threads: int, least: int) -> Run:
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise missing_extra(error) from error

    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(content),
        "CPU",
        {
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # where the processor can, the default is bfloat16
        },
    )
    process, placed = os.getpid(), _is_placed(_session(content, optimise=False))
    idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for _ in range(threads):
        idle.put(compiled.create_infer_request())

    def run(images: Array, output: str = "raw_score", window: Window | None = None, /) -> Array:
        if window and placed:
            raise ConfigError(
                "OpenVINO cannot score an image as large as this by windows; use onnxruntime"
            )
        if os.getpid() != process:
            raise ConfigError("OpenVINO does not survive a fork; start processes with 'spawn'")
        request = idle.get()
        try:
            values: Array = request.infer({"images": images})[output].copy()
        finally:
            idle.put(request)
        return values

    # The engine's binding initialises itself at its first use, and deadlocks if two threads do so.
    entry = compiled.input(0)
    sides = zip(entry.partial_shape, (1, least, least, 1), strict=True)
    shape = [side.get_length() if side.is_static else free for side, free in sides]
    run(np.zeros(shape, entry.element_type.to_dtype()))
    return run
