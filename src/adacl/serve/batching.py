"""Score waiting images in batches, in threads, and return the results to the event loop."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from adacl.data.image_files import NoMemoryError
from adacl.data.images import Decoded
from adacl.deploy.scorer import Scorer
from adacl.errors import ImageError
from adacl.explain.heatmap import resized, to_png
from adacl.explain.maps import anomaly_map
from adacl.imaging.spec import Array
from adacl.model.large_images import Window
from adacl.model.scoring import ImageScore, ScoringModel
from adacl.serve.counters import Metrics
from adacl.serve.limits import Limits
from adacl.serve.models import Served
from adacl.serve.problems import ProblemError
from adacl.serve.uploads import Upload

LONGEST_MAP = 1024
"""Side of an anomaly map, at most; larger ones are made smaller."""
UNKNOWN_SECONDS = 0.01
"""Seconds assumed for an image, until they are measured."""
SHARE = 0.1
"""Weight of the last batch in the average."""
BATCH_SECONDS = 0.02
"""Seconds of work that a thread takes at once, about."""
PATIENCE = 0.01
"""Seconds of work that are left to the busy threads. A further one would slow them down for a
while, as all share Python's interpreter."""


class Heat(NamedTuple):
    """An anomaly map as a PNG, and where it peaks (fractions of height and width)."""

    png: bytes
    peak: tuple[float, float]


class Scored(NamedTuple):
    """The score of an image, its size as given, and its anomaly map if asked for."""

    score: ImageScore
    height: int
    width: int
    heat: Heat | None


Outcome = Scored | ImageError


class Connection(Protocol):
    """The way back to a client."""

    @property
    def gone(self) -> bool:
        """Whether the client has left; may be asked from any thread."""


