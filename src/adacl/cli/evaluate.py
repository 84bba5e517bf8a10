"""``adacl evaluate``."""

from __future__ import annotations

import json
import logging
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer

from adacl.cli.explain import localisation
from adacl.cli.support.interrupts import interruptible
from adacl.cli.support.opened import count_distinct, count_seen, open_scorer, scores_of_files
from adacl.cli.support.options import (
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
from adacl.cli.support.progress import messages, say
from adacl.cli.support.reports import (
    ReportOption,
    check_report,
    gathering_for,
    report_scores,
    title_of,
)
from adacl.data.folders import ImageFiles
from adacl.errors import ConfigError
from adacl.model.card import advice

__all__ = ["evaluate"]

log = logging.getLogger("adacl")


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
        scorer, in_use = open_scorer(model, device, backend, on_error, threshold)
        gathering = gathering_for(scorer, in_use) if report else None
        scored = partial(scores_of_files, scorer.score_files, quiet=quiet, gathering=gathering)
        good = list(scored(ImageFiles(normal), "normal images", group="normal"))
        bad = list(scored(ImageFiles(abnormal), "anomalous images", group="anomalous"))
        seen = count_seen([*good, *bad])
        if seen is None:
            log.warning(
                "%s does not know which images it was fitted on; make sure that none is here", model
            )
        elif seen:
            log.warning(
                "%d of these images were used in fitting; the figures flatter the model", seen
            )
        for name, scores in (("normal", good), ("anomalous", bad)):
            count = count_distinct(scores)
            if count is not None and count < len(scores):
                log.warning(
                    "%d %s images, %d distinct: the figures count every copy",
                    len(scores),
                    name,
                    count,
                )
        places = localisation(scorer, good, bad, mask_of, quiet) if masks else {}
        figures = evaluation(
            [s.raw for s in good],
            [s.raw for s in bad],
            [s.raw > in_use.value for s in good],
            [s.raw > in_use.value for s in bad],
        )
        if report and gathering:
            title = f"{title_of(abnormal)} against {title_of(normal)}"
            report_scores(report, scorer, in_use, model, gathering, title, quiet, figures)
    result: dict[str, Any] = {
        **figures,
        "threshold": in_use.value,
        "n_seen_in_fit": seen,
        **places,
    }
    if json_output:
        typer.echo(json.dumps(result))
    else:
        _print(result)
    remark = advice(figures, scorer.header)
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
