"""Alarms: from the scores of frames to events, and the threshold for a rate of false alarms.

An event is a run of frames whose smoothed scores exceed the release level and at least once the
threshold (hysteresis). The same rule counts the false alarms on normal footage that the network
did not see, from which the threshold comes, and finds the events of new footage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.config.sections import finite
from adacl.errors import DataError
from adacl.video.frame_scores import FrameScore

Series = NDArray[np.float64]

CONFIDENCE = 0.95
NONE_ALLOWED = 0.3
"""Of a rate: what footage that can just assure it must be asked for, to allow no event at all."""


@dataclass(frozen=True)
class Alarm:
    """The threshold on the smoothed score of a frame, and what it is worth.

    Parameters
    ----------
    threshold
        Frames with a higher smoothed score are anomalous.
    typical
        Median smoothed score of normal footage; an event ends below the middle between it and
        the threshold.
    per_hour
        The number of false alarms in an hour that was asked for; None if ``threshold`` was
        given by hand.
    hours
        Length of the normal footage that it was set from.
    false_alarms
        Events found in that footage.
    calibrated
        Whether that footage was given apart from the training's.
    """

    threshold: float
    typical: float = 0.0
    per_hour: float | None = None
    hours: float = 0.0
    false_alarms: int = 0
    calibrated: bool = False

    def __post_init__(self) -> None:
        finite("threshold", self.threshold)
        finite("typical score", self.typical)

    @property
    def release(self) -> float:
        """Events end where the smoothed score falls to this."""
        return min(self.threshold, (self.threshold + self.typical) / 2)

    @property
    def upper_bound(self) -> float | None:
        """With 95 % confidence, the false alarms in an hour are at most this (Poisson)."""
        if self.per_hour is None or not self.hours:
            return None
        return _most_events(self.false_alarms) / self.hours

    @property
    def hours_needed(self) -> float:
        """Normal footage without an event that can assure ``per_hour`` with 95 % confidence."""
        return -math.log(1 - CONFIDENCE) / self.per_hour if self.per_hour else math.inf

    def at(self, threshold: float) -> Alarm:
        """Return the alarm with a threshold given by hand."""
        return Alarm(finite("threshold", threshold), self.typical)

    def promises_less_than(self, before: Alarm) -> str:
        """Say that less footage set this than the one before, if it promises less so, or ""."""
        bound, former = self.upper_bound, before.upper_bound
        if bound is None or former is None or self.hours >= before.hours or bound <= former:
            return ""
        if (self.per_hour or 0) > (before.per_hour or 0):
            return ""
        return (
            f"the new threshold rests on {duration(self.hours)} of footage, the old one on "
            f"{duration(before.hours)}: with 95% confidence at most {_three_digits(bound)} false "
            f"alarms an hour, before {_three_digits(former)}; the footage from before does not "
            "count again, so give all further normal footage together"
        )

    def notes(self) -> list[str]:
        """Say in sentences how the threshold was set and what it is worth."""
        bound = self.upper_bound
        if self.per_hour is None or bound is None:
            return [f"threshold {self.threshold:.4f}, given by hand"]
        plural = "" if self.per_hour == 1 else "s"
        lines = [
            f"threshold {self.threshold:.4f} for {self.per_hour:g} false alarm{plural} an hour: "
            f"{self.false_alarms} in {duration(self.hours)} of normal footage that the network "
            f"did not see; with 95% confidence at most "
            f"{_three_digits(bound)} an hour"
        ]
        if bound > self.per_hour and self.hours < self.hours_needed:
            share = "" if self.calibrated else ", five times as much footage in all,"
            lines.append(
                f"{self.per_hour:g} an hour cannot be assured with so little: that takes at "
                f"least {duration(self.hours_needed)} without any{share} and a threshold for "
                f"{NONE_ALLOWED * self.per_hour:g} an hour, which allows none"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary."""
        return asdict(self)


