"""What ``adacl video score`` tells while it runs: on stderr, to a program, to a web address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from adacl.cli.support.progress import say
from adacl.cli.support.video_records import first_record, wall_time

if TYPE_CHECKING:
    from adacl.video.changes import Change
    from adacl.video.frame_scores import FrameScore
    from adacl.video.notices import Courier

LASTING = {"back": "away_seconds", "frozen": "frozen_seconds", "unfrozen": "frozen_seconds"}
LASTING |= {"behind": "behind_seconds", "caught_up": "behind_seconds"}


OTHER_LIGHT = "the light was not as learnt, see the warning"
FAR_OFF = "the light was so far off that anomalies may be missed, see the warning"


class VideoNotices:
    """Tells when an event begins and ends, and of changes of the camera.

    Parameters
    ----------
    command, webhook
        Where to, if anywhere.
    facts
        What every notice says beside its own.
    spoken
        Whether the beginning and the end of an event are said on stderr.

    Attributes
    ----------
    doubt : str
        What the light of the frames seen so far leaves in doubt, or "".

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
        self.doubt = ""
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
            day = wall_time(score.wall)
            since = f"{score.time:.1f} s" + (f", {day}" if day else "")
            say(f"above the threshold since {since}")
        self._tell("started", number=self.number, **first_record(score))

    def ended(self, record: dict[str, Any]) -> None:
        """Tell of an event that is over."""
        if self.spoken:
            day = record["wall_end"]
            say(f"the event is over, at {record['end']:.1f} s" + (f", {day}" if day else ""))
        self._tell("ended", number=self.number, **record)

    def changed(self, change: Change) -> None:
        """Tell of a change of the camera."""
        if change.far_off:
            self.doubt = FAR_OFF
        elif change.kind == "light":
            self.doubt = self.doubt or OTHER_LIGHT
        facts: dict[str, Any] = {"wall_time": wall_time(change.wall)}
        if change.time is not None:
            facts["time"] = round(change.time, 3)
        if lasting := LASTING.get(change.kind):
            facts[lasting] = round(change.seconds, 1)
        if change.dropped:
            facts["dropped"] = change.dropped
        if change.remark:
            facts["remark"] = change.remark
        self._tell(change.kind, **facts)

    def _tell(self, kind: str, **facts: Any) -> None:
        for courier in self._couriers:
            courier.tell({"kind": kind, **self.facts, **facts})
