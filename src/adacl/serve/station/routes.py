"""``/v1/feedback`` and ``/v1/station``."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from adacl.serve.limits import Limits
from adacl.serve.models import Models
from adacl.serve.problems import ProblemError
from adacl.serve.uploads import Memory, Reservation, chunks, media_type

if TYPE_CHECKING:
    from adacl.serve.station.writer import Station

PATH = "/v1/feedback"
MOST_BYTES = 8192
LONGEST_NOTE = 1000
REQUEST = re.compile("[0-9a-f]{16}")
NOT_KEPT = "this service keeps no log; start it with --log FILE"


def add(
    app: FastAPI, station: Station | None, models: Models, limits: Limits, memory: Memory
) -> None:
    """Add the routes to an application."""

    @app.post(PATH, tags=["station"], status_code=201, summary="Say what an image really was")
    async def feedback(request: Request) -> Response:
        if station is None:
            raise ProblemError(501, NOT_KEPT)
        if media_type(request.headers) != "application/json":
            raise ProblemError(415, "send the feedback as application/json")
        late = ProblemError(408, "the body did not arrive in time")
        try:
            async with asyncio.timeout(limits.seconds):
                with Reservation(memory) as reservation:
                    body = chunks(request.headers, request.receive, MOST_BYTES, reservation)
                    given = _checked(b"".join([chunk async for chunk in body]))
                late = ProblemError(
                    503, "the log is busy; try again later", headers={"Retry-After": "5"}
                )
                time = await station.tell(**given)
        except TimeoutError:
            raise late from None
        if time is None:
            raise ProblemError(404, "no such answer in the log")
        return Response(json.dumps({**given, "time": time}), 201, media_type="application/json")

    @app.get("/v1/station", tags=["station"], summary="Whether scores have moved")
    async def status() -> Response:
        drift = {served.name: station.drift(served) for served in models} if station else {}
        content = {"log": station is not None, "drift": drift}
        return Response(json.dumps(content), media_type="application/json")


def _checked(body: bytes) -> dict[str, Any]:
    """Return the fields of a body.

    Raises
    ------
    ProblemError
        400 if it is not as it should be.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise ProblemError(400, "the body is not sound JSON") from None
    if not isinstance(given, dict):
        raise ProblemError(400, "the body must be a JSON object")
    known = {"request", "result", "true_label", "note"}
    if unknown := sorted(given.keys() - known):
        shown = "".join(c for c in unknown[0] if c.isprintable())[:40]
        raise ProblemError(400, f"{shown}: unknown; known are {', '.join(sorted(known))}")
    request, result = given.get("request"), given.get("result", 0)
    label, note = given.get("true_label"), given.get("note", "")
    if not isinstance(request, str) or not REQUEST.fullmatch(request):
        raise ProblemError(400, "request: need the one of the answer, 16 hexadecimal digits")
    if type(result) is not int or not 0 <= result < 1 << 31:
        raise ProblemError(400, "result: need the number of the result in the answer, from 0")
    if type(label) is not int or label not in (0, 1):
        raise ProblemError(400, "true_label: need 0 for normal or 1 for anomalous")
    if not isinstance(note, str) or len(note) > LONGEST_NOTE:
        raise ProblemError(400, f"note: need a text of at most {LONGEST_NOTE} characters")
    printable = "".join(c for c in note if c.isprintable())
    return {"request": request, "result": result, "true_label": label, "note": printable}
