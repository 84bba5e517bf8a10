"""``adacl score``, ``adacl evaluate`` and ``adacl calibrate``."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adacl.cli.explain import check_outside, localisation, with_heatmaps
from adacl.cli.interrupts import interruptible
from adacl.cli.opened import Opened, open_model
from adacl.cli.options import (
    Backend,
    BackendOption,
    Device,
    DeviceOption,
    JsonOption,
    ModelArgument,
    OnError,
    OnErrorOption,
    QuietOption,
    ThresholdOption,
)
from adacl.cli.records import Format, write_records
from adacl.cli.reporting import ReportOption, check_report, report_scores, title_of
from adacl.cli.skipping import check_skipped
from adacl.data.folders import ImageFiles, Skipped
from adacl.errors import ConfigError, ModelFileError
from adacl.files import check_writable
from adacl.model.card import advice
from adacl.model.exported_file import is_exported
from adacl.progress import count, messages, say

if TYPE_CHECKING:
    from adacl.model.scoring import FileScore
    from adacl.report.tally import Gathering, Group

    ScoreFiles = Callable[[Iterable[Path], list[Skipped]], Iterator[FileScore]]

__all__ = ["calibrate", "evaluate", "score"]

log = logging.getLogger("adacl")


def score(
    model: ModelArgument,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Images and folders of images.")
    ],
    output_format: Annotated[
        Format, typer.Option("--format", help="How to print the records.")
    ] = Format.table,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here instead.")
    ] = None,
    heatmaps: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a heat map of each image, laid out as they are."),
    ] = None,
    report: ReportOption = None,
    threshold: ThresholdOption = None,
    device: DeviceOption = Device.auto,
    backend: BackendOption = Backend.onnxruntime,
    on_error: OnErrorOption = OnError.skip,
    quiet: QuietOption = False,
) -> None:
    """Score images: one record each, in the order of the paths.

    MODEL is a model file, which PyTorch scores with, or what adacl export made of it.

    pred_score is the anomaly score in [0, 1], pred_label is 1 for anomalous and 0 for normal (in a
    table in words), raw_score is the regression before clipping (rank by it), tile the top-left
    corner of the worst tile.
    """
    if output is not None:
        check_writable(output)
        if output.resolve() in {path.resolve() for path in (model, *paths)}:
            raise ConfigError(f"{output}: is the model or an image to score; name another output")
    if heatmaps is not None:
        check_outside(heatmaps, paths)
    if report is not None:
        check_report(report, [model, *paths, *([output] if output else [])])
    unwritten = [path for path in (output, report) if path]
    with interruptible(unwritten), messages(quiet):
        opened = open_model(model, device, backend, on_error, threshold)
        files = ImageFiles(paths)
        gathering = _gathering(opened) if report else None
        scores = _scores(opened.model.score_files, files, "scoring", quiet, gathering)
        if heatmaps is not None:
            scores = with_heatmaps(scores, opened, heatmaps, paths)
        write_records(output, output_format, scores, opened)
        if output:
            unwritten.remove(output)
        if report and gathering:
            report_scores(report, opened, model, gathering, title_of(paths), quiet)


def evaluate(
    model: ModelArgument,
    normal: Annotated[list[Path], typer.Option(metavar="DIR", help="Normal images (repeatable).")],
    abnormal: Annotated[
        list[Path], typer.Option(metavar="DIR", help="Anomalous images (repeatable).")
    ],
    masks: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Pixel masks of the anomalous images, to rate the maps."),
    ] = None,
    report: ReportOption = None,
    threshold: ThresholdOption = None,
    device: DeviceOption = Device.auto,
    backend: BackendOption = Backend.onnxruntime,
    on_error: OnErrorOption = OnError.skip,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure how well normal and anomalous images are told apart."""
    from adacl.data.masks import find_masks
    from adacl.metrics import evaluation

    if report is not None:
        check_report(report, [model, *normal, *abnormal])
    _check_apart(normal, abnormal)
    mask_of = find_masks(list(ImageFiles(abnormal)), abnormal, masks) if masks else {}
    with interruptible([report] if report else []), messages(quiet):
        opened = open_model(model, device, backend, on_error, threshold)
        gathering = _gathering(opened) if report else None
        scored = partial(_scores, opened.model.score_files, quiet=quiet, gathering=gathering)
        good = list(scored(ImageFiles(normal), "normal images", group="normal"))
        bad = list(scored(ImageFiles(abnormal), "anomalous images", group="anomalous"))
        seen = _seen([*good, *bad])
        if seen is None:
            log.warning(
                "%s does not know which images it was fitted on; make sure that none is here", model
            )
        elif seen:
            log.warning(
                "%d of these images were used in fitting; the figures flatter the model", seen
            )
        places = localisation(opened, good, bad, mask_of, quiet) if masks else {}
        figures = evaluation(
            [s.raw for s in good],
            [s.raw for s in bad],
            [s.raw > opened.threshold for s in good],
            [s.raw > opened.threshold for s in bad],
        )
        if report and gathering:
            title = f"{title_of(abnormal)} against {title_of(normal)}"
            report_scores(report, opened, model, gathering, title, quiet, figures)
    result: dict[str, Any] = {
        **figures,
        "threshold": opened.threshold,
        "n_seen_in_fit": seen,
        **places,
    }
    if json_output:
        typer.echo(json.dumps(result))
    else:
        _print(result)
    remark = advice(figures, opened.tiled)
    if remark and not quiet:
        say(f"note: {remark}")


