"""Open the model that a command names, of either kind, and score files with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adacl.cli.support import options
from adacl.cli.support.progress import count
from adacl.data.folders import ImageFiles
from adacl.data.reading import Skipped
from adacl.data.video_words import FOR_VIDEOS, is_video
from adacl.errors import DataError
from adacl.words import were

if TYPE_CHECKING:
    from adacl.deploy.scorer import Scorer
    from adacl.image_detector import ImageDetector
    from adacl.model.scoring import FileScore
    from adacl.model.threshold import Threshold
    from adacl.report.tally import Gathering, Group

    Opened = ImageDetector | Scorer
    ScoreFiles = Callable[[Iterable[Path], list[Skipped]], Iterator[FileScore]]

log = logging.getLogger("adacl")


def open_scorer(
    model: Path,
    device: options.Device,
    backend: options.Backend,
    on_error: options.OnError,
    threshold: float | None = None,
    threads: int | None = None,
) -> tuple[Opened, Threshold, float]:
    """Open an image model, of either kind; return it with the threshold in use, and its own.

    An exported file is read and scored by so many ``threads``; by default one a processor.

    Raises
    ------
    AdaclError
        As for :func:`adacl.deploy.opening.open_model`, or if the threshold is not finite.
    """
    from adacl.deploy.opening import open_model
    from adacl.deploy.scorer import Scorer

    opened = open_model(model, device=device, backend=backend, on_error=on_error, threads=threads)
    own = opened.threshold
    in_use = own if threshold is None else own.moved_to(threshold)
    if isinstance(opened, Scorer):
        return opened.set_threshold(in_use), in_use, own.value
    from adacl.image_detector import ImageDetector

    detector = ImageDetector.from_model(opened, device=device, on_error=on_error)
    return detector.set_threshold(in_use), in_use, own.value


def scores_of_files(
    score_files: ScoreFiles,
    files: Sequence[Path] | ImageFiles,
    title: str,
    quiet: bool,
    gathering: Gathering | None = None,
    group: Group = "image",
) -> Iterator[FileScore]:
    """Score image files, count them on a terminal, and collect their scores for a report.

    Raises
    ------
    DataError
        If none of them can be read.
    """
    skipped: list[Skipped] = []
    scores = count(score_files(files, skipped), title, len(files), quiet)
    scored = 0
    for score in gathering.watch(scores, group) if gathering else scores:
        scored += 1
        yield score
    if gathering:
        gathering.skipped += skipped
    check_skipped(skipped, len(files), scored)


def check_skipped(skipped: Sequence[Skipped], total: int, scored: int) -> None:
    """Warn how many files were skipped; each, or its folder, was named already.

    Raises
    ------
    DataError
        If none was scored.
    """
    if not scored:
        hint = f"; {FOR_VIDEOS}" if any(is_video(path) for path, _ in skipped) else ""
        raise DataError(f"none of {total} image files can be read{hint}")
    missing = max(len(skipped), total - scored)  # a folder may be gone, and others have come
    if missing:
        log.warning("%d of %d images %s skipped", missing, total, were(missing))


def count_distinct(scores: list[FileScore]) -> int | None:
    """Count the images that are not exact copies; None if unknown."""
    if any(score.digest is None for score in scores):
        return None
    return len({score.digest for score in scores})


def warn_of_copies(scores: list[FileScore], name: str) -> None:
    """Warn if some of the images, of this name, are exact copies of others."""
    distinct = count_distinct(scores)
    if distinct is not None and distinct < len(scores):
        log.warning(
            "%d %s images, %d distinct: the figures count every copy", len(scores), name, distinct
        )


def count_seen(scores: list[FileScore]) -> int | None:
    """Count the images that were fitted on; None if unknown."""
    if any(score.trained_on is None for score in scores):
        return None
    return sum(bool(score.trained_on) for score in scores)


def warned_of_seen(scores: list[FileScore], model: Path) -> int | None:
    """Warn if images were fitted on or this is unknown; return their number."""
    seen = count_seen(scores)
    if seen is None:
        log.warning(
            "%s does not know which images it was fitted on or calibrated by; make sure that none "
            "is here",
            model,
        )
    elif seen:
        log.warning(
            "%d of these images %s used in fitting; the figures are too good", seen, were(seen)
        )
    return seen


def count_setting(scores: list[FileScore]) -> int | None:
    """Count the images that the threshold was calibrated by; None if unknown."""
    if any(score.set_threshold is None for score in scores):
        return None
    return sum(bool(score.set_threshold) for score in scores)
