"""Open a model from either kind of file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from adacl.data.reading import OnError
from adacl.deploy.scorer import Scorer
from adacl.errors import ConfigError, MissingExtraError
from adacl.model.exported_file import is_exported
from adacl.model.file import load_model, read_model
from adacl.model.header import ModelHeader

if TYPE_CHECKING:
    from adacl.model.model import Model


def open_model(
    path: str | Path,
    *,
    device: str = "auto",
    backend: str = "onnxruntime",
    on_error: OnError = "fail",
    video: bool = False,
    threads: int | None = None,
) -> Model | Scorer:
    """Open a model file or an exported file.

    Parameters
    ----------
    path
        The file.
    device
        Where PyTorch computes, for a model file.
    backend
        What runs an exported file, see :class:`adacl.runtime.Scorer`.
    on_error
        What the scorer of an exported file does with a broken image file.
    video
        Whether it must be a model for video, rather than one for images.
    threads
        Of the scorer of an exported file; by default one a processor.

    Raises
    ------
    MissingDataError, ModelFileError
        If the file is not there, not sound, or of the other kind.
    ConfigError
        If ``device`` or ``backend`` does not go with this kind of file.
    MissingExtraError
        If what it is scored with is not installed.
    """
    path = Path(path)
    if is_exported(path):
        if device == "cuda":
            raise ConfigError("--device cuda: an exported file is scored on the CPU")
        scorer = Scorer(path, backend=backend, threads=threads, on_error=on_error)
        scorer.header.check_kind(path, video)
        return scorer
    if backend != "onnxruntime":
        raise ConfigError(f"--backend {backend}: for exported files; see adacl export")
    try:
        return load_model(path, device, video)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{path}: a model file is scored with PyTorch (pip install 'adacl[train]'); without "
            "it, score what adacl export makes of it"
        ) from error


def open_exported(path: Path, backend: str, threads: int) -> Scorer:
    """Open an exported file, or a model file as if it were exported, without PyTorch."""
    if is_exported(path):
        return Scorer(path, backend=backend, threads=threads)
    from adacl.deploy.export import export_model

    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / f"{path.stem}.onnx"
        export_model(path, exported, dynamic_batch=True)
        scorer = Scorer(exported, backend=backend, threads=threads)
        scorer.path = path  # the other is gone, and means nothing in a message
        return scorer


def read_header(path: Path) -> ModelHeader:
    """Read the header of a model file or an exported file, without PyTorch."""
    return Scorer(path).header if is_exported(path) else read_model(path)[0]
