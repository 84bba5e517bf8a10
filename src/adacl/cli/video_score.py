"""``adacl video score``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from adacl.cli.support import options
from adacl.cli.support.interrupts import interruptible, until_stopped
from adacl.cli.support.outputs import check_output
from adacl.cli.support.progress import messages, say
from adacl.cli.support.records import RecordWriter, form_of, is_headed, opened
from adacl.cli.support.reports import check_page_name
from adacl.cli.support.video_notices import VideoNotices
from adacl.cli.support.video_records import (
    EVENT_COLUMNS,
    FRAME_COLUMNS,
    Counts,
    event_record,
    event_sentence,
    frame_record,
)
from adacl.cli.video import FrameRateOption, clip_of
from adacl.errors import ConfigError
from adacl.files import resolved
from adacl.model.kinds import Kind

if TYPE_CHECKING:
    from adacl.data.video import Clip
    from adacl.video.detector import VideoAnomalyDetector
    from adacl.video.frame_scores import FrameScore


def score(
    model: options.Model,
    source: Annotated[
        str,
        typer.Argument(
            metavar="VIDEO", envvar="ADACL_VIDEO", help="Video file, folder of frames, or address."
        ),
    ],
    annotate: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.mp4", help="Write a copy that shows anomalous tiles, score and time."
        ),
    ] = None,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write the events here.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page with the timeline.")
    ] = None,
    output_format: Annotated[
        Literal["none", "jsonl", "csv"] | None,
        typer.Option(
            "--format",
            help="Print a record for each frame instead of each event; by default none, or what "
            "the name of --output says.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Print records here.")
    ] = None,
    threshold: options.Threshold = None,
    on_event: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Run this program (without a shell) when an event begins or ends, when a live "
            "stream is lost, back or too fast, and when the picture freezes or its light changes. "
            "It gets what happened as JSON on its standard input.",
        ),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL", envvar="ADACL_WEBHOOK", help="Post the same JSON to this address."
        ),
    ] = None,
    give_up: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="End with an error when a live stream gives no frame for this long; by default, "
            "adacl never stops trying.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When a recording began, for example 2026-05-04T08:00:00+02:00; then records have "
            "times of day, in the time zone of this machine (TZ).",
        ),
    ] = None,
    frame_rate: FrameRateOption = None,
    device: options.Device = "auto",
    backend: options.Backend = "onnxruntime",
    quiet: options.Quiet = False,
) -> None:
    """Score a video or a live stream frame by frame, and list its events.

    The record of a frame has its number and time in seconds, wall_time (date and time of day, where
    known), pred_score (the anomaly score in [0, 1], smoothed over time), pred_label (1 above the
    threshold), smoothed_score (the same before clipping; it is compared with the threshold),
    raw_score (that of the worst tile of this frame alone) and tile (top-left corner of that tile).
    Events are listed as they end: start, end and peak_time in seconds, the same as times of day
    where known (wall_start, wall_end, wall_peak), first_frame, last_frame and peak_frame, score
    (the highest smoothed_score, which may be above 1) and the worst tile of the peak. An event ends
    where the stream was lost. For a live stream, every line is written immediately, a lost stream
    is connected again, and Ctrl-C or SIGTERM ends the run.
    """
    form = output_format or form_of(output) or "none"
    wanted = [path for path in (annotate, events, report, output) if path]
    used = [resolved(path) for path in (model, Path(source), *wanted)]
    kinds: tuple[Kind, ...] = ("video", "table", "page", "table")
    for path, kind in zip((annotate, events, report, output), kinds, strict=True):
        if path is None:
            continue
        if used.count(resolved(path)) > 1:
            raise ConfigError(f"{path}: named twice; give every input and output a file of its own")
        check_output(path, kind)
    if events is not None and events.suffix.lower() in (".jsonl", ".json"):
        raise ConfigError(f"--events {events}: is a CSV table; give it a name that ends in .csv")
    if annotate is not None:
        from adacl.video.annotated_copy import check_replaceable

        check_replaceable(annotate)
    if report is not None:
        check_page_name(report)
    started = _parsed(start)
    from adacl.video.alarms import events as find_events
    from adacl.video.detector import VideoAnomalyDetector

    unwritten = list(wanted)
    with interruptible(unwritten), messages(quiet):
        detector = VideoAnomalyDetector.load(model, device=device, backend=backend)
        if threshold is not None:
            detector.set_threshold(threshold)
        clip = clip_of(source, frame_rate)
        if clip.live:
            if annotate or report:
                raise ConfigError(
                    f"{clip.name}: --annotate and --report read a video twice; record the stream "
                    "to a file"
                )
            unwritten.clear()
        elif give_up is not None:
            raise ConfigError("--give-up is for live streams; leave it out for a recording")
        if started is not None:
            if clip.live:
                raise ConfigError("--start is for recordings; a live stream has the time of day")
            clip = replace(clip, start=started)
        facts = {"source": clip.name, "model": str(model), "threshold": detector.alarm.threshold}
        spoken = clip.live and not quiet
        with VideoNotices(on_event, webhook, facts, spoken) as notices, ExitStack() as files:
            file = files.enter_context(opened(output, clip.live))
            table = None
            if events:
                headed = clip.live and is_headed(events, EVENT_COLUMNS)
                writing = files.enter_context(opened(events, clip.live))
                table = RecordWriter(writing, EVENT_COLUMNS, headed)
            scores = detector.score(clip, give_up=give_up, on_change=notices.changed)
            scores, timeline = _shown(scores, detector, clip, annotate, report)
            counts = Counts()
            scores = counts.watch(scores)
            if form != "none":
                columns = FRAME_COLUMNS if form == "csv" else None
                headed = bool(columns) and clip.live and is_headed(output, FRAME_COLUMNS)
                writer = RecordWriter(file, columns, headed)
                scores = _recorded(scores, writer, detector.alarm.threshold)
            found = []
            for event in find_events(scores, detector.alarm, notices.started):
                counts.events += 1
                if timeline:
                    found.append(event)
                if form == "none":
                    print(event_sentence(event), file=file, flush=True)
                record = event_record(event)
                notices.ended(record)
                if table:
                    table.write(record)
        if report:
            unwritten[:] = [report]
            timeline.write(report, found)
        if not quiet:
            say(counts.line(clip.live, wanted, notices.doubt))


def _parsed(start: str | None) -> float | None:
    try:
        return None if start is None else datetime.fromisoformat(start).timestamp()
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"--start {start!r}: need a time such as 2026-05-04T08:00:00+02:00"
        ) from error


def _shown(
    scores: Iterator[FrameScore],
    detector: VideoAnomalyDetector,
    clip: Clip,
    annotate: Path | None,
    report: Path | None,
) -> tuple[Iterator[FrameScore], Any]:
    """Return the scores, and what gathers the page; pictures are decoded a second time."""
    timeline = None
    if clip.live:
        scores = until_stopped(scores)
    if annotate:
        from adacl.video.annotated_copy import annotated

        scores = annotated(annotate, clip.frames(3), scores, detector.model_)
    if report:
        from adacl.report.timeline import Timeline

        timeline = Timeline(detector.model_, clip.name)
        scores = timeline.watch(clip.frames(3), scores)
    return scores, timeline


def _recorded(
    scores: Iterator[FrameScore], writer: RecordWriter, threshold: float
) -> Iterator[FrameScore]:
    """Pass scores on, writing a record of each."""
    for score in scores:
        writer.write(frame_record(score, threshold))
        yield score
