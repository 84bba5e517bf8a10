"""``--report`` of ``adacl score``, ``evaluate`` and ``fit``."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adacl.cli.support.progress import count
from adacl.errors import ConfigError, DataError
from adacl.files import check_writable, resolved

if TYPE_CHECKING:
    from adacl.cli.support.opened import Opened
    from adacl.image_detector import ImageDetector
    from adacl.model.threshold import Threshold
    from adacl.report.tally import Gathering
    from adacl.scale.scoring import ScoringRun

ReportOption = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE.html", help="Also write a report, one HTML file."),
]

SAMPLE = 500
AT_ONCE = 50

log = logging.getLogger("adacl")


def check_report(report: Path, others: Iterable[Path]) -> None:
    """Check, before work begins, that a report can be written and replaces no other file.

    Raises
    ------
    ConfigError
        If it is one of ``others``, or not named as an HTML file.
    DataError
        If it cannot be written.
    ModuleNotFoundError
        If a package that it needs is not installed.
    """
    import adacl.report.page  # noqa: F401

    check_page_name(report)
    check_writable(report)
    if resolved(report) in {resolved(path) for path in others}:
        raise ConfigError(
            f"--report {report}: this command also reads or writes it; name another file"
        )


def check_page_name(report: Path) -> None:
    """Check that a report is named as a page.

    Raises
    ------
    ConfigError
        If it is not.
    """
    if report.suffix.lower() != ".html":
        raise ConfigError(f"--report {report}: is a page; give it a name that ends in .html")


def check_shown(path: str, tar: bool) -> None:
    """Check that the pictures of a file that ``adacl scale score`` scores can be shown in a report.

    Raises
    ------
    ConfigError
        If it is a tar file, or not on this machine.
    """
    from adacl.scale.storage import is_url

    if tar or is_url(path):
        raise ConfigError(
            f"--report: shows pictures, which cannot be fetched from {path}; leave it out, and "
            "read the results with pandas or DuckDB"
        )


def title_of(paths: Sequence[Path]) -> str:
    """Return the names of files or folders, shortened."""
    names = [resolved(path).name or str(path) for path in paths]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def gathering_for(threshold: Threshold, own: float) -> Gathering:
    """Return a collector of scores, for a report: the threshold in use, and the model's own."""
    from adacl.report.tally import Gathering

    return Gathering(threshold.value, own)


def report_scores(
    report: Path,
    scorer: Opened,
    threshold: Threshold,
    model: Path,
    gathering: Gathering,
    title: str,
    quiet: bool,
    figures: Mapping[str, Any] | None = None,
    command: Sequence[str] = (),
    again: Sequence[str] | None = None,
) -> None:
    """Write the report on scored images; with figures, on labelled ones.

    It shows a command that makes it: by default the one that runs. ``again`` is the one that takes
    another threshold.
    """
    from adacl.report.page import write_report
    from adacl.report.subject import Subject

    arguments = [*command] or ["adacl", *sys.argv[1:]]
    subject = Subject(
        title=title,
        story="score" if figures is None else "evaluate",
        model_path=model,
        header=scorer.header,
        scorer=scorer,
        threshold=threshold,
        command=shlex.join(arguments),
        again=_without_threshold(arguments) if again is None else again,
    )
    write_report(report, subject, gathering, figures, partial(count, quiet=quiet))
    log.info("wrote %s", report)


def report_fit(
    report: Path, detector: ImageDetector, model: Path, images: list[Path], quiet: bool
) -> None:
    """Write the report on a fit: a sample of the training images against made anomalies.

    Raises
    ------
    DataError
        If none of the images can be read any more, or the report not be written.
    """
    from adacl.model.file import read_model
    from adacl.report import made_anomalies
    from adacl.report.page import write_report
    from adacl.report.subject import Subject
    from adacl.report.tally import Gathering

    sample = images[:: -(-len(images) // SAMPLE)]
    threshold = detector.model_.threshold
    gathering = Gathering(threshold.value, threshold.value)
    paths = [
        score.path
        for score in gathering.watch(detector.score_files(sample, gathering.skipped), "trained on")
    ]
    for start in range(0, len(paths), AT_ONCE):
        samples = made_anomalies.samples(detector.model_, paths[start : start + AT_ONCE])
        if samples:
            for raw in made_anomalies.mixture_scores(detector.model_, samples, start):
                gathering.add(raw, "made")
    if "made" not in gathering.counts:
        raise DataError(
            f"{report}: not written, because the images can no longer be read; {model} is saved"
        )
    subject = Subject(
        title=f"What {model.name} learned",
        story="fit",
        model_path=model,
        header=read_model(model)[0],
        scorer=detector,
        threshold=threshold,
        command=shlex.join(["adacl", *sys.argv[1:]]),
        again=["adacl", "score", str(model), "IMAGES"],
    )
    write_report(report, subject, gathering, track=partial(count, quiet=quiet))
    log.info("wrote %s", report)


def _without_threshold(arguments: list[str]) -> list[str]:
    kept = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--threshold":
            next(rest, None)
        elif not argument.startswith("--threshold="):
            kept.append(argument)
    return kept


def report_run(report: Path, run: ScoringRun, failed: int, quiet: bool) -> None:
    """Write the report on images that ``adacl scale score`` scored, from its results alone.

    Of those that ``failed`` the first are named.
    """
    from adacl.deploy.scorer import Scorer
    from adacl.scale.results import file_scores

    scorer = Scorer(run.task.model, threads=1, on_error="skip")
    own = in_use = scorer.threshold
    if run.work.threshold is not None:
        in_use = in_use.moved_to(run.work.threshold)
        scorer.set_threshold(in_use)
    gathering = gathering_for(in_use, own.value)
    for _ in gathering.watch(file_scores(run.folder, gathering.skipped), "image"):
        pass
    gathering.unnamed = failed - len(gathering.skipped)
    sources = run.work.sources
    title = title_of([Path(source) for source in sources])
    again = ["adacl", "scale", "score", str(run.task.model), *sources, "--out", "ANOTHER_FOLDER"]
    report_scores(report, scorer, in_use, run.task.model, gathering, title, quiet, again=again)
