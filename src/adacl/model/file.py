"""Save and load models: one safetensors file with JSON metadata, never a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from adacl.config import Config
from adacl.data.images import MAX_PIXELS
from adacl.errors import AdaclError, ModelFileError
from adacl.imaging.spec import ImageSpec
from adacl.imaging.tiles import Tiling
from adacl.model import tensor_file
from adacl.model.exported_file import is_exported
from adacl.model.history import History
from adacl.model.thresholds import Threshold

if TYPE_CHECKING:
    import torch

    from adacl.model.model import Model

__all__ = [
    "FORMAT_VERSION",
    "Contents",
    "checked_size",
    "load_model",
    "load_with_header",
    "parse_header",
    "read_header",
    "save_model",
]

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
    if is_exported(path):
        raise ModelFileError(
            f"{path}: an exported file, which adacl score, evaluate, info and video score "
            "take, and adacl.runtime; this needs the model file it was made of"
        )
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


class Contents(NamedTuple):
    """What a header says, checked."""

    spec: ImageSpec
    config: Config
    tiling: Tiling | None
    resize: tuple[int, int] | None
    threshold: Threshold
    history: History
    training: dict[str, Any]
    activation_maxima: tuple[float, ...]


def parse_header(header: Mapping[str, Any]) -> Contents:
    """Build what a header describes.

    Raises
    ------
    AdaclError, KeyError, TypeError, ValueError
        If something is missing, of the wrong type or out of range.
    """
    if not isinstance(header["training"], dict):
        raise ValueError(f"training: need a table, got {header['training']!r}")
    maxima = header.get("activation_maxima", [])
    if not all(isinstance(value, int | float) and 0 < value < np.inf for value in maxima):
        raise ValueError(f"activation_maxima: need numbers above 0, got {maxima}")
    return Contents(
        ImageSpec(**header["spec"]),
        Config.from_dict(header["config"]),
        Tiling(**header["tiling"]) if header["tiling"] else None,
        None if header["resize"] is None else checked_size(header["resize"]),
        Threshold(**header["threshold"]),
        History.from_dict(header["history"]),
        header["training"],
        tuple(maxima),
    )


def checked_size(size: Any) -> tuple[int, int]:
    """Return a height and width that an image may have.

    Raises
    ------
    ValueError
        If they are not two whole numbers, at least 1 and not more than images may have.
    """
    whole = [side for side in size if isinstance(side, int) and not isinstance(side, bool)]
    if not (len(size) == len(whole) == 2 and min(whole) > 0 and whole[0] * whole[1] <= MAX_PIXELS):
        raise ValueError(
            f"need height and width, {MAX_PIXELS // 10**6} megapixels at most, got {size}"
        )
    return whole[0], whole[1]


def load_model(path: str | Path, device: str = "cpu") -> Model:
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


def load_with_header(path: str | Path, device: str = "cpu") -> tuple[Model, dict[str, Any]]:
    """Read a model file, for images or for the tiles of a video, and its header.

    Raises
    ------
    MissingDataError, ModelFileError
        As for :func:`read_header`, and if the weights have wrong shapes or values that are
        not finite.
    """
    header, tensors = read_header(path)
    from adacl.networks.devices import resolve_device

    where = resolve_device(device)
    try:
        return _build(tensors, header, where), header
    except (AdaclError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(f"{path}: not a sound model file ({reason})") from error


def _build(tensors: dict[str, Any], header: dict[str, Any], device: torch.device) -> Model:
    import torch

    from adacl.model.model import Model
    from adacl.networks.build import build_network

    contents = parse_header(header)
    digests = tensors.pop("digests").astype(np.uint64)
    state = {}
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds values that are not finite")
        state[name.removeprefix("network.")] = torch.from_numpy(array.copy())
    spec = contents.spec
    network = build_network(contents.config.network, spec)
    network.load_state_dict(state)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(
        network.eval(),
        spec,
        contents.config,
        contents.tiling,
        contents.resize,
        contents.threshold,
        contents.history,
        contents.training,
        digests,
        contents.activation_maxima,
    )
