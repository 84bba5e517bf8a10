"""``adacl video explain``."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from adacl.cli.support import options
from adacl.cli.support.heatmaps import check_outside, free_name, mark_of, write_picture
from adacl.cli.support.interrupts import interruptible
from adacl.cli.support.outputs import check_folder
from adacl.cli.support.progress import messages, say
from adacl.cli.support.streams import escaped
from adacl.cli.video import FrameRateOption, clip_of
from adacl.config.sections import finite
from adacl.errors import ConfigError
from adacl.files import make_folder

if TYPE_CHECKING:
    from adacl.data.video import Clip
    from adacl.video.frame_scores import FrameScore

BEYOND = 1.0
"""Seconds after the last frame for which that frame is shown."""
WRONG = 2
"""How often longer than it says a video file is taken to be, at most."""


def explain(
    model: options.Model,
    source: Annotated[str, typer.Argument(metavar="VIDEO", help="Video file or folder of frames.")],
    at: Annotated[
        list[float] | None,
        typer.Option(metavar="SECONDS", min=0, help="Explain the frame at this time (repeatable)."),
    ] = None,
    most: Annotated[
        int, typer.Option(min=1, help="Without --at, explain this many of the worst events.")
    ] = 3,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder to write to; by default the current one."
        ),
    ] = None,
    threshold: options.Threshold = None,
    frame_rate: FrameRateOption = None,
    device: options.Device = "auto",
    backend: options.Backend = "onnxruntime",
    quiet: options.Quiet = False,
) -> None:
    """Show why a frame or an event was flagged, with a picture of each.

    A picture shows the frame with its worst tiles, the pixels of them that the network got, how far
    the network's output and the motion are from what is usual there, and the score over time. For
    an event, the picture shows the frame that scores highest before smoothing. Pictures of another
    video of the same name are kept: the new ones get a number.
    """
    at = [finite("--at", time) for time in at or []]
    folder = output or Path()
    check_folder(folder, "pictures")
    check_outside(folder, [Path(source)], "pictures", "frames")
    from adacl.video.alarms import events as find_events
    from adacl.video.detector import VideoAnomalyDetector
    from adacl.video.explained_picture import drawn
    from adacl.video.explanation import look, reasons

    with interruptible([]), messages(quiet):
        detector = VideoAnomalyDetector.load(model, device=device, backend=backend)
        if threshold is not None:
            detector.set_threshold(threshold)
        clip = clip_of(source, frame_rate)
        if clip.live:
            raise ConfigError(f"{clip.name}: a stream can be read only once; record it to a file")
        _check_end(clip, at)
        make_folder(folder)
        curve = array("d"), array("d")
        nearest: dict[float, FrameScore] = {}
        scores = _noted(detector.score(clip), curve, at, nearest)
        worst = sorted(find_events(scores, detector.alarm), key=lambda event: -event.score)
        chosen = [event.worst for event in worst[:most] if event.worst]
        late: list[float] = []
        if at:
            end = curve[0][-1]
            late = [time for time in at if time > end + BEYOND]
            if len(late) == len(at):
                raise _beyond(late, end)
            chosen = [score for time, score in nearest.items() if time not in late]
        elif not chosen:
            say("no event; --at SECONDS explains a frame in any case")
            return
        by_number = {score.number: score for score in chosen}
        points = np.asarray(curve[0]), np.asarray(curve[1])
        name, fitted, mark = Path(clip.name).name, detector.model_, mark_of(Path(source))
        for number, seen in look(clip, by_number, fitted):
            score, ending = by_number[number], f".frame-{number}.png"
            target = free_name(folder / f"{name}{ending}", mark, ending=ending)
            told = reasons(fitted, seen, score)
            title = escaped(f"{name}, frame {number} at {score.time:.2f} s")
            picture = drawn(title, seen, score, told, points, fitted)
            written = "no picture is written"
            if write_picture(target, picture, mark, "picture"):
                written = f"wrote {escaped(str(target))}"
            word = "ANOMALOUS" if score.smoothed > detector.alarm.threshold else "normal"
            typer.echo(
                f"{title}: {word}, score {score.smoothed:.3f}, before smoothing {score.raw:.3f}; "
                f"{written}"
            )
            for reason in told:
                typer.echo(
                    f"  tile at {reason.corner[0]},{reason.corner[1]}, score {reason.score:.3f}: "
                    f"{reason.words()} from what is usual in this row"
                )
        if late:
            raise _beyond(late, end, "the other times are explained")


def _noted(
    scores: Iterator[FrameScore],
    curve: tuple[array[float], array[float]],
    wanted: list[float],
    nearest: dict[float, FrameScore],
) -> Iterator[FrameScore]:
    """Pass scores on; note their times and values, and those nearest to the wanted times."""
    for score in scores:
        curve[0].append(score.time)
        curve[1].append(score.smoothed)
        for time in wanted:
            if time not in nearest or abs(score.time - time) < abs(nearest[time].time - time):
                nearest[time] = score
        yield score


def _check_end(clip: Clip, wanted: list[float]) -> None:
    """Refuse times that lie beyond the end before all frames are read, where that is sure."""
    exact = Path(clip.source).is_dir()
    if wanted and (end := clip.said_end()):
        last = end if exact else WRONG * end
        if late := [time for time in wanted if time > last + BEYOND]:
            raise _beyond(late, end)


def _beyond(times: list[float], end: float, what: str = "nothing is written") -> ConfigError:
    named = " ".join(f"--at {time:g}" for time in times)
    return ConfigError(f"{named}: the video ends at {end:.2f} s; {what}")
