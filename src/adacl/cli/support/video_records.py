"""The records of ``adacl video score``, of frames and of events, and its last line."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adacl.cli.support.records import TILE_COLUMNS
from adacl.words import plural

if TYPE_CHECKING:
    from adacl.video.alarms import Event
    from adacl.video.frame_scores import FrameScore

FRAME_COLUMNS = ["frame", "time", "wall_time", "pred_score", "pred_label", "smoothed_score"]
FRAME_COLUMNS += ["raw_score", *TILE_COLUMNS]
EVENT_COLUMNS = ["start", "end", "peak_time", "wall_start", "wall_end", "wall_peak"]
EVENT_COLUMNS += ["first_frame", "last_frame", "peak_frame", "score", *TILE_COLUMNS]


def wall_time(seconds: float | None) -> str | None:
    """Return seconds since 1970 as a local time with its offset, by ISO 8601."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")


def first_record(score: FrameScore) -> dict[str, Any]:
    """Return what is known when an event begins."""
    return {
        "frame": score.number,
        "time": round(score.time, 3),
        "wall_time": wall_time(score.wall),
        "score": score.smoothed,
        "tile": list(score.tile) if score.tile else None,
    }


def event_record(event: Event) -> dict[str, Any]:
    """Return the record of an event, its keys the columns of its table, the tile as one."""
    start, end, peak = map(wall_time, event.wall)
    return {
        "start": round(event.start, 3),
        "end": round(event.end, 3),
        "peak_time": round(event.peak_time, 3),
        "wall_start": start,
        "wall_end": end,
        "wall_peak": peak,
        "first_frame": event.first,
        "last_frame": event.last,
        "peak_frame": event.peak,
        "score": event.score,
        "tile": event.tile,
    }


def frame_record(score: FrameScore, threshold: float) -> dict[str, Any]:
    """Return the record of a frame, its keys the columns of its table, the tile as one."""
    return {
        "frame": score.number,
        "time": round(score.time, 3),
        "wall_time": wall_time(score.wall),
        "pred_score": score.score,
        "pred_label": int(score.smoothed > threshold),
        "smoothed_score": score.smoothed,
        "raw_score": score.raw,
        "tile": list(score.tile) if score.tile else None,
    }


def event_sentence(event: Event) -> str:
    """Return an event as a line."""
    where = f", tile at {event.tile[0]},{event.tile[1]}" if event.tile else ""
    day = wall_time(event.wall[0])
    day = f"{day}  " if day else ""
    return (
        f"{day}{event.start:.2f}-{event.end:.2f} s  score {event.score:.3f} at "
        f"{event.peak_time:.2f} s{where}"
    )


class Counts:
    """Counts the frames that pass by, and the events found in them."""

    def __init__(self) -> None:
        self.frames = self.events = 0
        self.seconds = 0.0
        self._began = self._ended = time.monotonic()

    def watch(self, scores: Iterator[FrameScore]) -> Iterator[FrameScore]:
        """Pass scores on."""
        for score in scores:
            self.frames += 1
            self.seconds = score.time
            self._ended = time.monotonic()
            yield score

    def line(self, live: bool, written: Sequence[Path], doubt: str) -> str:
        """Return a summary in a line; how fast it went is not told of a live stream.

        ``doubt`` is what may be wrong with it, or "".
        """
        events = plural(self.events, "event") if self.events else "no events"
        frames = "1 frame" if self.frames == 1 else f"{self.frames:,} frames"
        speed = self.frames / max(self._ended - self._began, 1e-9)
        parts = [
            f"{frames} of {self.seconds:.1f} s, {events}",
            doubt,
            "" if live else f"{speed:,.{0 if speed >= 10 else 1}f} frames a second",
            "wrote " + ", ".join(map(str, written)) if written else "",
        ]
        return "; ".join(filter(None, parts))
