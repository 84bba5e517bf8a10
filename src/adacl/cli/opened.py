"""Open a model file or an exported file, whichever the command line names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from adacl.cli.options import Backend, Device, OnError
from adacl.errors import ConfigError, MissingExtraError, ModelFileError
from adacl.model.exported_file import is_exported
from adacl.model.file import read_header
from adacl.model.thresholds import Threshold

if TYPE_CHECKING:
    from adacl.deploy.scorer import Scorer
    from adacl.detector import AnomalyDetector
    from adacl.imaging.spec import ImageSpec

__all__ = ["Opened", "open_model"]


class Opened(NamedTuple):
    """What scores images, the form it takes, the threshold, and whether images are cut.

    ``rule`` is the threshold with all that is known of it.
    """

    model: AnomalyDetector | Scorer
    spec: ImageSpec
    threshold: float
    tiled: bool
    rule: Threshold


def open_model(
    model: Path, device: Device, backend: Backend, on_error: OnError, threshold: float | None
) -> Opened:
    """Open a model for images, of either kind.

    Raises
    ------
    MissingDataError, ModelFileError
        If the file is not there, not sound, or a model for video.
    ConfigError
        If an option does not go with this kind of model, or the threshold is not finite.
    MissingExtraError
        If what it is scored with is not installed.
    """
    if is_exported(model):
        if device is Device.cuda:
            raise ConfigError("--device cuda: an exported file is scored on the CPU")
        from adacl.deploy.scorer import Scorer

        scorer = Scorer(model, backend=backend.value, on_error=on_error.value)
        if "video" in scorer.header:
            raise ModelFileError(f"{model}: a model for video; use it with adacl video score")
        rule = _rule(scorer.threshold, threshold)
        return Opened(scorer, scorer.spec, rule.value, scorer.tiling is not None, rule)
    if backend is not Backend.onnxruntime:
        raise ConfigError(f"--backend {backend}: for exported files; see adacl export")
    try:
        from adacl import AnomalyDetector
    except MissingExtraError as error:
        read_header(model)
        raise MissingExtraError(
            f"{model}: a model file is scored with PyTorch (pip install 'adacl[train]'); without "
            "it, score what adacl export makes of it"
        ) from error
    detector = AnomalyDetector.load(model, device=device.value, on_error=on_error.value)
    own = detector.model_
    rule = _rule(own.threshold, threshold)
    return Opened(detector, own.spec, rule.value, own.tiling is not None, rule)


def _rule(own: Threshold, given: float | None) -> Threshold:
    return own if given is None else own.moved_to(given)
