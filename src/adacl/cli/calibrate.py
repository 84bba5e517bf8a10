"""``adacl calibrate``."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import Annotated

import typer

from adacl.cli.support import options
from adacl.cli.support.interrupts import interruptible
from adacl.cli.support.opened import count_seen, open_scorer, scores_of_files
from adacl.cli.support.outputs import Untouched, check_output
from adacl.cli.support.progress import messages
from adacl.data.folders import ImageFiles
from adacl.data.groups import check_rule, groups_of
from adacl.errors import ModelFileError
from adacl.files import check_writable
from adacl.model.calibration import (
    Scored,
    calibrated,
    check_rates,
    promises_less,
    setting_digests,
    tell_learnt_defects,
)
from adacl.model.scoring import FileScore

log = logging.getLogger("adacl")


def calibrate(
    model: options.Model,
    normal_dir: Annotated[
        list[Path],
        typer.Argument(
            metavar="NORMAL_DIR...", help="Normal images that the model was not fitted on."
        ),
    ],
    fpr: Annotated[
        float | None,
        typer.Option(
            help="Share of normal images that may be flagged; by default the same as in the fit."
        ),
    ] = None,
    defects: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="A few labelled defects, which show how many such defects the threshold finds; no "
            "network learns from them (repeatable).",
        ),
    ] = None,
    find: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Set the threshold so that this share of the defects is found, instead of --fpr.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write here instead of to MODEL."),
    ] = None,
    group: options.Group = None,
    device: options.Device = "auto",
    on_error: options.OnError = "skip",
    quiet: options.Quiet = False,
) -> None:
    """Set the threshold anew from normal images, without retraining.

    Images of the fit are left out. They are recognised by their pixels: a copy that was saved again
    (as JPEG), resized or cropped counts as a new image, and makes the threshold too low.

    Labelled defects, if you have some, are used only for the threshold: they show which share of
    such defects it finds or, with --find, they set it.
    """
    target = output or model
    if output is not None or model.parent.is_dir():
        check_writable(target)
    if output is not None:
        check_output(output, "model", [*normal_dir, *(defects or [])])
    if group is not None:
        check_rule(group)
    check_rates(fpr, find, bool(defects), "--")
    from adacl.deploy.scorer import Scorer

    with interruptible([target]), messages(quiet):
        untouched = Untouched(target)
        detector, *_ = open_scorer(model, device, "onnxruntime", on_error)
        if isinstance(detector, Scorer):
            raise ModelFileError(
                f"{model}: an exported file keeps its threshold; calibrate the model file and "
                "export it again, or score with --threshold"
            )
        if "groups" in detector.header.training and group is None:
            known = detector.header.training.get("group")
            again = f" {shlex.quote(str(known))}" if known else ""
            log.warning("the model was fitted with --group%s, and is now calibrated without", again)

        def scored(folders: list[Path], title: str) -> tuple[Scored, list[FileScore]]:
            files = ImageFiles(folders)
            scores = list(scores_of_files(detector.score_files, files, title, quiet))
            groups = groups_of([score.path for score in scores], group) if group else None
            return Scored([s.raw for s in scores], [s.digest for s in scores], groups), scores

        normals, scores = scored(normal_dir, "images")
        normals = normals.unlearnt([score.trained_on for score in scores])
        shown = None
        if defects:
            shown, scores = scored(defects, "defects")
            tell_learnt_defects(count_seen(scores) or 0)
        before = detector.threshold_
        flagged = sum(raw > before for raw in normals.raw)
        log.info("before: threshold %.4f, flags %d of these %d", before, flagged, len(normals.raw))
        rule = detector.header.config.threshold
        threshold = calibrated(normals, shown, rule, fpr, find)
        if less := promises_less(detector.header.threshold, threshold):
            log.warning("%s, or keep the old file (-o)", less)
        untouched.check()
        detector.set_threshold(threshold, setting_digests(normals, shown, find)).save(target)
        for line in threshold.notes():
            log.info(line)
        log.info("wrote %s", target)
