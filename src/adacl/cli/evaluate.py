"""``adacl evaluate``."""

from __future__ import annotations

import json
import logging
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adacl.cli.evaluate_planted import smallest_defect
from adacl.cli.support import options
from adacl.cli.support.interrupts import interruptible
from adacl.cli.support.localisation import localisation
from adacl.cli.support.opened import (
    count_setting,
    open_scorer,
    scores_of_files,
    warn_of_copies,
    warned_of_seen,
)
from adacl.cli.support.progress import messages, say
from adacl.cli.support.reports import (
    ReportOption,
    check_report,
    gathering_for,
    report_scores,
    title_of,
)
from adacl.cli.support.streams import escaped
from adacl.data.folders import ImageFiles, list_images, without_repeats
from adacl.data.lists import root_of, with_folders
from adacl.errors import ConfigError
from adacl.files import resolved
from adacl.model.advice import advice
from adacl.words import are

if TYPE_CHECKING:
    from adacl.model.scoring import FileScore

MOST = 20
"""Kinds of anomaly that are listed."""

log = logging.getLogger("adacl")


def evaluate(
    model: options.Model,
    normal: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Normal images (repeatable).")
    ] = None,
    abnormal: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Anomalous images (repeatable).")
    ] = None,
    planted: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Normal images to draw defects into, instead of --normal and --abnormal: shows "
            "the smallest defect that is found (repeatable).",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Equal seeds draw equal defects (--planted).")
    ] = 0,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Pixel masks of the anomalous images, to check heat maps."
        ),
    ] = None,
    report: ReportOption = None,
    threshold: options.Threshold = None,
    device: options.Device = "auto",
    backend: options.Backend = "onnxruntime",
    on_error: options.OnError = "skip",
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure how well a model distinguishes normal from anomalous images.

    Without anomalous images, --planted shows the smallest defect that is found: spots and scratches
    of known size and contrast are drawn into up to 20 normal images that the model was not fitted
    on.
    """
    from adacl.data.masks import check_masks, find_masks
    from adacl.metrics import auroc_interval, evaluation

    if planted:
        if normal or abnormal or masks or report:
            raise ConfigError(
                "--planted takes no --normal, --abnormal, --masks or --report; its defects are made"
            )
        smallest_defect(
            model, planted, seed, threshold, device, backend, on_error, json_output, quiet
        )
        return
    if not (normal and abnormal):
        raise ConfigError(
            "name folders of normal and of anomalous images, --normal and --abnormal; without "
            "anomalous ones, plant defects in normal ones, --planted"
        )
    if report is not None:
        check_report(report, [model, *normal, *abnormal])
    _check_apart(normal, abnormal)
    normal, abnormal = without_repeats(normal), without_repeats(abnormal)
    places = with_folders(abnormal)
    anomalous = list_images(abnormal)
    mask_of = find_masks(anomalous, places, masks) if masks else {}
    with interruptible([report] if report else []), messages(quiet):
        if masks:
            check_masks(mask_of)
        scorer, in_use, own = open_scorer(model, device, backend, on_error, threshold)
        gathering = gathering_for(in_use, own) if report else None
        scored = partial(scores_of_files, scorer.score_files, quiet=quiet, gathering=gathering)
        good = list(scored(ImageFiles(normal), "normal images", group="normal"))
        bad = list(scored(anomalous, "anomalous images", group="anomalous"))
        seen = warned_of_seen([*good, *bad], model)
        setting = _warned_of_setting(good, bad)
        for name, scores in (("normal", good), ("anomalous", bad)):
            warn_of_copies(scores, name)
        _warned_of_both(good, bad)
        pixels = localisation(scorer, good, bad, mask_of, quiet) if masks else {}
        figures: dict[str, Any] = evaluation(
            [s.raw for s in good],
            [s.raw for s in bad],
            [s.raw > in_use.value for s in good],
            [s.raw > in_use.value for s in bad],
        )
        figures |= {**pixels, "kinds": _kinds(good, bad, places, in_use.value)}
        folders = [("--normal", abnormal), ("--abnormal", normal)]
        swapped = [
            part for option, named in folders for folder in named for part in (option, str(folder))
        ]
        known = {**figures, "n_seen_in_fit": seen, "n_set_threshold": setting}
        verdict = advice(scorer.header, known, str(model), swapped=swapped)
        result: dict[str, Any] = {
            **known,
            "auroc_95": auroc_interval([s.raw for s in good], [s.raw for s in bad]),
            "threshold": in_use.value,
            "verdict": verdict.to_dict(),
        }
        if json_output:
            typer.echo(json.dumps(result))
        else:
            _print(result)
        for line in () if quiet else verdict.lines():
            say(line)
        if report and gathering:
            title = f"{title_of(abnormal)} against {title_of(normal)}"
            report_scores(report, scorer, in_use, model, gathering, title, quiet, known)


def _warned_of_setting(good: list[FileScore], bad: list[FileScore]) -> int | None:
    """Warn if images set the threshold that they are judged by; return their number if known."""
    for name, scores in (("normal", good), ("anomalous", bad)):
        if setting := count_setting(scores):
            log.warning(
                "%d of the %s images set the threshold (adacl calibrate); the shares flagged at it "
                "are too good",
                setting,
                name,
            )
    return count_setting([*good, *bad])


def _check_apart(normal: list[Path], abnormal: list[Path]) -> None:
    for good, bad in product(normal, abnormal):
        first, second = resolved(good), resolved(bad)
        if first.is_relative_to(second) or second.is_relative_to(first):
            raise ConfigError(
                f"--normal {good} and --abnormal {bad}: images would count as both; name folders "
                "of which neither lies in the other"
            )


def _warned_of_both(good: list[FileScore], bad: list[FileScore]) -> None:
    """Warn of images that are given as normal and as anomalous, by their pixels or their path."""

    def identity(score: FileScore) -> object:
        return resolved(score.path) if score.digest is None else score.digest

    normal = {identity(score) for score in good}
    if both := [score for score in bad if identity(score) in normal]:
        log.warning(
            "%d of the anomalous images %s also among the normal ones, the first %s; they count "
            "as both", len(both), are(len(both)), both[0].path,
        )  # fmt: skip


def _kinds(
    good: list[FileScore], bad: list[FileScore], roots: list[Path], threshold: float
) -> list[dict[str, Any]]:
    """Return the figures of each kind of anomaly, the hardest first; none if there is only one.

    A kind is a folder named on the command line, or a folder in it.
    """
    from adacl.metrics import auroc, auroc_interval

    kinds: dict[str, list[float]] = {}
    for score in bad:
        kinds.setdefault(_kind(score.path, roots), []).append(score.raw)
    normal = [score.raw for score in good]
    rows = [
        {
            "kind": kind,
            "n": len(raw),
            "auroc": auroc(normal, raw),
            "auroc_95": auroc_interval(normal, raw),
            "tpr": sum(value > threshold for value in raw) / len(raw),
        }
        for kind, raw in kinds.items()
        if len(kinds) > 1
    ]
    return sorted(rows, key=lambda row: row["auroc"])


def _kind(path: Path, roots: list[Path]) -> str:
    root = root_of(path, roots)
    root = root.parent if root == path else root
    inner = path.relative_to(root).parts[:-1][:1]
    return str(Path(*inner)) if len(roots) == 1 else str(root.joinpath(*inner))


def _print(result: dict[str, Any]) -> None:
    typer.echo(f"AUROC              {result['auroc']:.4f} ({_interval(result)})")
    typer.echo(f"EER                {result['eer']:.4f}")
    typer.echo(f"average precision  {result['average_precision']:.4f}")
    typer.echo(f"at threshold       {result['threshold']:.4f}")
    typer.echo(f"  false positives  {result['fpr']:.2%} of {result['n_normal']} normal images")
    typer.echo(f"  true positives   {result['tpr']:.2%} of {result['n_abnormal']} anomalous images")
    if "pixel_auroc" in result:
        inside, n = result["peaks_inside"], result["n_masked"]
        typer.echo(f"pixel AUROC        {result['pixel_auroc']:.4f}")
        typer.echo(f"peaks in the mask  {inside:.2%} of {n} images with a masked pixel")
    kinds = result["kinds"]
    if kinds:
        typer.echo("kinds of anomaly, the hardest first")
    width = max((len(escaped(row["kind"])) for row in kinds[:MOST]), default=0)
    for row in kinds[:MOST]:
        typer.echo(
            f"  {escaped(row['kind']):{width}}  AUROC {row['auroc']:.4f} ({_interval(row)}), "
            f"{row['tpr']:.0%} of {row['n']} above the threshold"
        )
    if len(kinds) > MOST:
        typer.echo(f"  and {len(kinds) - MOST} more (--json)")


def _interval(row: dict[str, Any]) -> str:
    low, high = row["auroc_95"]
    return f"95% interval {low:.3f} to {high:.3f}"
