"""Open a model file or an exported file, whichever the command line names, and score files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from adacl.cli.support.options import Backend, Device, OnError
from adacl.cli.support.progress import count
from adacl.data.folders import ImageFiles, Skipped
from adacl.errors import ConfigError, DataError, MissingExtraError, ModelFileError
from adacl.model.exported_file import is_exported
from adacl.model.file import read_header
from adacl.model.thresholds import Threshold

if TYPE_CHECKING:
    from adacl.deploy.scorer import Scorer
    from adacl.detector import AnomalyDetector
    from adacl.imaging.spec import ImageSpec
    from adacl.model.scoring import FileScore
    from adacl.report.tally import Gathering, Group

    ScoreFiles = Callable[[Iterable[Path], list[Skipped]], Iterator[FileScore]]

__all__ = ["Opened", "check_skipped", "count_seen", "open_model", "scores_of_files"]

log = logging.getLogger("adacl")


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


def scores_of_files(
    score_files: ScoreFiles,
    files: ImageFiles,
    title: str,
    quiet: bool,
    gathering: Gathering | None = None,
    group: Group = "image",
) -> Iterator[FileScore]:
    """Score image files and count them on a terminal; a report gathers their scores.

    Raises
    ------
    DataError
        If none of them can be read.
    """
    skipped: list[Skipped] = []
    scores = count(score_files(files, skipped), title, len(files), quiet)
    yield from gathering.watch(scores, group) if gathering else scores
    if gathering:
        gathering.skipped += skipped
    check_skipped(skipped, len(files))


def check_skipped(skipped: Sequence[Skipped], total: int) -> None:
    """Warn of files that were skipped, each of which was already named.

    Raises
    ------
    DataError
        If that goes for all of them.
    """
    if len(skipped) == total:
        raise DataError(f"none of {total} image files can be read")
    if skipped:
        log.warning("%d of %d images were skipped", len(skipped), total)


def count_seen(scores: list[FileScore]) -> int | None:
    """Count the images that were fitted on; None where that is not known."""
    if any(score.trained_on is None for score in scores):
        return None
    return sum(bool(score.trained_on) for score in scores)
