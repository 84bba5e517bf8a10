"""Turn the time stamps of a video or a stream into seconds that never fall, and count gaps."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from adacl.words import plural

GAP = 5.0
"""A step in time of more than so many usual ones is a gap; recorders leave out single frames."""
RESTART = 1.0
"""Seconds put where the clock of a file runs backwards, as in two recordings joined together."""
SWAPPED = 1.0
REORDERED = 16
"""Stamps behind by less than so many seconds, or frames, are those of another order; 16 is the most
frames by which H.264 changes it."""
DRIFT = 60.0
"""Seconds that stamps and arrival of a live stream may differ, beside a hundredth of its time."""

log = logging.getLogger("adacl")


class Times:
    """Gives the seconds of each frame since the first.

    Some senders give the frames of H.264 the stamps of the order in which they are sent, so that
    those of B-frames are swapped: then a frame has the time of the latest before it.

    Parameters
    ----------
    name
        Of the clip, for the log.
    rate
        Frames per second, where a frame has no stamp.
    """

    def __init__(self, name: str, rate: float) -> None:
        self.name = name
        self.rate = rate
        self.gaps = Gaps(rate)
        self._swapped = max(SWAPPED, REORDERED / rate)
        self._start: float | None = None
        self._leap = 0.0
        self._last = 0.0

    def of(self, number: int, stamp: float | None) -> float:
        """Return the time of a frame, given its number and its stamp in seconds."""
        seconds = self._stamped(number, stamp) + self._leap
        if seconds <= self._last - self._swapped:
            self._leap += self._last + RESTART - seconds
            seconds = self._last + RESTART
        return self._noted(seconds)

    def _stamped(self, number: int, stamp: float | None) -> float:
        self._start = stamp if self._start is None else self._start
        if stamp is None or self._start is None:
            return number / self.rate
        return stamp - self._start

    def _noted(self, seconds: float) -> float:
        self._last = max(seconds, self._last)
        self.gaps.see(self._last)
        return self._last


class LiveTimes(Times):
    """Gives the seconds of each frame of a live stream since the first.

    A frame without a stamp has the time of its arrival; so have all from the moment on when the
    stamps run backwards, or differ from the clock by more than ``DRIFT``.

    Parameters
    ----------
    name, rate
        As of ``Times``.
    stamped
        Whether its kind of stream has stamps.
    clock
        Gives the seconds that have passed since some moment.
    """

    def __init__(
        self,
        name: str,
        rate: float,
        stamped: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name, rate)
        self._usable = stamped
        self._clock = clock
        self._began: float | None = None
        self._seen: float | None = None

    def of(self, number: int, stamp: float | None) -> float:
        """Return the time of a frame that has just arrived."""
        now = self._clock()
        self._began = now if self._began is None else self._began
        arrived = self._last + now - (now if self._seen is None else self._seen)
        self._seen = now
        if stamp is None or not self._usable:
            self._last = arrived
            return arrived
        self._start = stamp - arrived if self._start is None else self._start
        seconds = stamp - self._start
        backwards = seconds <= self._last - self._swapped
        if not backwards and abs(seconds - now + self._began) <= DRIFT + (now - self._began) / 100:
            return self._noted(seconds)
        log.warning(
            "%s, at %.0f s: the time stamps of the stream %s; the times of arrival are used",
            self.name, self._last, "run backwards" if backwards else "do not agree with the clock",
        )  # fmt: skip
        self._usable = False
        self._last = arrived
        return arrived


class Gaps:
    """Notices steps in time of more than ``GAP`` usual ones, and says what is missing.

    Parameters
    ----------
    rate
        Usual frames per second.
    """

    def __init__(self, rate: float) -> None:
        self._usual = 1 / rate
        self._last: float | None = None
        self._steps: list[tuple[float, float]] = []

    def see(self, time: float) -> None:
        """Take note of a frame."""
        step = time - self._last if self._last is not None else 0.0
        if self._last is not None and step > GAP * self._usual:
            self._steps.append((self._last, step))
        self._last = time

    def words(self) -> str:
        """Say how many frames are missing; "" if there is no gap."""
        if not self._steps:
            return ""
        missing = sum(round(step / self._usual) - 1 for _, step in self._steps)
        return (
            f"about {missing} frames are missing, in {plural(len(self._steps), 'gap')}; the first "
            f"after {self._steps[0][0]:.1f} s"
        )
