"""Turn a model file into one ONNX file that any engine runs, without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl._version import __version__
from adacl.errors import ConfigError, ModelFileError, missing_extra
from adacl.files import atomic_file
from adacl.model.exported_file import seal, to_properties
from adacl.model.file import read_model
from adacl.model.header import Exported, ModelHeader, checked_size
from adacl.model.kinds import check_kind

Size = tuple[int, int]

UNSTATED = "not stated; a model belongs to whoever trained it"


def export_model(
    source: str | Path,
    target: str | Path,
    *,
    dynamic_batch: bool = False,
    int8: bool = False,
    input_size: tuple[int, int] | None = None,
    licence: str = UNSTATED,
) -> ModelHeader:
    """Export a model file, for images or for video, as one ONNX file.

    Parameters
    ----------
    source, target
        The model file, and the file to write.
    dynamic_batch
        Whether the graph takes any number of images at once, rather than one.
    int8
        Compute the convolutions in 8 bits, and store the weights so.
    input_size
        Height and width of the images that the graph is given, if the graph itself is to resize
        them. By default they come in the size that the network takes.
    licence
        Under which the exported model may be used.

    Returns
    -------
    ModelHeader
        The header that the file holds.

    Raises
    ------
    MissingDataError, ModelFileError
        If the model file is not there, not sound, or too old for ``int8``.
    ConfigError
        If ``input_size`` is given for a model that does not resize, or a file of another kind, such
        as the model file, is where ``target`` leads.
    MissingExtraError
        If the package onnx is not installed.
    DataError
        If the file cannot be written.
    """
    try:
        import onnx

        from adacl.deploy.dense_graph import build_dense_graph
        from adacl.deploy.graph import build_graph
    except ModuleNotFoundError as error:
        raise missing_extra(error) from error

    onnx_errors = (onnx.checker.ValidationError, onnx.shape_inference.InferenceError)
    source, target = Path(source), Path(target)
    check_kind(target, "export")
    header, tensors = read_model(source)
    try:
        network = _network(tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{source}: not a sound model file ({error})") from error
    spec, dense = header.spec, header.has_map
    exported_for = _checked(input_size) or (spec.height, spec.width)
    maxima = header.activation_maxima
    _check_options(source, header, input_size, exported_for, int8)
    layers, batch = header.config.network, None if dynamic_batch else 1
    scaled_by = maxima if int8 else None
    try:
        if dense:
            model = build_dense_graph(network, header, batch, scaled_by)
        else:
            model = build_graph(network, spec, layers, batch, exported_for, scaled_by)
    except (KeyError, ValueError, TypeError, IndexError, OverflowError, *onnx_errors) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(f"{source}: not a sound model file ({reason})") from error
    exported = Exported(
        exported_by=__version__,
        licence=licence,
        opset=model.opset_import[0].version,
        precision="int8" if int8 else "float32",
        batch=batch,
        input_size=None if dense else exported_for,
        normalisation={part: network[part].ravel().tolist() for part in ("mean", "std")},
    )
    header = replace(header, exported=exported)
    onnx.helper.set_model_props(model, to_properties(header.to_dict()))
    with atomic_file(target) as file:
        file.write(seal(model.SerializeToString(deterministic=True)))
    return header


def _check_options(
    source: Path,
    header: ModelHeader,
    input_size: Size | None,
    exported_for: Size,
    int8: bool,
) -> None:
    """Check that a model can be exported for an input size, and in 8 bits."""
    spec = header.spec
    if header.has_map and input_size:
        raise ConfigError(
            f"{source}: its network has a map, and takes images of any size; leave the input size "
            "out"
        )
    if int8 and not header.activation_maxima:
        raise ModelFileError(
            f"{source}: fitted before adacl measured the activations that int8 needs; fit it again"
        )
    tiled = header.tiling is not None or header.video is not None
    if exported_for != (spec.height, spec.width) and (tiled or spec.dtype == "float32"):
        taken = "tiles" if tiled else "arrays of floats"
        raise ConfigError(f"input size: this model takes {taken} and resizes nothing; leave it out")


def _network(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the tensors of the network, by their names there."""
    network = {}
    for name, array in tensors.items():
        if name.startswith("network."):
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{name} holds values that are not finite")
            network[name.removeprefix("network.")] = array
    if not (network["std"] > 0).all():
        raise ValueError("network.std: need numbers above 0")
    return network


def _checked(size: tuple[int, int] | None) -> tuple[int, int] | None:
    try:
        return None if size is None else checked_size(size)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"input size: {error}") from error
