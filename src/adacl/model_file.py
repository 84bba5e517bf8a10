"""Save and load models: one safetensors file with JSON metadata, never a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adacl import tensor_file
from adacl.config import Config
from adacl.errors import AdaclError, ModelFileError

if TYPE_CHECKING:
    import torch

    from adacl.model import Model

__all__ = ["FORMAT_VERSION", "load_model", "load_with_header", "read_header", "save_model"]

FORMAT_VERSION = 1


def save_model(model: Model, path: str | Path, video: Mapping[str, Any] | None = None) -> None:
    """Write a model to one file, atomically.

    Equal models give equal files: nothing in them depends on the clock. ``video`` is what a
    :class:`adacl.video.model.VideoModel` has beyond the model of its tiles.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    tensors = {
        f"network.{name}": tensor.detach().cpu().numpy()
        for name, tensor in model.network.state_dict().items()
    }
    tensors["digests"] = model.digests
    header = model.describe() | ({"video": dict(video)} if video else {})
    for record in header["history"]["epochs"]:
        del record["seconds"]
    tensor_file.write(Path(path), tensors, {"format_version": FORMAT_VERSION, **header})


def read_header(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the header and the tensors of a model file, without PyTorch.

    Raises
    ------
    MissingDataError
        If the file is not there.
    ModelFileError
        If it is corrupt, truncated, of a newer format or not a model file.
    """
    path = Path(path)
    tensors, header = tensor_file.read(path)
    version = header.get("format_version")
    if not isinstance(version, int):
        raise ModelFileError(f"{path}: not a model file (a checkpoint, perhaps)")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: format {version} is newer than this adacl knows ({FORMAT_VERSION}); "
            "upgrade adacl"
        )
    return header, tensors


def load_model(path: str | Path, device: torch.device | None = None) -> Model:
    """Read a model file.

    Raises
    ------
    MissingDataError, ModelFileError
        As for :func:`load_with_header`, and if it is a model for video.
    """
    model, header = load_with_header(path, device)
    if "video" in header:
        raise ModelFileError(f"{path}: a model for video; use it with adacl video score")
    return model


def load_with_header(
    path: str | Path, device: torch.device | None = None
) -> tuple[Model, dict[str, Any]]:
    """Read a model file, for images or for the tiles of a video, and its header.

    Raises
    ------
    MissingDataError, ModelFileError
        As for :func:`read_header`, and if the weights have wrong shapes or values that are
        not finite.
    """
    import torch

    header, tensors = read_header(path)
    try:
        return _build(tensors, header, device or torch.device("cpu")), header
    except (AdaclError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(f"{path}: not a sound model file ({reason})") from error


def _build(tensors: dict[str, Any], header: dict[str, Any], device: torch.device) -> Model:
    import torch

    from adacl.history import History
    from adacl.model import Model
    from adacl.networks import Regressor
    from adacl.pixels import ImageSpec
    from adacl.thresholds import Threshold
    from adacl.tiles import Tiling

    digests = tensors.pop("digests").astype(np.uint64)
    state = {}
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds values that are not finite")
        state[name.removeprefix("network.")] = torch.from_numpy(array.copy())
    config, resize = Config.from_dict(header["config"]), header["resize"]
    if resize is not None and not (
        len(resize) == 2 and all(isinstance(side, int) and side > 0 for side in resize)
    ):
        raise ValueError(f"resize: need height and width, got {resize}")
    spec = ImageSpec(**header["spec"])
    network = Regressor(config.network, spec.channels, spec.height, spec.width)
    network.load_state_dict(state)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(
        network.eval(),
        spec,
        config,
        Tiling(**header["tiling"]) if header["tiling"] else None,
        tuple(resize) if resize else None,
        Threshold(**header["threshold"]),
        History.from_dict(header["history"]),
        header["training"],
        digests,
        tuple(header.get("activation_maxima", ())),
    )