def _check_apart(normal: list[Path], abnormal: list[Path]) -> None:
    for good, bad in product(normal, abnormal):
        first, second = good.resolve(), bad.resolve()
        if first.is_relative_to(second) or second.is_relative_to(first):
            raise ConfigError(
                f"--normal {good} and --abnormal {bad}: images would count as both; name folders "
                "of which neither lies in the other"
            )


def _print(result: dict[str, Any]) -> None:
    typer.echo(f"AUROC              {result['auroc']:.4f}")
    typer.echo(f"EER                {result['eer']:.4f}")
    typer.echo(f"average precision  {result['average_precision']:.4f}")
    typer.echo(f"at threshold       {result['threshold']:.4f}")
    typer.echo(f"  false positives  {result['fpr']:.2%} of {result['n_normal']} normal images")
    typer.echo(f"  true positives   {result['tpr']:.2%} of {result['n_abnormal']} anomalous images")
    if "pixel_auroc" in result:
        inside, n = result["peaks_inside"], result["n_masked"]
        typer.echo(f"pixel AUROC        {result['pixel_auroc']:.4f}")
        typer.echo(f"peaks in the mask  {inside:.2%} of {n} images with a masked pixel")


def calibrate(
    model: ModelArgument,
    normal_dir: Annotated[
        list[Path],
        typer.Argument(metavar="NORMAL_DIR...", help="Normal images that were not fitted on."),
    ],
    fpr: Annotated[
        float | None, typer.Option(help="False-positive rate; by default the model's own.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write here instead of to MODEL."),
    ] = None,
    device: DeviceOption = Device.auto,
    on_error: OnErrorOption = OnError.skip,
    quiet: QuietOption = False,
) -> None:
    """Set the threshold anew from normal images, without retraining."""
    from adacl.model.thresholds import from_normal_scores

    target = output or model
    check_writable(target)
    if is_exported(model):
        raise ModelFileError(
            f"{model}: an exported file keeps its threshold; calibrate the model file and export "
            "it again, or score with --threshold"
        )
    from adacl.detector import AnomalyDetector

    with interruptible([target]), messages(quiet):
        detector = AnomalyDetector.load(model, device=device.value, on_error=on_error.value)
        rule = detector.model_.config.threshold
        rate = rule.fpr if fpr is None else fpr
        if not 0 < rate < 1:
            raise ConfigError(f"--fpr: need a rate between 0 and 1, got {fpr}")
        scores = list(_scores(detector.score_files, ImageFiles(normal_dir), "normal images", quiet))
        seen = _seen(scores)
        if seen:
            log.warning("%d of these images were used in fitting; the threshold is too low", seen)
        threshold = from_normal_scores(
            [score.raw for score in scores], rate, rule.confidence, "calibration"
        )
        detector.set_threshold(threshold).save(target)
        for line in threshold.describe():
            log.info(line)
        log.info("wrote %s", target)


def _seen(scores: list[FileScore]) -> int | None:
    """Count the images that were fitted on; None where that is not known."""
    if any(score.trained_on is None for score in scores):
        return None
    return sum(bool(score.trained_on) for score in scores)


def _gathering(opened: Opened) -> Gathering:
    from adacl.report.tally import Gathering

    return Gathering(opened.threshold, opened.model.threshold_)


def _scores(
    score_files: ScoreFiles,
    files: ImageFiles,
    title: str,
    quiet: bool,
    gathering: Gathering | None = None,
    group: Group = "image",
) -> Iterator[FileScore]:
    skipped: list[Skipped] = []
    scores = count(score_files(files, skipped), title, len(files), quiet)
    yield from gathering.watch(scores, group) if gathering else scores
    if gathering:
        gathering.skipped += skipped
    check_skipped(skipped, len(files))
