"""``adacl video calibrate``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from adacl.cli.support import options
from adacl.cli.support.interrupts import interruptible
from adacl.cli.support.outputs import Untouched, check_output
from adacl.cli.support.progress import messages
from adacl.cli.video import FrameRateOption, clips_of
from adacl.errors import ModelFileError
from adacl.files import check_writable

log = logging.getLogger("adacl")


def calibrate(
    model: options.Model,
    normal: Annotated[
        list[str],
        typer.Argument(
            metavar="NORMAL...", help="Normal footage that the model was not fitted on."
        ),
    ],
    false_alarms: Annotated[
        float | None,
        typer.Option(help="False alarms an hour; by default the same as in the fit."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write here instead of to MODEL."),
    ] = None,
    frame_rate: FrameRateOption = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Set the threshold anew from more normal footage, without retraining."""
    target = output or model
    check_writable(target)
    if output is not None:
        check_output(output, "model", map(Path, normal))
    from adacl.video.detector import VideoAnomalyDetector

    with interruptible([target]), messages(quiet):
        untouched = Untouched(target)
        detector = VideoAnomalyDetector.load(model, device=device)
        if detector.model_.tiles.header.exported:
            raise ModelFileError(
                f"{model}: an exported file keeps its threshold; calibrate the model file and "
                "export it again, or score with --threshold"
            )
        before = detector.alarm
        detector.calibrate(clips_of(normal, frame_rate), false_alarms)
        if less := detector.alarm.promises_less_than(before):
            log.warning("%s, or keep the old file (-o)", less)
        untouched.check()
        detector.save(target)
        for line in detector.alarm.notes():
            log.info(line)
        log.info("wrote %s; the threshold was %.4f before", target, before.threshold)
