"""What ``adacl video score`` tells while it runs: on stderr, to a program, to a web address."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from adacl.cli.support.progress import say

if TYPE_CHECKING:
    from adacl.video.alarms import Event
    from adacl.video.frame_scores import FrameScore
    from adacl.video.notices import Courier
    from adacl.video.reconnect import Change


class VideoNotices:
    """Tells when an event begins and ends, and when a live stream is lost and back.

    Parameters
    ----------
    command, webhook
        Where to, if anywhere.
    facts
        What every notice says beside its own.
    spoken
        Whether the beginning of an event is said on stderr.

    Raises
    ------
    ConfigError
        If one of the two cannot be.
    """

    def __init__(
        self, command: str | None, webhook: str | None, facts: dict[str, Any], spoken: bool
    ) -> None:
        self.facts = facts
        self.spoken = spoken
        self.number = 0
        self._couriers: list[Courier] = []
        if command is not None or webhook is not None:
            from adacl.video.notices import Command, Courier, Webhook

            if command is not None:
                self._couriers.append(Courier(Command(command)))
            if webhook is not None:
                self._couriers.append(Courier(Webhook(webhook)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for courier in self._couriers:
            courier.close()

    def started(self, score: FrameScore) -> None:
        """Tell that a score has passed the threshold."""
        self.number += 1
        if self.spoken:
            say(f"above the threshold since {score.time:.1f} s")
        self._tell("started", number=self.number, **first_record(score))

    def ended(self, record: dict[str, Any]) -> None:
        """Tell of an event that is over."""
        self._tell("ended", number=self.number, **record)

    def changed(self, change: Change) -> None:
        """Tell that the stream is lost or back."""
        away = {"away_seconds": round(change.seconds, 1)} if change.kind == "back" else {}
        self._tell(change.kind, wall_time=wall_time(change.wall), **away)

    def _tell(self, kind: str, **facts: Any) -> None:
        for courier in self._couriers:
            courier.tell({"kind": kind, **self.facts, **facts})


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
