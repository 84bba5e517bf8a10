"""Save and load models: one safetensors file with JSON metadata, never a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adacl.errors import ModelFileError
from adacl.model import tensor_file
from adacl.model.exported_file import is_exported
from adacl.model.header import FORMAT_VERSION, ModelHeader
from adacl.model.kinds import check_kind

if TYPE_CHECKING:
    import torch

    from adacl.model.model import Model


def save_model(model: Model, path: str | Path, video: Mapping[str, Any] | None = None) -> None:
    """Write a model to one file, atomically.

    Equal models give equal files: nothing in them depends on the clock. ``video`` is what a
    :class:`adacl.video.model.VideoModel` has beyond the model of its tiles.

    Raises
    ------
    ConfigError
        If a file of another kind is there, or the name ends in .onnx.
    DataError
        If the file cannot be written.
    """
    check_kind(Path(path), "model")
    tensors = {
        f"network.{name}": tensor.detach().cpu().numpy()
        for name, tensor in model.network.state_dict().items()
    }
    tensors["digests"] = model.digests
    if model.set_by:
        tensors["set_by"] = np.array(sorted(model.set_by), np.uint64)
    tensor_file.write(Path(path), tensors, replace(model.header, video=video).to_dict())


def read_model(path: str | Path) -> tuple[ModelHeader, dict[str, Any]]:
    """Read the header and the tensors of a model file, without PyTorch.

    Raises
    ------
    MissingDataError
        If the file is not there.
    ModelFileError
        If it is corrupt, truncated, of a newer format or not a model file.
    """
    path = Path(path)
    if is_exported(path):
        raise ModelFileError(
            f"{path}: an exported file, which adacl score, evaluate, info and video score "
            "take, and adacl.runtime; this needs the model file it was made of"
        )
    tensors, tree = tensor_file.read(path)
    version = tree.get("format_version")
    if not isinstance(version, int):
        raise ModelFileError(f"{path}: not a model file (a checkpoint, perhaps)")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: format {version} is newer than this adacl knows ({FORMAT_VERSION}); "
            "upgrade adacl"
        )
    try:
        return ModelHeader.from_dict(tree, tensor_file.digest(tensors, tree)), tensors
    except tensor_file.UNSOUND as error:
        raise _unsound(path, error) from error


def load_model(path: str | Path, device: str = "cpu", video: bool = False) -> Model:
    """Read a model file: for images or, if ``video`` is set, for the tiles of a video.

    Raises
    ------
    MissingDataError, ModelFileError
        As for :func:`read_model`, and if it is of the other kind, or the weights have wrong
        shapes or values that are not finite.
    """
    header, tensors = read_model(path)
    header.check_kind(path, video)
    from adacl.networks.devices import resolve_device

    where = resolve_device(device)
    try:
        return _build(header, tensors, where)
    except tensor_file.UNSOUND as error:
        raise _unsound(Path(path), error) from error


def _unsound(path: Path, error: Exception) -> ModelFileError:
    return ModelFileError(f"{path}: not a sound model file ({' '.join(str(error).split())})")


def _build(header: ModelHeader, tensors: dict[str, Any], device: torch.device) -> Model:
    import torch

    from adacl.model.model import Model
    from adacl.networks.build import build_network

    digests = tensors.pop("digests").astype(np.uint64)
    set_by = frozenset(tensors.pop("set_by", np.empty(0)).astype(np.uint64).tolist())
    state = {}
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds values that are not finite")
        state[name.removeprefix("network.")] = torch.from_numpy(array.copy())
    network = build_network(header.config.network, header.spec)
    own = network.state_dict()
    for name in sorted({*own, *state}):
        if name not in own or name not in state or own[name].shape != state[name].shape:
            raise ValueError(f"{name} is not as its network has it; fit it again")
    network.load_state_dict(state)
    if header.config.network.upright == "yes":
        _ = network.frame  # an unsound one is refused here, not when an image is scored
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(network.eval(), header, digests, set_by)
