"""Keep up with a live stream: read it in a thread, and drop frames openly when too slow."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable, Iterator

from adacl.data.video import Frame

LIVE_CHUNK = 8
"""Frames that are scored together on a live stream: few, for a short delay."""
BACKLOG = 50

log = logging.getLogger("adacl")


def keep_up(frames: Iterable[Frame], backlog: int = BACKLOG) -> Iterator[Frame]:
    """Pass on frames that arrive in their own time.

    When more than ``backlog`` wait, all that wait are dropped: the newest matter most, and one
    long gap spoils fewer stacks than many short ones. The numbers of the frames tell of the gap,
    and the log of how many were lost.

    Raises
    ------
    AdaclError
        What reading the frames raises.
    """
    waiting: queue.Queue[Frame | BaseException | None] = queue.Queue()
    stopped = threading.Event()
    dropped = 0

    def read() -> None:
        nonlocal dropped
        try:
            for frame in frames:
                if stopped.is_set():
                    return
                if waiting.qsize() >= backlog:
                    lost = _drain(waiting)
                    if not dropped:
                        log.warning("too slow for this stream: frames are being dropped")
                    dropped += lost
                waiting.put(frame)
            waiting.put(None)
        except BaseException as error:
            waiting.put(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        if dropped:
            log.warning("%d frames were dropped to keep up with the stream", dropped)


def _drain(waiting: queue.Queue[Frame | BaseException | None]) -> int:
    lost = 0
    while True:
        try:
            waiting.get_nowait()
        except queue.Empty:
            return lost
        lost += 1