@dataclass(eq=False, slots=True)
class Ticket:
    """The files of one request, on their way through the queue.

    Parameters
    ----------
    served
        What scores them.
    with_map
        Whether anomaly maps are wanted.
    files
        The images.
    connection
        Tells whether the client has left.
    done
        Receives one outcome a file; cancelled when the time is up.
    threshold
        Regions are those above it; None for the model's.
    """

    served: Served
    with_map: bool
    files: list[Upload]
    connection: Connection
    done: asyncio.Future[list[Outcome]]
    threshold: float | None = None
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    @property
    def dropped(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.done.done() or self.connection.gone


Key = tuple[Served, bool]
Item = tuple[Ticket, int]


class Batcher:
    """A bounded queue for each model, with and without anomaly maps, and threads that empty them.

    Parameters
    ----------
    limits
        How many images may wait, and how large they may be.
    metrics
        Is told of batches.
    workers
        Threads.
    """

    def __init__(self, limits: Limits, metrics: Metrics, workers: int) -> None:
        self.waiting = 0
        self._limits = limits
        self._metrics = metrics
        self._workers = workers
        self._queues: dict[Key, deque[Item]] = {}
        self._seconds: dict[Key, float] = {}
        self._ready = threading.Condition()
        self._closing = False
        self._idle = 0
        self._nudge_due = False
        self._loop: asyncio.AbstractEventLoop
        self._threads = [
            threading.Thread(target=self._work, name=f"score-{number}", daemon=True)
            for number in range(workers)
        ]

    def start(self) -> None:
        """Begin to work; called in the event loop that is to receive the results."""
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Score the waiting images, then end the threads."""
        with self._ready:
            self._closing = True
            self._ready.notify_all()
        for thread in self._threads:
            thread.join()

    def wait(self) -> float:
        """Return the seconds until all waiting images are done, at the rate measured so far."""
        seconds = [
            len(items) * self._seconds.get(key, UNKNOWN_SECONDS)
            for key, items in list(self._queues.items())
        ]
        return sum(seconds) / self._workers

    def submit(self, ticket: Ticket) -> None:
        """Put the files of a request into the queue.

        Raises
        ------
        ProblemError
            503 if there is no room, or they would not be scored in time.
        """
        key = (ticket.served, ticket.with_map)
        with self._ready:
            wait = self.wait()
            room = self._limits.waiting - self.waiting
            if len(ticket.files) > room or wait > self._limits.seconds:
                raise ProblemError(
                    503,
                    f"{self.waiting} images are waiting already; try again later",
                    headers={"Retry-After": str(max(1, math.ceil(wait)))},
                )
            if not self._nudge_due:
                self._nudge_due = True
                self._loop.call_later(PATIENCE, self._nudge)
            self._queues.setdefault(key, deque()).extend(
                (ticket, number) for number in range(len(ticket.files))
            )
            self.waiting += len(ticket.files)
            self._wake()

    def _work(self) -> None:
        while batch := self._take():
            key, items = batch
            alive: list[Item] = []
            dropped: list[Item] = []
            for item in items:
                (dropped if item[0].dropped else alive).append(item)
            started = time.perf_counter()
            outcomes = self._outcomes(key, alive)
            if alive:
                spent = (time.perf_counter() - started) / len(alive)
                before = self._seconds.get(key, spent)
                self._seconds[key] = before + SHARE * (spent - before)
            self._metrics.batch(len(alive), len(dropped))
            self._loop.call_soon_threadsafe(_deliver, alive, outcomes)
            if dropped:
                self._loop.call_soon_threadsafe(_deliver, dropped, [_left() for _ in dropped])

    def _take(self) -> tuple[Key, list[Item]] | None:
        with self._ready:
            while not self._queues:
                if self._closing:
                    return None
                self._idle += 1
                self._ready.wait()
                self._idle -= 1
            key = next(iter(self._queues))
            queue = self._queues.pop(key)
            seconds = self._seconds.get(key, UNKNOWN_SECONDS)
            most = 1 if key[1] else key[0].scorer.at_once
            count = max(1, min(most, int(BATCH_SECONDS / seconds)))
            items = [queue.popleft() for _ in range(min(count, len(queue)))]
            if queue:
                self._queues[key] = queue  # behind the other models
                self._wake()
            self.waiting -= len(items)
            return key, items

    def _wake(self) -> None:
        """Wake a thread if there is work for it; the threads that are busy may do it soon."""
        if self._idle and (self._idle == self._workers or self.wait() > PATIENCE):
            self._ready.notify()

    def _nudge(self) -> None:
        """Wake a thread if images still wait: the others may be slower than expected."""
        self._nudge_due = False
        with self._ready:
            if self._queues:
                self._ready.notify()

    def _outcomes(self, key: Key, items: list[Item]) -> list[Outcome | Exception]:
        """Score images; if that fails, score them one by one, so that each fails alone."""
        try:
            return [*self._scored(key, items)]
        except Exception as error:
            if len(items) == 1:
                ((ticket, number),) = items
                short = isinstance(error, MemoryError)
                return [NoMemoryError(ticket.files[number].name) if short else error]
            return [outcome for item in items for outcome in self._outcomes(key, [item])]

    def _scored(self, key: Key, items: list[Item]) -> list[Outcome]:
        served, with_map = key
        found: dict[int, Outcome] = {}
        images: dict[int, Decoded] = {}
        for index, (ticket, number) in enumerate(items):
            name, content = ticket.files[number]
            try:
                images[index] = served.scorer.decode(name, content, self._limits.pixels)
            except ImageError as error:
                found[index] = error
        for threshold in dict.fromkeys(items[index][0].threshold for index in images):
            alike = {n: image for n, image in images.items() if items[n][0].threshold == threshold}
            pixels = [image.pixels for image in alike.values()]
            scores = served.scorer.score_decoded(pixels, threshold)
            for (index, image), score in zip(alike.items(), scores, strict=True):
                heat = _heat(items[index][0], image.pixels) if with_map else None
                remarked = score.with_remark(image.remark)
                found[index] = Scored(remarked, image.height, image.width, heat)
        return [found[index] for index in range(len(items))]


def _left() -> ProblemError:
    """Return a new error: a shared one would keep every frame it was raised in, bodies included."""
    return ProblemError(400, "the client left")


class _Wanted(ScoringModel):
    """A scorer that stops when nobody waits for its result any more."""

    def __init__(self, ticket: Ticket) -> None:
        self.header = ticket.served.scorer.header
        self._ticket = ticket

    def raw(self, samples: Array) -> Array:
        return self._scorer().raw(samples)

    def look(self, images: Array, window: Window | None) -> Array:
        return self._scorer().look(images, window)

    def _scorer(self) -> Scorer:
        if self._ticket.dropped:
            raise _left()
        return self._ticket.served.scorer


def _heat(ticket: Ticket, pixels: Array) -> Heat:
    found = anomaly_map(_Wanted(ticket), pixels)
    row, column = np.unravel_index(found.argmax(), found.shape)
    peak = (float(row + 0.5) / found.shape[0], float(column + 0.5) / found.shape[1])
    scale = min(1.0, LONGEST_MAP / max(found.shape))
    if scale < 1:
        found = resized(found, round(found.shape[0] * scale), round(found.shape[1] * scale))
    return Heat(to_png(found, ticket.served.scorer.header.map_scale), peak)


def _deliver(items: list[Item], outcomes: Sequence[Outcome | Exception]) -> None:
    for (ticket, number), outcome in zip(items, outcomes, strict=True):
        if ticket.done.done():
            continue
        if isinstance(outcome, Exception) and not isinstance(outcome, ImageError):
            ticket.done.set_exception(outcome)
            continue
        ticket.outcomes[number] = outcome
        if len(ticket.outcomes) == len(ticket.files):
            ticket.done.set_result([ticket.outcomes[n] for n in range(len(ticket.files))])
