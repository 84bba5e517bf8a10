"""How well the frames and events of clips agree with the truth about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from adacl.data.video import Clip, Frame
from adacl.errors import DataError
from adacl.metrics import auroc, equal_error_rate
from adacl.video.alarms import Event, events
from adacl.video.detector import VideoAnomalyDetector
from adacl.video.frame_scores import FrameScore
from adacl.video.learnt_frames import told
from adacl.video.truth import Truth

FEWEST_CLIPS = 5
"""Clips of which an interval can be told by drawing among them."""
DRAWS = 1000

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class ScoredClip:
    """A clip with its truth.

    Parameters
    ----------
    name
        Of the clip.
    scores
        (F,) the smoothed scores of its frames.
    abnormal
        (F,) which of them are.
    seconds
        Its length, without gaps.
    events
        What was found in it.
    """

    name: str
    scores: Floats
    abnormal: Mask
    seconds: float
    events: list[Event]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First and last frame of each abnormal interval."""
        edges = np.flatnonzero(np.diff(np.r_[False, self.abnormal, False].astype(int)))
        return [(int(first), int(after) - 1) for first, after in edges.reshape(-1, 2)]

    def figures(self, threshold: float) -> dict[str, Any]:
        """Return its own figures, as a part of :func:`evaluate`."""
        abnormal, flagged = self.abnormal, self.scores > threshold
        both = 0 < abnormal.sum() < len(abnormal)
        hits = [event for event in self.events if abnormal[event.first : event.last + 1].any()]
        found = sum(
            any(event.first <= last and event.last >= first for event in hits)
            for first, last in self.spans
        )
        return {
            "clip": self.name,
            "frames": len(abnormal),
            "abnormal_frames": int(abnormal.sum()),
            "auroc": auroc(self.scores[~abnormal], self.scores[abnormal]) if both else None,
            "tpr": float(flagged[abnormal].mean()) if abnormal.any() else None,
            "fpr": float(flagged[~abnormal].mean()) if not abnormal.all() else None,
            "intervals": len(self.spans),
            "found": found,
            "false_alarms": len(self.events) - len(hits),
        }


@dataclass(frozen=True)
class _ToldClip(Clip):
    """A clip that warns if a model has learnt from it."""

    learnt: frozenset[int] = frozenset()

    def frames(self, channels: Literal[1, 3] = 1, tallest: int | None = None) -> Iterator[Frame]:
        return told(super().frames(channels, tallest), self.learnt, self.name)


def score_clip(detector: VideoAnomalyDetector, clip: Clip, truth: Truth) -> ScoredClip:
    """Score a clip and join it with the truth about it; warn if the model has learnt from it.

    Raises
    ------
    DataError
        If it cannot be scored, or the truth is about other frames.
    """
    times: list[float] = []
    values: list[float] = []
    segments: list[int] = []

    learnt = detector.model_.learnt
    read = _ToldClip(clip.name, clip.source, clip.frame_rate, clip.start, learnt)

    def noted() -> Iterator[FrameScore]:
        for score in detector.score(read):
            times.append(score.time)
            values.append(score.smoothed)
            segments.append(score.segment)
            yield score

    found = list(events(noted(), detector.alarm))
    abnormal = truth.abnormal(clip, np.array(times))
    beside = np.diff(segments) == 0
    seconds = float(np.diff(times)[beside].sum())
    seconds += float((~beside).sum() + 1) / detector.model_.frame_rate
    return ScoredClip(clip.name, np.array(values), abnormal, seconds, found)


def evaluate(clips: Sequence[ScoredClip], threshold: float) -> dict[str, Any]:
    """Rank all frames together, count intervals found and false alarms, in all and by clip.

    An abnormal interval is found if an event overlaps it; an event that overlaps none is a false
    alarm. ``auroc_95`` draws whole clips, since the frames of one are alike; it is None for fewer
    than ``FEWEST_CLIPS``.

    Raises
    ------
    DataError
        If no frame is normal, or none abnormal.
    """
    scores = np.concatenate([clip.scores for clip in clips])
    abnormal = np.concatenate([clip.abnormal for clip in clips])
    if abnormal.all() or not abnormal.any():
        kind = "abnormal" if abnormal.any() else "normal"
        raise DataError(f"all {len(abnormal)} frames are {kind}; frames of both kinds are needed")
    flagged = scores > threshold
    parts = [clip.figures(threshold) for clip in clips]
    hours = sum(clip.seconds * float((~clip.abnormal).mean()) for clip in clips) / 3600
    alarms = sum(part["false_alarms"] for part in parts)
    own = [part["auroc"] for part in parts if part["auroc"] is not None]
    return {
        "clips": len(clips),
        "frames": len(abnormal),
        "abnormal_frames": int(abnormal.sum()),
        "auroc": auroc(scores[~abnormal], scores[abnormal]),
        "auroc_95": interval_by_clip(clips),
        "auroc_mean_over_clips": float(np.mean(own)) if own else None,
        "eer": equal_error_rate(scores[~abnormal], scores[abnormal]),
        "threshold": threshold,
        "tpr": float(flagged[abnormal].mean()),
        "fpr": float(flagged[~abnormal].mean()),
        "intervals": sum(part["intervals"] for part in parts),
        "found": sum(part["found"] for part in parts),
        "false_alarms": alarms,
        "normal_hours": hours,
        "by_clip": sorted(parts, key=lambda part: (part["auroc"] is None, part["auroc"])),
    }


def interval_by_clip(clips: Sequence[ScoredClip]) -> tuple[float, float] | None:
    """Return a 95 % interval of the AUROC over all frames: percentiles over clips drawn again."""
    if len(clips) < FEWEST_CLIPS:
        return None
    normal = [np.sort(clip.scores[~clip.abnormal]) for clip in clips]
    bad = [clip.scores[clip.abnormal] for clip in clips]
    higher = np.array([[_higher(a, n) for n in normal] for a in bad])
    counts = np.array([(len(a), len(n)) for a, n in zip(bad, normal, strict=True)])
    generator = np.random.default_rng(0)
    areas = []
    for _ in range(DRAWS):
        drawn = np.bincount(generator.integers(0, len(clips), len(clips)), minlength=len(clips))
        pairs = float(np.prod(drawn @ counts, dtype=float))
        if pairs:
            areas.append(drawn @ higher @ drawn / pairs)
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)


def _higher(abnormal: Floats, normal: Floats) -> float:
    """Count the pairs in which the abnormal score is higher; ties are a half."""
    below, upto = (np.searchsorted(normal, abnormal, side).sum() for side in ("left", "right"))
    return float(below + upto) / 2
