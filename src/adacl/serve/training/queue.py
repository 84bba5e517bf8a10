"""Trainings that clients ask for: queued, and run one at a time in a process."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import secrets
import shutil
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adacl.config import Config
from adacl.config.presets import preset
from adacl.errors import EXTRAS, AdaclError, DataError, missing_extra
from adacl.serve.limits import Limits
from adacl.serve.models import Models, Served
from adacl.serve.problems import ProblemError
from adacl.serve.training.process import begun
from adacl.serve.training.reception import Reception
from adacl.serve.training.record import Training, read_all, write

KILL_SECONDS = 10.0

log = logging.getLogger("adacl")


def unavailable() -> str | None:
    """Say why models cannot be trained here, or None if they can."""
    for module in (*EXTRAS["train"], *EXTRAS["export"]):
        if importlib.util.find_spec(module) is None:
            return str(missing_extra(ModuleNotFoundError(name=module)))
    return None


class Trainings:
    """All trainings, by the order they came in.

    Parameters
    ----------
    folder
        Holds a folder for each training. What was not finished there is taken up again, and
        finished models are served.
    models
        Receives the trained models.
    limits
        Those of the service.
    backend
        Runs the trained models.
    config
        How to train; by default the preset ``paper``.
    """

    def __init__(
        self, folder: Path, models: Models, limits: Limits, backend: str, config: Config | None
    ) -> None:
        self._folder = folder
        self._models = models
        self._limits = limits
        self._backend = backend
        self._config = config or preset("paper")
        self._all: dict[str, Training] = {}
        self._receiving: set[str] = set()
        self._saving = asyncio.Lock()
        self._queue: asyncio.Queue[Training] = asyncio.Queue()
        self._runner: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    def take_up(self) -> None:
        """Serve the models that an earlier service left, and put in line what it did not finish.

        Raises
        ------
        DataError
            If the folder cannot be read.
        """
        for training in read_all(self._folder):
            self._all[training.id] = training
            if training.state == "finished":
                self._serve_again(training)
            elif not training.over:
                training.state, training.notes = "queued", []  # they will be said again
                self._queue.put_nowait(training)

    def start(self) -> None:
        """Start working."""
        self._runner = asyncio.create_task(self._run_all())

    async def stop(self) -> None:
        """Stop the running training, which can be taken up again."""
        if self._runner is not None:
            self._runner.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._runner

    def count(self, state: str) -> int:
        """Return how many trainings are in a state."""
        return sum(training.state == state for training in list(self._all.values()))

    def shown(self) -> list[Training]:
        """Return the trainings that are not forgotten, the latest first."""
        return [training for training in reversed(self._all.values()) if not training.forgotten]

    def get(self, identity: str) -> Training:
        """Return a training.

        Raises
        ------
        ProblemError
            404 if there is none with that number.
        """
        training = self._all.get(identity)
        if training is None or training.forgotten:
            raise ProblemError(404, "no such training")
        return training

    def describe(self, training: Training) -> dict[str, Any]:
        """Return the fields of a training that clients see."""
        queued = [t.id for t in self._all.values() if t.state == "queued"]
        position = queued.index(training.id) + 1 if training.state == "queued" else None
        return training.describe(position)

    def begin(
        self,
        name: str,
        preset_name: str | None,
        epochs: int | None,
        image_size: tuple[int, int] | None,
        tile: tuple[int, int] | None,
    ) -> Reception:
        """Prepare to receive the images of a training.

        A preset takes the place of the service's own configuration; without a number of epochs
        it is that of the configuration.

        Raises
        ------
        ProblemError
            503 if as many wait as may, 409 if as many are kept as may be.
        """
        waiting = len(self._receiving) + sum(t.state == "queued" for t in self._all.values())
        if waiting >= self._limits.trainings_waiting:
            raise ProblemError(
                503,
                f"{waiting} trainings are waiting already; try again later",
                headers={"Retry-After": "60"},
            )
        if len(self._all) + len(self._receiving) >= self._limits.trainings:
            raise ProblemError(
                409,
                f"{len(self._all)} trainings are kept, which is the most; delete some that left "
                "no model",
            )
        config = self.method(preset_name)
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        training = Training(
            secrets.token_hex(8),
            name,
            epochs or config.training.epochs,
            image_size,
            tile,
            config.to_dict(),
            created,
            None if config.explicit is None else sorted(config.explicit),
        )
        folder, most_pixels = self._folder / training.id, self._limits.pixels
        return Reception(training, folder, most_pixels, self._receiving, self._add)

    def method(self, preset_name: str | None) -> Config:
        """Return how a training learns: by a preset, or as the service's configuration says."""
        return preset(preset_name) if preset_name else self._config

    async def remove(self, training: Training) -> None:
        """Cancel a training that is not over, forget one that is."""
        if training.over:
            training.forgotten = True
            if training.model is None:
                del self._all[training.id]
        else:
            running = training.state == "running"
            training.state = "cancelled"
            if running and self._process is not None:
                await _end(self._process)
            elif not running:
                await asyncio.to_thread(self._clear, training)
        await self._save(training)

    async def _add(self, training: Training) -> None:
        await asyncio.to_thread(write, self._folder / training.id, training)
        self._all[training.id] = training
        self._queue.put_nowait(training)

    async def _save(self, training: Training) -> None:
        """Write what is known of a training, or remove all of it where it is gone.

        One after the other, so that no folder is removed while a file is written there.
        """
        folder = self._folder / training.id
        async with self._saving:
            if training.id not in self._all:
                await asyncio.to_thread(shutil.rmtree, folder, True)
                return
            with contextlib.suppress(DataError):  # the disk is full: the state in memory holds
                await asyncio.to_thread(write, folder, training)

    def _serve_again(self, training: Training) -> None:
        try:
            self._serve(training, self._open(training))
        except AdaclError as error:
            training.state, training.model, training.error = "failed", None, str(error)
            log.warning("%s", error)

    def _open(self, training: Training) -> Served:
        folder = self._folder / training.id
        return Served(training.name, folder / "model.onnx", self._backend, folder / "model.adacl")

    def _serve(self, training: Training, served: Served) -> None:
        served.name = training.model = self._models.free_name(training.name)
        self._models.add(served)

    def _clear(self, training: Training) -> None:
        """Remove what only the training itself needed."""
        training.names = []
        for name in ("images", "checkpoints"):
            shutil.rmtree(self._folder / training.id / name, ignore_errors=True)

    async def _run_all(self) -> None:
        while True:
            training = await self._queue.get()
            if training.state != "queued":
                continue
            try:
                await self._run(training)
            except OSError as error:
                training.state, training.error = "failed", _cannot_run(error)
                log.warning("training %s: %s", training.id, training.error)
            except Exception:
                log.error("training %s\n%s", training.id, traceback.format_exc())
                training.state, training.error = "failed", "internal error"
            await asyncio.to_thread(self._clear, training)
            await self._save(training)

    async def _run(self, training: Training) -> None:
        training.state = "running"
        await self._save(training)
        folder = self._folder / training.id
        with (folder / "stderr.txt").open("wb") as errors:
            process = await begun("adacl.serve.training.worker", str(folder), errors)
        self._process = process
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                if training.state != "running":
                    break
                self._take(training, json.loads(line))
                await self._save(training)
            if training.state == "running":
                await process.wait()
        finally:
            await _end(process)
            self._process = None
        if training.state == "running":
            await self._conclude(training, process.returncode or 0)

    async def _conclude(self, training: Training, code: int) -> None:
        served = None
        if not code:
            try:
                served = await asyncio.to_thread(self._open, training)
            except AdaclError as error:
                training.error = str(error)
        if training.state != "running":  # cancelled meanwhile
            return
        if served is not None:
            self._serve(training, served)
            training.state = "finished"
            return
        training.state = "failed"
        training.error = training.error or (
            f"the training ended unexpectedly (exit code {code}); out of memory, perhaps"
        )

    @staticmethod
    def _take(training: Training, said: dict[str, Any]) -> None:
        if "stages" in said:
            training.stages = said["stages"]
        elif "epoch" in said:
            training.history.append(said["epoch"])
        elif "note" in said:
            training.notes.append(said["note"])
        elif "error" in said:
            training.error = said["error"]


def _cannot_run(error: OSError) -> str:
    """Say why a training cannot go on, without the path of its folder."""
    name = Path(error.filename or "").name or "its folder"
    return f"{name}: {error.strerror or error}; was its folder removed, or its disk? Train again"


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process, by force if need be."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(KILL_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
