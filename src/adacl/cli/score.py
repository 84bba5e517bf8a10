"""``adacl score``."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adacl.cli.support import options
from adacl.cli.support.heatmaps import check_outside, with_heatmaps
from adacl.cli.support.interrupts import interruptible
from adacl.cli.support.opened import open_scorer, scores_of_files
from adacl.cli.support.outputs import check_folder, check_output
from adacl.cli.support.progress import messages
from adacl.cli.support.records import Format, form_of, write_records
from adacl.cli.support.reports import (
    ReportOption,
    check_report,
    gathering_for,
    report_scores,
    title_of,
)
from adacl.data.folders import ImageFiles, without_repeats
from adacl.data.reading import reading_by
from adacl.errors import ConfigError
from adacl.files import resolved
from adacl.words import are

if TYPE_CHECKING:
    from adacl.model.scoring import FileScore

log = logging.getLogger("adacl")


def score(
    model: options.Model,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Images, folders of images, and lists of images."),
    ],
    output_format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="How to print the records; by default a table, or what the name of --output says.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here instead.")
    ] = None,
    heatmaps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write a heat map of each image here, in the same subfolders as the images.",
        ),
    ] = None,
    report: ReportOption = None,
    threshold: options.Threshold = None,
    device: options.Device = "auto",
    backend: options.Backend = "onnxruntime",
    on_error: options.OnError = "skip",
    readers: options.Readers = None,
    quiet: options.Quiet = False,
) -> None:
    """Score images: one record each, in the order of the paths.

    An image that is named twice, or together with its folder, is scored once; one that a list names
    is scored as often as the list names it, and again if it is named beside the list.

    MODEL is a model file, which needs PyTorch, or an exported file (adacl export), which does not.

    pred_score is the anomaly score in [0, 1], pred_label is 1 for anomalous and 0 for normal (in a
    table in words), raw_score is the network's output before it is clipped to [0, 1] (use it to
    rank images), tile is the top-left corner of the worst tile, remark says how an image differs
    from those learnt. In CSV and JSON lines, models of the preset inspect list the regions of
    anomalous images: box, area, peak and centre in pixels. A line on stderr says how many images
    are anomalous.
    """
    if output is not None:
        if resolved(output) in {resolved(path) for path in (model, *paths)}:
            raise ConfigError(f"{output}: is the model or an image to score; name another output")
        check_output(output, "table")
    if heatmaps is not None:
        check_folder(heatmaps, "maps")
        check_outside(heatmaps, paths)
        if output is not None and resolved(output) == resolved(heatmaps):
            raise ConfigError(f"-o and --heatmaps {heatmaps}: a file and a folder; name another")
    if report is not None:
        check_report(report, [model, *paths, *filter(None, [output, heatmaps])])
    unwritten = [path for path in (output, report) if path]
    with interruptible(unwritten), messages(quiet), reading_by(readers):
        scorer, in_use, own = open_scorer(model, device, backend, on_error, threshold, readers)
        files = ImageFiles(without_repeats(paths))
        gathering = gathering_for(in_use, own) if report else None
        tally: Counter[str] = Counter()
        mapped = with_heatmaps(scorer, heatmaps, paths, tally) if heatmaps else None
        score_files = mapped or scorer.score_files
        scores = scores_of_files(score_files, files, "scoring", quiet, gathering)
        scores = _counted(scores, in_use.value, tally)
        header = scorer.header
        tiled = header.tiling is not None
        form = output_format or form_of(output) or "table"
        write_records(output, form, scores, in_use.value, tiled, header.has_map)
        if output:
            unwritten.remove(output)
        verb = are(tally["anomalous"])
        log.info("%d of %d images %s anomalous", tally["anomalous"], tally["images"], verb)
        if heatmaps:
            log.info("heat maps in %s: %d", heatmaps, tally["heat maps"])
        if report and gathering:
            report_scores(report, scorer, in_use, model, gathering, title_of(paths), quiet)


def _counted(
    scores: Iterable[FileScore], threshold: float, tally: Counter[str]
) -> Iterator[FileScore]:
    for score in scores:
        tally["images"] += 1
        tally["anomalous"] += score.raw > threshold
        yield score
