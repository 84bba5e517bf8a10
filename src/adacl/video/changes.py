"""Changes of a camera that users are told of, beside the events that are found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from adacl.data.video import Frame

FROZEN = 10.0
"""Seconds without any change after which a picture is called frozen."""

log = logging.getLogger("adacl")


@dataclass(frozen=True)
class Change:
    """A live stream or the picture of a camera is not as it was.

    Parameters
    ----------
    kind
        ``lost`` or ``back``, of a live stream; ``behind`` while frames of it are dropped, because
        they come faster than they are scored, and then ``caught_up``; ``frozen`` or ``unfrozen``,
        of the picture; ``light`` if it has become darker or brighter than those learnt.
    wall
        When, in seconds since 1970, if known.
    seconds
        How long the stream was away, or the picture has been the same.
    time
        Of the frame, in seconds since the first, if there is one.
    remark
        How the light differs.
    dropped
        Frames that were dropped since the last word of it; when it is over, in all.
    far_off
        Whether the light differs so much that anomalies may be missed.
    """

    kind: Literal["lost", "back", "behind", "caught_up", "frozen", "unfrozen", "light"]
    wall: float | None
    seconds: float = 0.0
    time: float | None = None
    remark: str = ""
    dropped: int = 0
    far_off: bool = False


OnChange = Callable[[Change], object]


class Stillness:
    """Tells when all pixels of a picture stay the same for ``FROZEN`` seconds, and when no more.

    Parameters
    ----------
    name
        Of the clip, for the log.
    on_change
        Called as often as something is logged.
    """

    def __init__(self, name: str, on_change: OnChange) -> None:
        self.name = name
        self.on_change = on_change
        self._first: Frame | None = None
        self._frozen = False

    def watch(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Pass frames on; of a stream that is connected again, those that come then, too."""
        if not self._frozen:
            self._first = None
        for frame in frames:
            still = self._first is not None and np.array_equal(frame.image, self._first.image)
            if self._first is not None and still != self._frozen:
                self._see(frame, frame.time - self._first.time)
            if not still:
                self._first = frame
            yield frame

    def _see(self, frame: Frame, seconds: float) -> None:
        """Take note of a frame that is otherwise than was told, after so many seconds of one."""
        if self._frozen:
            self._frozen = False
            log.warning(
                "%s, at %.0f s: the picture changes again, after %.0f s",
                self.name, frame.time, seconds,
            )  # fmt: skip
            self.on_change(Change("unfrozen", frame.wall, seconds, frame.time))
        elif seconds >= FROZEN:
            self._frozen = True
            log.warning(
                "%s, at %.0f s: the picture has not changed for %.0f s; is the camera frozen "
                "or covered?", self.name, frame.time, seconds,
            )  # fmt: skip
            self.on_change(Change("frozen", frame.wall, seconds, frame.time))
