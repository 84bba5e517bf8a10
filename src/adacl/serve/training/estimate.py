"""Estimate how long a training would take here, in a process of its own.

``python -m adacl.serve.training.estimate JSON``, where the JSON holds the fields of :class:`Plan`,
prints the answer of ``POST /v1/estimate``. Made pictures of the size that is asked for are trained
on for some steps.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.requests import Request

from adacl.config import Config
from adacl.imaging.tiles import Tiling
from adacl.serve.problems import ProblemError
from adacl.serve.training.process import begun, give_way

IMAGES = 24
LONGEST = 1024
"""Larger pictures are not made; networks learn from crops, tiles or small copies of them."""


MOST_SECONDS = 90.0
MOST_KEPT = 100


@dataclass(frozen=True)
class Plan:
    """A training: how many pictures of which size, and how they are learnt from."""

    images: int
    height: int
    width: int
    epochs: int
    image_size: tuple[int, int] | None
    tile: tuple[int, int] | None
    config: dict[str, Any]


class Estimates:
    """Makes estimates, one at a time, and remembers them."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._busy = asyncio.Lock()

    async def of(self, plan: Plan) -> str:
        """Return how long a training would take, as JSON, measured where it is not known.

        Raises
        ------
        ProblemError
            503 if another measurement is under way, 422 if such a training is not possible, 504 if
            it takes too long to tell.
        """
        asked = json.dumps(asdict(plan))
        if asked in self._known:
            return self._known[asked]
        if self._busy.locked():
            raise ProblemError(
                503, "another estimate is being made; try again", headers={"Retry-After": "2"}
            )
        async with self._busy:
            found = await _measured(asked)
        while len(self._known) >= MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._known[asked] = found
        return found


async def while_connected(request: Request, work: Coroutine[Any, Any, str]) -> str:
    """Return what work does, and end it if the client leaves before.

    Raises
    ------
    ProblemError
        400 if the client left.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ProblemError(400, "the client left before the answer")
    finally:
        working.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _measured(asked: str) -> str:
    process = await begun("adacl.serve.training.estimate", asked, asyncio.subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(MOST_SECONDS):
            found = (await process.stdout.read()).decode()
    except TimeoutError:
        raise ProblemError(504, "the machine is too busy for an estimate") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if not found:
        raise ProblemError(422, "such a training is not possible, or cannot be estimated")
    return found


def estimate(plan: Plan) -> dict[str, Any]:
    """Return the seconds of the training, and what they are made of."""
    started = time.perf_counter()
    from adacl.data.training_set import probe_files, samples_of_files
    from adacl.training.pace import epoch_seconds
    from adacl.training.splits import networks_to_train

    config = Config.from_dict(plan.config, ()).replace(training__epochs=plan.epochs)
    dense = config.network.output == "map"
    tiling = Tiling(*plan.tile) if plan.tile else None
    with tempfile.TemporaryDirectory(prefix="adacl-") as folder:
        files = probe_files(_pictures(Path(folder), plan.height, plan.width), "fail")
        samples, _, _ = samples_of_files(files, tiling, plan.image_size, "fail", dense, None)
        begun = time.perf_counter() - started
        tiles = tiling.count(plan.height, plan.width) if tiling else 1
        epoch = epoch_seconds(samples, plan.images, config, tiles)
    networks = networks_to_train(plan.images, config)
    return {
        "seconds": round(begun + networks * plan.epochs * epoch, 1),
        "epoch_seconds": round(epoch, 2),
        "epochs": plan.epochs,
        "networks": networks,
    }


def _pictures(folder: Path, height: int, width: int) -> list[Path]:
    """Write pictures of blurred noise."""
    scale = min(1.0, LONGEST / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    random = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(IMAGES)]
    for path in paths:
        noise = random.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(noise).resize(size).save(path, compress_level=1)
    return paths


if __name__ == "__main__":
    give_way()
    print(json.dumps(estimate(Plan(**json.loads(sys.argv[1])))))
