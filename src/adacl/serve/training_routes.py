"""``/v1/trainings``."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from adacl.data.arrays import SMALLEST_SIDE
from adacl.serve.limits import Limits
from adacl.serve.problems import ProblemError
from adacl.serve.trainings import Reception, Trainings, unavailable
from adacl.serve.uploads import Memory, Parts, Reservation, chunks, media_type

__all__ = ["routes"]

MOST_EPOCHS = 1000
LONGEST_SIDE = 512
NAME = r"^\w[\w .-]{0,63}$"
SIZE = r"^\d{1,3}(x\d{1,3})?$"


def routes(trainings: Trainings, limits: Limits, memory: Memory) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trainings", tags=["trainings"])

    @router.post("", status_code=202, summary="Train a model")
    async def train(
        request: Request,
        name: Annotated[str, Query(pattern=NAME)],
        epochs: Annotated[int, Query(ge=1, le=MOST_EPOCHS)] = 10,
        image_size: Annotated[str | None, Query(pattern=SIZE)] = None,
        tile: Annotated[str | None, Query(pattern=SIZE)] = None,
    ) -> Response:
        reason = unavailable()
        if reason is not None:
            raise ProblemError(501, f"models cannot be trained here: {reason}")
        if media_type(request.headers) != "multipart/form-data":
            raise ProblemError(415, "send the normal images as multipart/form-data")
        sizes = _size("image_size", image_size), _size("tile", tile)
        reception = trainings.begin(name, epochs, *sizes)
        try:
            async with asyncio.timeout(limits.training_seconds), reception:
                await receive(request, reception)
                training = await reception.complete()
        except TimeoutError:
            raise ProblemError(408, "the images did not arrive in time") from None
        content = json.dumps(trainings.describe(training))
        headers = {"Location": f"/v1/trainings/{training.id}"}
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

    @router.get("", summary="All trainings, the latest first")
    async def list_trainings() -> Response:
        return _json({"trainings": [trainings.describe(t) for t in trainings.shown()]})

    @router.get("/{identity}", summary="One training")
    async def get_training(identity: str) -> Response:
        return _json(trainings.describe(trainings.get(identity)))

    @router.delete(
        "/{identity}", status_code=204, summary="Cancel a training, or forget one that is over"
    )
    async def delete_training(identity: str) -> Response:
        await trainings.remove(trainings.get(identity))
        return Response(status_code=204)

    return router


def _json(content: object) -> Response:
    return Response(json.dumps(content), media_type="application/json")


def _size(name: str, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sides = [int(side) for side in text.split("x")]
    if not all(SMALLEST_SIDE <= side <= LONGEST_SIDE for side in sides):
        raise ProblemError(400, f"{name}: need {SMALLEST_SIDE} to {LONGEST_SIDE} pixels a side")
    return sides[0], sides[-1]
