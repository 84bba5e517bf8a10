"""The timeline of a scored video: one HTML file with its curve, frames and worst events."""

from __future__ import annotations

import base64
import heapq
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from numpy.typing import NDArray
from PIL import Image

from adacl._version import __version__
from adacl.data.video import Frame
from adacl.files import atomic_file
from adacl.report.subject import readable
from adacl.video.alarms import Event
from adacl.video.annotated_copy import draw
from adacl.video.frame_scores import FrameScore
from adacl.video.model import VideoModel

POINTS = 2000
PICTURES = 120
EVENTS = 12
THUMBNAIL = (240, 180)

Picture = NDArray[np.uint8]


@dataclass
class Timeline:
    """Gathers what the page shows while the scores go by.

    Its size has a bound, but for a line for each event.

    Parameters
    ----------
    model
        The model that scores.
    title
        Heading of the page.
    """

    model: VideoModel
    title: str
    _points: list[tuple[float, float]] = field(default_factory=list, init=False)
    _pictures: list[tuple[float, bytes]] = field(default_factory=list, init=False)
    _worst: list[tuple[float, int, float, bytes]] = field(default_factory=list, init=False)
    _bin: list[tuple[float, float]] = field(default_factory=list, init=False)
    _per_point: int = field(default=1, init=False)
    _per_picture: int = field(default=1, init=False)
    _peak: tuple[float, int, Picture, FrameScore] | None = field(default=None, init=False)
    _frames: int = field(default=0, init=False)
    _last: float = field(default=0.0, init=False)

    def watch(self, frames: Iterable[Frame], scores: Iterable[FrameScore]) -> Iterator[FrameScore]:
        """Pass scores on, and gather them with their frames, in colour."""
        for score, frame in zip(scores, frames, strict=False):
            self._point(score)
            if self._frames % self._per_picture == 0:
                self._pictures.append((score.time, _jpeg(frame.image)))
                if len(self._pictures) > PICTURES:
                    self._pictures = self._pictures[::2]
                    self._per_picture *= 2
            self._event(frame, score)
            self._frames += 1
            self._last = score.time
            yield score
        self._close_event()

    def _point(self, score: FrameScore) -> None:
        """Keep the highest score of every few frames."""
        self._bin.append((score.time, score.smoothed))
        if len(self._bin) == self._per_point:
            self._points.append(max(self._bin, key=lambda point: point[1]))
            self._bin.clear()
        if len(self._points) > POINTS:
            pairs = zip_longest(self._points[::2], self._points[1::2], fillvalue=(0.0, -np.inf))
            self._points = [max(pair, key=lambda point: point[1]) for pair in pairs]
            self._per_point *= 2

    def _event(self, frame: Frame, score: FrameScore) -> None:
        peak = self._peak
        if peak and (
            score.segment != peak[3].segment or score.smoothed <= self.model.alarm.release
        ):
            self._close_event()
            peak = None
        if score.smoothed > self.model.alarm.threshold and (not peak or score.smoothed > peak[0]):
            self._peak = score.smoothed, score.number, frame.image, score

    def _close_event(self) -> None:
        if self._peak is None:
            return
        value, number, image, score = self._peak
        self._peak = None
        if len(self._worst) < EVENTS or value > self._worst[0][0]:
            curve = [y for x, y in self._points if x <= score.time][-250:]
            picture = _jpeg(draw(image, score, curve, self.model), (480, 480))
            entry = (value, number, score.time, picture)
            heapq.heappush(self._worst, entry)
            if len(self._worst) > EVENTS:
                heapq.heappop(self._worst)

    def write(self, path: Path, events: list[Event]) -> None:
        """Write the page.

        Parameters
        ----------
        path
            File to write.
        events
            The events that were found.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        pictures = {number: _url(image) for _, number, _, image in self._worst}
        peaks = [(time, image) for _, _, time, image in self._worst]
        worst = sorted(events, key=lambda event: -event.score)[:EVENTS]
        environment = Environment(loader=PackageLoader("adacl.report"), autoescape=True)
        data: dict[str, Any] = {
            "points": [(round(x, 2), round(y, 4)) for x, y in [*self._points, *self._bin]],
            "pictures": [(round(x, 2), _url(image)) for x, image in sorted(self._pictures + peaks)],
            "events": [(round(e.start, 2), round(e.end, 2)) for e in events],
            "threshold": self.model.alarm.threshold,
            "end": self._last,
        }
        html = environment.get_template("timeline.html.j2").render(
            title=readable(self.title),
            data=json.dumps(data),
            events=events,
            worst=[(event, pictures.get(event.peak)) for event in worst],
            day_times=any(event.wall[0] is not None for event in events),
            day_time=_day_time,
            frames=self._frames,
            seconds=self._last,
            notes=self.model.alarm.notes(),
            version=__version__,
        )
        with atomic_file(path, "w") as file:
            file.write(html)


def _day_time(seconds: float | None) -> str:
    """Return seconds since 1970 as a local date and time of day with its offset."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")


def _jpeg(image: Picture, size: tuple[int, int] = THUMBNAIL) -> bytes:
    small = Image.fromarray(image)
    small.thumbnail(size)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _url(image: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(image).decode()
