"""``adacl calibrate``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from adacl.cli.support import options
from adacl.cli.support.interrupts import interruptible
from adacl.cli.support.opened import count_seen, open_scorer, scores_of_files
from adacl.cli.support.progress import messages
from adacl.data.copies import without_copies
from adacl.data.folders import ImageFiles
from adacl.data.groups import check_rule, groups_of
from adacl.errors import ConfigError, ModelFileError
from adacl.files import check_writable

log = logging.getLogger("adacl")


def calibrate(
    model: options.Model,
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
    group: options.Group = None,
    device: options.Device = "auto",
    on_error: options.OnError = "skip",
    quiet: options.Quiet = False,
) -> None:
    """Set the threshold anew from normal images, without retraining."""
    target = output or model
    check_writable(target)
    if group:
        check_rule(group)
    from adacl.deploy.scorer import Scorer
    from adacl.model.thresholds import from_normal_scores

    with interruptible([target]), messages(quiet):
        detector, _ = open_scorer(model, device, "onnxruntime", on_error)
        if isinstance(detector, Scorer):
            raise ModelFileError(
                f"{model}: an exported file keeps its threshold; calibrate the model file and "
                "export it again, or score with --threshold"
            )
        rule = detector.header.config.threshold
        rate = rule.fpr if fpr is None else fpr
        if not 0 < rate < 1:
            raise ConfigError(f"--fpr: need a rate between 0 and 1, got {fpr}")
        scores = list(
            scores_of_files(detector.score_files, ImageFiles(normal_dir), "normal images", quiet)
        )
        seen = count_seen(scores)
        if seen:
            log.warning("%d of these images were used in fitting; the threshold is too low", seen)
        first = without_copies([score.digest for score in scores])
        paths = [scores[index].path for index in first]
        groups = groups_of(paths, group) if group else None
        if "groups" in detector.header.training and groups is None:
            log.warning("the model was fitted with --group, and is now calibrated without")
        threshold = from_normal_scores(
            [scores[index].raw for index in first],
            rate,
            rule.confidence,
            "calibration",
            groups=groups,
        )
        detector.set_threshold(threshold).save(target)
        for line in threshold.notes():
            log.info(line)
        log.info("wrote %s", target)
