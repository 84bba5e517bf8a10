"""Take answers for the log without waiting, and write them in a thread."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from adacl.serve.counters import Metrics
from adacl.serve.models import Models, Served
from adacl.serve.problems import ProblemError
from adacl.serve.station.drift import WINDOW, DriftWatch
from adacl.serve.station.records import Records, reason
from adacl.serve.uploads import Upload
from adacl.words import are, plural

MOST_WAITING = 10_000
MOST_BYTES = 256 << 20
"""Bytes of images that wait for their thumbnail and digest; further answers are kept without."""
GATHER_SECONDS = 0.1
MOST_AT_ONCE = 500
RETRY_SECONDS = 1.0
CLOSE_SECONDS = 5.0
THUMBNAIL = 128

log = logging.getLogger("adacl")


@dataclass(slots=True)
class Answered:
    """A file that was answered: its row, and the image while there is room for it."""

    served: Served
    row: dict[str, Any]
    content: bytes | None


@dataclass(slots=True)
class Told:
    """Feedback on an answer, and who waits for it to be kept."""

    request: str
    result: int
    true_label: int
    note: str
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[str | None]


class Station:
    """Keeps answers and feedback, and watches the scores of each model.

    Parameters
    ----------
    records
        Where to.
    metrics
        Is told what was kept and what was lost.
    thumbnails
        Whether to keep small copies of the images.
    """

    def __init__(self, records: Records, metrics: Metrics, thumbnails: bool) -> None:
        self._records = records
        self._metrics = metrics
        self._thumbnails = thumbnails
        self._watches: dict[str, DriftWatch] = {}
        self._waiting: deque[Answered | Told] = deque()
        self._bytes = 0
        self._ready = threading.Condition()
        self._closing = False
        self._give_up = float("inf")
        self._failing = False
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        metrics.watch_log(lambda: len(self._waiting))

    def start(self, models: Models) -> None:
        """Begin to write, and take up where an earlier service left the scores of the models."""
        for served in models:
            self._watch(served)
        self._thread.start()

    def close(self) -> None:
        """Write what waits, as far as the database takes it, and end."""
        with self._ready:
            self._closing = True
            self._give_up = time.monotonic() + CLOSE_SECONDS
            self._ready.notify()
        self._thread.join()
        self._records.close()

    def note(self, served: Served, rows: list[dict[str, Any]], files: list[Upload]) -> None:
        """Take the answer to a request; never waits, and counts what there is no room for."""
        with self._ready:
            idle = not self._waiting
            room = max(0, MOST_WAITING - len(self._waiting))
            for row, upload in zip(rows[:room], files, strict=False):
                content = upload.content
                if self._bytes + len(content) > MOST_BYTES:
                    self._waiting.append(Answered(served, row, None))
                    continue
                self._bytes += len(content)
                self._waiting.append(Answered(served, row, content))
            if idle:  # else it gathers or writes: to wake it for each answer costs more than both
                self._ready.notify()
        if len(rows) > room:
            self._metrics.log_dropped(len(rows) - room)

    async def tell(self, request: str, result: int, true_label: int, note: str) -> str | None:
        """Keep feedback on an answer, and return the time once it is kept.

        Returns
        -------
        time
            Or None, if there is no such answer.

        Raises
        ------
        ProblemError
            503 if it cannot be kept now.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str | None] = loop.create_future()
        with self._ready:
            if len(self._waiting) >= MOST_WAITING:
                raise _not_now()
            self._waiting.append(Told(request, result, true_label, note, loop, done))
            self._ready.notify()
        return await done

    def drift(self, served: Served) -> dict[str, Any]:
        """Return what is known of the scores of a model, as clients see it."""
        watch = self._watches.get(served.scorer.header.fingerprint)
        return (watch or DriftWatch(served.scorer.threshold)).describe()

    def moved(self, served: Served) -> str:
        """Say how the scores of a model have moved, or "" if they have not."""
        watch = self._watches.get(served.scorer.header.fingerprint)
        return watch.reason if watch and watch.state == "moved" else ""

    def _watch(self, served: Served) -> DriftWatch:
        fingerprint = served.scorer.header.fingerprint
        if fingerprint not in self._watches:
            watch = DriftWatch(served.scorer.threshold)
            try:
                for raw, digest in self._records.recent(fingerprint, WINDOW):
                    watch.add(raw, bytes.fromhex(digest) if digest else None)
            except SQLAlchemyError as error:
                log.warning("the log cannot be read (%s)", reason(error))
            self._watches[fingerprint] = watch
            self._metrics.watch_drift(served.name, watch)
        return self._watches[fingerprint]

    def _work(self) -> None:
        while batch := self._take():
            if self._failing and time.monotonic() > self._give_up:
                self._abandon(batch)
                return
            answers = [one for one in batch if isinstance(one, Answered)]
            rows = [self._completed(answer) for answer in answers]
            if rows:
                self._write(rows)
            for one in batch:
                if isinstance(one, Told):
                    self._tell(one)

    def _abandon(self, batch: list[Answered | Told]) -> None:
        """Give up this and all that waits: each try could take as long as a database is locked."""
        with self._ready:
            left = [*batch, *self._waiting]
            self._waiting.clear()
        for told in left:
            if isinstance(told, Told):
                told.loop.call_soon_threadsafe(_settle, told.done, _not_now())
        if answers := sum(isinstance(one, Answered) for one in left):
            self._lose(answers)

    def _lose(self, count: int) -> None:
        self._metrics.log_dropped(count)
        log.warning("%s %s missing in the log", plural(count, "answer"), are(count))

    def _take(self) -> list[Answered | Told]:
        with self._ready:
            while not self._waiting and not self._closing:
                self._ready.wait()
            if not self._closing and isinstance(self._waiting[-1], Answered):
                self._ready.wait_for(lambda: self._closing, GATHER_SECONDS)
            return [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]

    def _completed(self, answer: Answered) -> dict[str, Any]:
        """Return the row with what takes time: digest, thumbnail; and watch the score."""
        row = answer.row
        digest: bytes | None = None
        row["sha256"] = row["thumbnail"] = None
        if answer.content is not None:
            digest = hashlib.sha256(answer.content).digest()
            row["sha256"] = digest.hex()
            if self._thumbnails and row["error"] is None:
                row["thumbnail"] = thumbnail(answer.content)
            with self._ready:
                self._bytes -= len(answer.content)
            answer.content = None
        if row["raw_score"] is not None:
            watch = self._watch(answer.served)
            if watch.add(row["raw_score"], digest):
                self._announce(answer.served.name, watch)
        return row

    def _announce(self, name: str, watch: DriftWatch) -> None:
        if watch.state == "moved":
            self._metrics.drift_alarm(name)
            log.warning("%s: the scores have moved: %s", name, watch.reason)
        else:
            log.info(
                "%s: the scores are like those of normal images that it did not learn from", name
            )

    def _write(self, rows: list[dict[str, Any]]) -> None:
        while True:
            try:
                self._records.write(rows)
            except SQLAlchemyError as error:
                self._metrics.log_failed()
                lasting = not isinstance(error, OperationalError)
                if not self._failing or lasting:
                    log.warning("the log cannot be written (%s)", reason(error))
                self._failing = True
                if lasting or time.monotonic() > self._give_up:
                    self._lose(len(rows))
                    return
                time.sleep(RETRY_SECONDS)
                continue
            if self._failing:
                self._failing = False
                log.info("the log is written again")
            self._metrics.log_written(len(rows))
            return

    def _tell(self, told: Told) -> None:
        found: str | Exception | None
        try:
            found = self._records.tell(told.request, told.result, told.true_label, told.note)
        except SQLAlchemyError as error:
            log.warning("feedback cannot be written (%s)", reason(error))
            self._metrics.log_failed()
            found = _not_now()
        else:
            if found:
                self._metrics.told(told.true_label == 1)
        told.loop.call_soon_threadsafe(_settle, told.done, found)


def _settle(done: asyncio.Future[str | None], found: str | Exception | None) -> None:
    if done.done():
        return
    if isinstance(found, Exception):
        done.set_exception(found)
    else:
        done.set_result(found)


def _not_now() -> ProblemError:
    return ProblemError(
        503, "the log cannot be written now; try again later", headers={"Retry-After": "5"}
    )


def thumbnail(content: bytes) -> bytes | None:
    """Return a small JPEG of an image file that could be scored, or None if it cannot be shown."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.draft("RGB", (THUMBNAIL, THUMBNAIL))
            ImageOps.exif_transpose(image, in_place=True)
            if image.mode.startswith(("I", "F")):  # more than 8 bits: stretched to what is there
                levels = np.asarray(image, np.float32)
                levels = (levels - levels.min()) / max(float(np.ptp(levels)), 1e-9)
                small = Image.fromarray((255 * levels).astype(np.uint8))
            else:
                small = image.convert("RGB")
            small.thumbnail((THUMBNAIL, THUMBNAIL))
            file = io.BytesIO()
            small.save(file, "JPEG", quality=80)
            return file.getvalue()
    except Exception:  # Pillow raises almost anything
        return None
