"""Keep up with a live stream: read it in a thread, and drop frames openly when too slow."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable, Iterator

from adacl.data.video import Frame
from adacl.video.changes import Change, OnChange

LIVE_CHUNK = 8
"""Frames that are scored together on a live stream: few, for a short delay."""
BACKLOG = 50
TELL_EVERY = 60.0
"""Seconds between two words on frames that are dropped; so many without one, and it is over."""

log = logging.getLogger("adacl")


class Dropped:
    """Counts the frames of a stream that are dropped, and tells of them while it lasts.

    Parameters
    ----------
    name
        Of the stream, for the log.
    on_change
        Called as often as something is logged.
    """

    def __init__(self, name: str, on_change: OnChange | None = None) -> None:
        self.name = name
        self.on_change = on_change or (lambda change: None)
        self.total = 0
        self._behind = False
        self._began = self._told = 0.0
        self._before = self._untold = 0

    def see(self, frame: Frame, lost: int) -> None:
        """Take note of a frame, before which so many were dropped."""
        self.total += lost
        self._untold += lost
        if not self._behind:
            if lost:
                self._behind, self._began, self._before = True, frame.time, self.total - lost
                self._tell(frame, "too slow for this stream: %d frames were dropped")
        elif frame.time - self._told >= TELL_EVERY:
            if self._untold:
                self._tell(frame, "still too slow: %d further frames were dropped")
            else:
                self._end(frame)

    def close(self) -> None:
        """Log how many frames were dropped in all."""
        if self.total:
            log.warning("%s: %d frames were dropped in all", self.name, self.total)

    def _tell(self, frame: Frame, message: str) -> None:
        log.warning("%s, at %.0f s: " + message, self.name, frame.time, self._untold)
        seconds = frame.time - self._began
        self.on_change(Change("behind", frame.wall, seconds, frame.time, dropped=self._untold))
        self._told, self._untold = frame.time, 0

    def _end(self, frame: Frame) -> None:
        self._behind = False
        seconds, lost = self._told - self._began, self.total - self._before
        log.warning(
            "%s, at %.0f s: keeps up with the stream again; %d frames were dropped in %.0f s",
            self.name, frame.time, lost, seconds,
        )  # fmt: skip
        self.on_change(Change("caught_up", frame.wall, seconds, frame.time, dropped=lost))


def keep_up(frames: Iterable[Frame], dropped: Dropped, backlog: int = BACKLOG) -> Iterator[Frame]:
    """Pass on frames that arrive in their own time.

    When more than ``backlog`` wait, all that wait are dropped: the newest matter most, and one
    long gap spoils fewer stacks than many short ones. The numbers of the frames tell of the gap.

    Parameters
    ----------
    frames
        Numbered without gaps.
    dropped
        Is told how many were lost.
    backlog
        Frames that may wait.

    Raises
    ------
    AdaclError
        What reading the frames raises.
    """
    waiting: queue.Queue[Frame | BaseException | None] = queue.Queue()
    stopped = threading.Event()
    expected: int | None = None

    def read() -> None:
        nonlocal expected
        try:
            for frame in frames:
                if stopped.is_set():
                    return
                if expected is None:  # from then on it is the other thread's
                    expected = frame.number
                if waiting.qsize() >= backlog:
                    _drain(waiting)
                waiting.put(frame)
            waiting.put(None)
        except BaseException as error:
            waiting.put(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            dropped.see(item, item.number - (expected or 0))
            expected = item.number + 1
            yield item
    finally:
        stopped.set()


def _drain(waiting: queue.Queue[Frame | BaseException | None]) -> None:
    while True:
        try:
            waiting.get_nowait()
        except queue.Empty:
            return
