"""A new threshold for a video model, from normal footage that it was not fitted on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from adacl.data.video import Clip, Frame
from adacl.errors import DataError
from adacl.video.alarms import Alarm, Event, events, from_normal_footage
from adacl.video.frame_scores import FrameScore
from adacl.video.learnt_frames import unlearnt
from adacl.video.model import VideoModel
from adacl.video.repeats import Repeats

FEWEST_MOVING = 50
"""Frames in which something moves, below which footage says nothing of false alarms."""

log = logging.getLogger("adacl")


def alarm_from(
    model: VideoModel,
    clips: Sequence[Clip],
    per_hour: float,
    read: Callable[[Clip], Iterator[Frame]],
) -> Alarm:
    """Score normal clips and set the threshold for so many false alarms an hour.

    A clip that shows what an earlier one shows counts once. If the threshold rises, what the
    old one finds is told: it may not be normal.

    Parameters
    ----------
    model
        The model.
    clips
        Normal footage.
    per_hour
        False alarms in an hour that are accepted.
    read
        Gives the grey frames of a clip, shrunk to ``model.config.tallest`` lines.

    Raises
    ------
    DataError
        If a clip is a live stream, its frames have another size than those fitted on, the
        model has learnt from one of them, or too little moves in all of them.
    ConfigError
        If ``per_hour`` is not a finite number above 0.
    """
    for clip in clips:
        if clip.live:
            raise DataError(f"{clip.name}: a stream has no end; record it to a file")
    repeats = Repeats()
    stretches: list[NDArray[np.float64]] = []
    found: list[tuple[str, Event]] = []
    seconds, moving = 0.0, 0
    for clip in clips:
        frames = repeats.watch(unlearnt(read(clip), model.learnt, clip.name), clip.name)
        scores = _Scores(model.score(frames))
        events_here = [(clip.name, event) for event in events(scores, model.alarm)]
        if repeats.repeated:
            continue
        found += events_here
        moving += scores.moving
        for times, smoothed in scores.stretches:
            stretches.append(np.array(smoothed))
            seconds += times[-1] - times[0] + 1 / model.frame_rate
    if moving < FEWEST_MOVING:
        raise DataError(
            f"something moves in only {moving} frames of this footage, at least {FEWEST_MOVING} "
            "are needed; give more, or footage in which more happens"
        )
    alarm = from_normal_footage(stretches, seconds / 3600, per_hour)
    if found and alarm.threshold > model.alarm.threshold:
        _tell(found, model.alarm.threshold)
    return replace(alarm, calibrated=True)


class _Scores:
    """Passes scores on and keeps times and smoothed scores of each stretch without a gap."""

    def __init__(self, scores: Iterator[FrameScore]) -> None:
        self.stretches: list[tuple[list[float], list[float]]] = []
        self.moving = 0
        self._scores = scores

    def __iter__(self) -> Iterator[FrameScore]:
        segment = -1
        for score in self._scores:
            if score.segment != segment:
                segment = score.segment
                self.stretches.append(([], []))
            times, smoothed = self.stretches[-1]
            times.append(score.time)
            smoothed.append(score.smoothed)
            self.moving += score.tile is not None
            yield score


def _tell(found: list[tuple[str, Event]], threshold: float) -> None:
    name, worst = max(found, key=lambda pair: pair[1].score)
    count = "an event" if len(found) == 1 else f"{len(found)} events"
    log.warning(
        "is all of it normal? The threshold so far, %.4f, finds %s in it, the worst in %s from "
        "%.1f to %.1f s (score %.2f); if that is an anomaly, calibrate without it, or it will "
        "not be found again", threshold, count, name, worst.start, worst.end, worst.score,
    )  # fmt: skip
