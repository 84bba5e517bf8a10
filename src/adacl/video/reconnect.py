"""Outlive the loss of a live stream: wait, connect again, and tell of it."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from adacl.data.video import Frame
from adacl.errors import DataError
from adacl.video.changes import Change, OnChange
from adacl.video.frame_scores import FrameScore
from adacl.video.live import LIVE_CHUNK, Dropped, keep_up
from adacl.video.model import VideoModel

SHORTEST = 1.0
LONGEST = 60.0
"""Seconds before the first try to connect again, doubled for each further one, and the most."""
STEADY = 10.0
"""A connection that held for so many seconds begins anew with the shortest wait."""

log = logging.getLogger("adacl")


class Connections:
    """The connections to a live stream, one after the other; numbers and times of frames go on.

    Between the last frame of one and the first of the next a number is left out, and as much time
    passes as did.

    Parameters
    ----------
    connect
        Connects and reads the frames.
    name
        Of the stream, for the log.
    give_up
        Seconds without a frame after which it is not tried any more; None tries for ever.
    on_change
        Called when the stream is lost, and when it is back.
    """

    def __init__(
        self,
        connect: Callable[[], Iterator[Frame]],
        name: str,
        give_up: float | None = None,
        on_change: OnChange | None = None,
    ) -> None:
        self.connect = connect
        self.name = name
        self.give_up = give_up
        self.on_change = on_change or (lambda change: None)
        self._last: Frame | None = None
        self._seen = 0.0
        self._began = 0.0
        self._lost = False
        self._reason = ""

    def __iter__(self) -> Iterator[Iterator[Frame]]:
        """Give the frames of each connection, which must be read to the end.

        Raises
        ------
        DataError
            If the first connection gives no frame, or it is given up.
        """
        tries = 0
        self._seen = time.monotonic()
        while True:
            self._began = time.monotonic()
            yield self._frames()
            if not self._lost:
                self._lost = True
                tries = tries if self._seen - self._began < STEADY else 0
                if self._left() > 0:
                    log.warning("%s; connecting again", self._reason)
                self.on_change(Change("lost", time.time()))
            self._wait(tries)
            tries += 1

    def _frames(self) -> Iterator[Frame]:
        number, shift = 0, 0.0
        self._reason = f"{self.name}: the stream has ended"
        try:
            for count, frame in enumerate(self.connect()):
                now = time.monotonic()
                if count == 0 and self._last is not None:
                    number = self._last.number + 2 - frame.number
                    shift = self._last.time + now - self._seen - frame.time
                if self._lost:
                    self._back(now - self._seen)
                self._last = replace(frame, number=frame.number + number, time=frame.time + shift)
                self._seen = now
                yield self._last
        except DataError as error:
            if self._last is None:
                raise
            self._reason = str(error)
            if self._lost:
                log.info("%s", error)

    def _back(self, seconds: float) -> None:
        self._lost = False
        log.warning("%s: back after %.0f s", self.name, seconds)
        self.on_change(Change("back", time.time(), seconds))

    def _left(self) -> float:
        """Return the seconds until it is given up."""
        away = time.monotonic() - self._seen
        return math.inf if self.give_up is None else self.give_up - away

    def _wait(self, tries: int) -> None:
        pause = min(LONGEST, SHORTEST * 2 ** min(tries, 30)) * random.Random().uniform(0.5, 1)
        if (left := self._left()) <= 0:
            away = time.monotonic() - self._seen
            raise DataError(f"{self._reason}; given up after {away:.0f} s without a frame")
        pause = min(pause, left)
        log.info("next try in %.1f s", pause)
        time.sleep(pause)


def score_stream(
    model: VideoModel, connections: Iterable[Iterator[Frame]], dropped: Dropped
) -> Iterator[FrameScore]:
    """Score the frames of a live stream; each connection begins a new segment.

    When a connection is lost, the scores that still wait for later frames are given at once.

    Raises
    ------
    DataError
        If the stream cannot be read or is given up, or its frames have another size.
    """
    begun = 0
    try:
        for frames in connections:
            score = None
            for score in model.score(keep_up(frames, dropped), LIVE_CHUNK):
                yield replace(score, segment=begun + score.segment)
            begun += score.segment + 1 if score else 0
    finally:
        dropped.close()