def _three_digits(value: float) -> str:
    """Return a number above 0 to three digits, without a power of ten if it is large."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:.3g}"


def _most_events(seen: int) -> float:
    """Return the largest mean at which so few events are not yet too improbable (Poisson)."""
    low, high = 0.0, 10.0 * (seen + 1)
    for _ in range(60):
        mean = (low + high) / 2
        probable = sum(
            math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
            for count in range(seen + 1)
        )
        low, high = (mean, high) if probable > 1 - CONFIDENCE else (low, mean)
    return low


@dataclass(frozen=True)
class Event:
    """A run of anomalous frames.

    ``start``, ``end`` and ``peak_time`` are seconds since the first frame, ``first``, ``last``
    and ``peak`` the numbers of those frames, ``score`` is the highest smoothed score before
    clipping, ``tile`` the top-left corner of the worst tile at the peak. ``wall`` has the same
    three times in seconds since 1970, if they are known. ``worst`` is the frame with the highest
    score before smoothing.
    """

    start: float
    end: float
    peak_time: float
    first: int
    last: int
    peak: int
    score: float
    tile: tuple[int, int] | None
    wall: tuple[float | None, float | None, float | None] = (None, None, None)
    worst: FrameScore | None = field(default=None, repr=False, compare=False)


def events(
    scores: Iterable[FrameScore],
    alarm: Alarm,
    on_start: Callable[[FrameScore], object] | None = None,
) -> Iterator[Event]:
    """Find events while the scores come in; each is given when it has ended.

    ``on_start`` is called when one is certain, with the first score above the threshold.
    """
    run: list[FrameScore] = []
    for score in scores:
        if run and (score.segment != run[-1].segment or score.smoothed <= alarm.release):
            yield from _ended(run, alarm)
            run = []
        if score.smoothed > alarm.release:
            certain = run and run[1].smoothed > alarm.threshold
            run = _condensed(run, score)
            if on_start and not certain and score.smoothed > alarm.threshold:
                on_start(score)
        if score.last:
            yield from _ended(run, alarm)
            run = []
    yield from _ended(run, alarm)


def _condensed(run: list[FrameScore], score: FrameScore) -> list[FrameScore]:
    """Return first, peak, worst and last of a run: it may go on for hours."""
    if not run:
        return [score] * 4
    first, peak, worst, _ = run
    peak = max(peak, score, key=lambda s: s.smoothed)
    return [first, peak, max(worst, score, key=lambda s: s.raw), score]


def _ended(run: list[FrameScore], alarm: Alarm) -> Iterator[Event]:
    if run and run[1].smoothed > alarm.threshold:
        first, peak, worst, last = run
        yield Event(
            first.time,
            last.time,
            peak.time,
            first.number,
            last.number,
            peak.number,
            peak.smoothed,
            peak.tile,
            (first.wall, last.wall, peak.wall),
            worst,
        )


def from_normal_footage(segments: Sequence[Series], hours: float, per_hour: float) -> Alarm:
    """Set the threshold from smoothed scores of normal footage that was not trained on.

    It is the lowest of the peaks at which, as at all higher ones, the events above it do not
    exceed the wanted rate.

    Parameters
    ----------
    segments
        Smoothed scores, one array for each stretch without a gap.
    hours
        Their length in all.
    per_hour
        False alarms in an hour that are accepted.

    Raises
    ------
    DataError
        If there is no score.
    ConfigError
        If ``per_hour`` is not a finite number above 0.
    """
    finite("false alarms an hour", per_hour, above=0)
    if not sum(map(len, segments)) or hours <= 0:
        raise DataError("no normal footage is left for the threshold; give more")
    scores = np.concatenate([np.append(segment, -np.inf) for segment in segments])
    typical = float(np.median(scores[np.isfinite(scores)]))
    allowed = math.floor(per_hour * hours)
    best, found = Alarm(float(scores.max()), typical), 0
    for peak in _peaks(scores)[1:]:
        candidate = Alarm(float(peak), typical)
        count = _count(scores, candidate)
        if count > allowed:
            break
        best, found = candidate, count
    return Alarm(best.threshold, typical, per_hour, hours, found)


def _peaks(scores: Series) -> Series:
    """Return the values of the local maxima, highest first, each once."""
    higher = (scores[1:-1] >= scores[:-2]) & (scores[1:-1] > scores[2:])
    ends = scores[[0]]
    peaks: Series = np.unique(np.concatenate([ends, scores[1:-1][higher]]))[::-1]
    return peaks[np.isfinite(peaks)]


def _count(scores: Series, alarm: Alarm) -> int:
    above = scores > alarm.release
    starts = np.flatnonzero(above & ~np.append(False, above[:-1]))
    if not len(starts):
        return 0
    highest = np.maximum.reduceat(np.where(above, scores, -np.inf), starts)
    return int((highest > alarm.threshold).sum())


def duration(hours: float) -> str:
    """Return a length of footage in words."""
    if hours >= 1:
        return f"{hours:.1f} hours"
    minutes = hours * 60
    return f"{minutes:.1f} minutes" if minutes >= 1 else f"{minutes * 60:.0f} seconds"
