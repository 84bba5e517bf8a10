"""``adacl video evaluate``."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from adacl.cli.support import options
from adacl.cli.support.interrupts import interruptible
from adacl.cli.support.progress import count, messages, say
from adacl.cli.support.streams import escaped
from adacl.cli.video import FrameRateOption, clips_of
from adacl.errors import ConfigError

MOST = 20
"""Clips that are listed."""

log = logging.getLogger("adacl")


def evaluate(
    model: options.Model,
    sources: Annotated[
        list[str],
        typer.Argument(metavar="VIDEO...", help="Videos, folders of frames, or folders of those."),
    ],
    truth: Annotated[
        Path,
        typer.Option(
            metavar="FILE.csv",
            help="What is abnormal: columns first_frame,last_frame or start,end (seconds) for "
            "intervals, or frame,label for each frame; for several videos, also clip.",
        ),
    ],
    threshold: options.Threshold = None,
    frame_rate: FrameRateOption = None,
    device: options.Device = "auto",
    backend: options.Backend = "onnxruntime",
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure how well abnormal frames and events are found, in all and by clip.

    All frames of all clips are ranked together by their smoothed scores. An abnormal interval is
    found if an event overlaps it; an event that overlaps none is a false alarm.
    """
    from adacl.video.advice import after_evaluation
    from adacl.video.detector import VideoAnomalyDetector
    from adacl.video.evaluation import evaluate, score_clip
    from adacl.video.truth import Truth

    with interruptible([]), messages(quiet):
        clips = clips_of(sources, frame_rate)
        names = [clip.name for clip in clips]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ConfigError(
                f"two clips are called {min(twice)}; rename one, or give the folder above both, so "
                "that their names differ"
            )
        if live := next((clip for clip in clips if clip.live), None):
            raise ConfigError(f"{live.name}: a stream has no truth; record it to a file")
        known = Truth.read(truth, clips)
        detector = VideoAnomalyDetector.load(model, device=device, backend=backend)
        if not detector.model_.learnt:
            log.warning(
                "%s does not know which footage it was fitted on; make sure that none is here",
                model,
            )
        if threshold is not None:
            detector.set_threshold(threshold)
        tracked = count(clips, "clips", len(clips), quiet)
        scored = [score_clip(detector, clip, known) for clip in tracked]
        figures = evaluate(scored, detector.alarm.threshold)
    verdict = after_evaluation(figures, detector.alarm, str(model))
    if json_output:
        typer.echo(json.dumps({**figures, "verdict": verdict.to_dict()}))
    else:
        _print(figures)
    for line in () if quiet else verdict.lines():
        say(line)


def _print(figures: dict[str, Any]) -> None:
    from adacl.video.alarms import duration

    low, high = figures["auroc_95"] or (None, None)
    between = "" if low is None else f" (95% interval over clips {low:.3f} to {high:.3f})"
    normal = figures["frames"] - figures["abnormal_frames"]
    typer.echo(f"AUROC of frames    {figures['auroc']:.4f}{between}")
    typer.echo(f"EER                {figures['eer']:.4f}")
    typer.echo(f"at threshold       {figures['threshold']:.4f}")
    typer.echo(f"  false positives  {figures['fpr']:.2%} of {normal} normal frames")
    typer.echo(
        f"  true positives   {figures['tpr']:.2%} of {figures['abnormal_frames']} abnormal frames"
    )
    typer.echo(f"  intervals found  {figures['found']} of {figures['intervals']}")
    length = duration(figures["normal_hours"])
    typer.echo(f"  false alarms     {figures['false_alarms']} in {length} of normal footage")
    parts = figures["by_clip"]
    if len(parts) == 1:
        return
    typer.echo("clips, the hardest first")
    width = max(len(escaped(part["clip"])) for part in parts[:MOST])
    for part in parts[:MOST]:
        kind = "all abnormal" if part["abnormal_frames"] else "all normal  "
        own = kind if part["auroc"] is None else f"AUROC {part['auroc']:.4f}"
        typer.echo(
            f"  {escaped(part['clip']):{width}}  {own}, found {part['found']} of "
            f"{part['intervals']}, false alarms {part['false_alarms']}"
        )
    if len(parts) > MOST:
        typer.echo(f"  and {len(parts) - MOST} more (--json)")
