"""``/v1/trainings``."""

from __future__ import annotations

import asyncio
import json
from enum import Enum
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from adacl.data.arrays import SMALLEST_SET
from adacl.serve.limits import Limits
from adacl.serve.problems import ProblemError
from adacl.serve.training.estimate import Estimates, Plan, while_connected
from adacl.serve.training.queue import Trainings, unavailable
from adacl.serve.training.reception import Reception
from adacl.serve.uploads import Memory, Parts, Reservation, chunks, media_type

PATH = "/v1/trainings"
TAGS: list[str | Enum] = ["trainings"]

Preset = Literal["paper", "inspect", "accurate", "aligned", "varied"]
MOST_EPOCHS = 1000
MOST_IMAGES = 1_000_000
LONGEST_SIDE = 20_000
"""Of a training that an estimate is for."""
NAME = r"^\w[\w .-]{0,63}$"
SIZE = r"^([89]|[1-9]\d{1,2})(x([89]|[1-9]\d{1,2}))?$"
"""HEIGHTxWIDTH, or one number for both: 8 to 999."""


def add(app: FastAPI, trainings: Trainings, limits: Limits, memory: Memory) -> None:
    """Add the routes to an application."""
    estimates = Estimates()

    @app.post(PATH, tags=TAGS, status_code=202, summary="Train a model")
    async def train(
        request: Request,
        name: Annotated[str, Query(pattern=NAME)],
        epochs: Annotated[int | None, Query(ge=1, le=MOST_EPOCHS)] = None,
        preset: Annotated[Preset | None, Query()] = None,
        image_size: Annotated[str | None, Query(pattern=SIZE)] = None,
        tile: Annotated[str | None, Query(pattern=SIZE)] = None,
    ) -> Response:
        reason = unavailable()
        if reason is not None:
            raise ProblemError(501, f"models cannot be trained here: {reason}")
        if media_type(request.headers) != "multipart/form-data":
            raise ProblemError(415, "send the normal images as multipart/form-data")
        reception = trainings.begin(name, preset, epochs, _size(image_size), _size(tile))
        try:
            async with asyncio.timeout(limits.training_seconds), reception:
                await receive(request, reception)
                training = await reception.complete()
        except TimeoutError:
            raise ProblemError(408, "the images did not arrive in time") from None
        content = json.dumps(trainings.describe(training))
        headers = {"Location": f"{PATH}/{training.id}"}
        return Response(content, 202, headers, "application/json")

    async def receive(request: Request, reception: Reception) -> None:
        headers = request.headers
        parts = Parts(headers["content-type"], limits.training_images, limits.body_bytes)
        with Reservation(memory) as reservation:
            async for chunk in chunks(headers, request.receive, limits.training_bytes, reservation):
                parts.feed(chunk)
                while parts.files:
                    upload = parts.files.pop(0)
                    await reception.take(upload)
                    reservation.free(len(upload.content))
        parts.finish()

    @app.post("/v1/estimate", tags=TAGS, summary="How long a training would take")
    async def estimate(
        request: Request,
        images: Annotated[int, Query(ge=SMALLEST_SET, le=MOST_IMAGES)],
        height: Annotated[int, Query(ge=1, le=LONGEST_SIDE)],
        width: Annotated[int, Query(ge=1, le=LONGEST_SIDE)],
        epochs: Annotated[int | None, Query(ge=1, le=MOST_EPOCHS)] = None,
        preset: Annotated[Preset | None, Query()] = None,
        image_size: Annotated[str | None, Query(pattern=SIZE)] = None,
        tile: Annotated[str | None, Query(pattern=SIZE)] = None,
    ) -> Response:
        reason = unavailable()
        if reason is not None:
            raise ProblemError(501, f"models cannot be trained here: {reason}")
        config = trainings.method(preset)
        plan = Plan(
            images,
            height,
            width,
            epochs or config.training.epochs,
            _size(image_size),
            _size(tile),
            config.to_dict(),
        )
        found = await while_connected(request, estimates.of(plan))
        return Response(found, media_type="application/json")

    @app.get(PATH, tags=TAGS, summary="All trainings, the latest first")
    async def list_trainings() -> Response:
        return _json({"trainings": [trainings.describe(t) for t in trainings.shown()]})

    @app.get(PATH + "/{identity}", tags=TAGS, summary="One training")
    async def get_training(identity: str) -> Response:
        return _json(trainings.describe(trainings.get(identity)))

    @app.delete(
        PATH + "/{identity}",
        tags=TAGS,
        status_code=204,
        summary="Cancel a training, or forget one that is over",
    )
    async def delete_training(identity: str) -> Response:
        await trainings.remove(trainings.get(identity))
        return Response(status_code=204)


def _json(content: object) -> Response:
    return Response(json.dumps(content), media_type="application/json")


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sides = [int(side) for side in text.split("x")]
    return sides[0], sides[-1]
