"""``POST /v1/score``, as plain ASGI: what is asked most often passes no framework."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from adacl.config.sections import finite
from adacl.errors import ConfigError, ImageError
from adacl.model.scoring import record_of
from adacl.serve.batching import Batcher, Outcome, Ticket
from adacl.serve.counters import Metrics
from adacl.serve.limits import Limits
from adacl.serve.models import Models, Served
from adacl.serve.problems import SOON, ProblemError, unscored
from adacl.serve.uploads import Memory, Parts, Reservation, Upload, chunks, media_type, sent_name

if TYPE_CHECKING:
    from adacl.serve.station.writer import Station

PATH = "/v1/score"
KEPT = ("height", "width", "pred_score", "raw_score", "pred_label", "regions", "remark")
"""Fields of a result that the log keeps as they are."""
TRUTHS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Scoring:
    """Answers requests to score images; the fields are those of the service."""

    models: Models
    limits: Limits
    batcher: Batcher
    memory: Memory
    metrics: Metrics
    station: Station | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises
        ------
        ProblemError
            For every answer but 200.
        """
        if scope["method"] != "POST":
            raise ProblemError(405, "images are scored by POST", headers={"Allow": "POST"})
        started = time.perf_counter()
        served, threshold, with_map = self._query(scope["query_string"])
        loop, headers = asyncio.get_running_loop(), Headers(scope=scope)
        deadline = loop.time() + self.limits.seconds
        connection = scope["extensions"]["adacl"]["connection"]
        late = 408, "the body did not arrive in time"
        with Reservation(self.memory) as reservation:
            try:
                async with asyncio.timeout_at(deadline):
                    files = await self._files(headers, receive, reservation)
                    late = 504, "not scored in time; send fewer or smaller images"
                    done: asyncio.Future[list[Outcome]] = loop.create_future()
                    above = threshold if served.scorer.header.has_map else None
                    self.batcher.submit(Ticket(served, with_map, files, connection, done, above))
                    outcomes = await done
            except TimeoutError:
                raise ProblemError(*late) from None
        results = [
            self._result(served, threshold, upload.name, outcome)
            for upload, outcome in zip(files, outcomes, strict=True)
        ]
        content = {"model": served.name, "threshold": threshold, "results": results}
        if self.station is not None:
            content |= self._kept(self.station, served, threshold, files, results, started)
        _refuse_if_all_failed(results)
        body = json.dumps(content).encode()
        length = b"%d" % len(body)
        fields = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    def _query(self, text: bytes) -> tuple[Served, float, bool]:
        given = dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True)) if text else {}
        name = given.pop("model", None)
        threshold, with_map = given.pop("threshold", None), given.pop("anomaly_map", "false")
        if given:
            known = "model, threshold, anomaly_map"
            raise ProblemError(400, f"{next(iter(given))}: unknown; known are {known}")
        served = self.models.get(name)
        if with_map.lower() not in TRUTHS:
            raise ProblemError(400, f"anomaly_map: need true or false, got {with_map!r}")
        limit = served.scorer.threshold.value if threshold is None else _number(threshold)
        return served, limit, TRUTHS[with_map.lower()]

    async def _files(
        self, headers: Headers, receive: Receive, reservation: Reservation
    ) -> list[Upload]:
        limits, kind = self.limits, media_type(headers)
        body = chunks(headers, receive, limits.body_bytes, reservation)
        if kind == "multipart/form-data":
            parts = Parts(headers["content-type"], limits.files, limits.body_bytes)
            async for chunk in body:
                parts.feed(chunk)
            parts.finish()
            return parts.files
        if kind and kind != "application/octet-stream" and not kind.startswith("image/"):
            raise ProblemError(
                415,
                f"{kind} is not understood; send multipart/form-data, or an image as image/png, "
                "image/jpeg, ... or application/octet-stream",
            )
        content = b"".join([chunk async for chunk in body])
        if not content:
            raise ProblemError(400, "the body is empty; send an image")
        return [Upload(sent_name(headers), content)]

    def _kept(
        self,
        station: Station,
        served: Served,
        threshold: float,
        files: list[Upload],
        results: list[dict[str, Any]],
        started: float,
    ) -> dict[str, Any]:
        """Hand an answer to the log, and return what the answer says of it."""
        request = secrets.token_hex(8)
        common = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "model": served.name,
            "fingerprint": served.scorer.header.fingerprint,
            "request": request,
            "threshold": threshold,
            "seconds": round(time.perf_counter() - started, 6),
        }
        rows = []
        for number, (upload, result) in enumerate(zip(files, results, strict=True)):
            row = {name: result.get(name) for name in ("name", *KEPT)}
            error = result.get("error")
            row |= {"result": number, "bytes": len(upload.content)}
            rows.append({**common, **row, "error": error and error["detail"]})
        station.note(served, rows, files)
        moved = station.moved(served)
        return {"request": request, **({"drift": moved} if moved else {})}

    def _result(
        self, served: Served, threshold: float, name: str, outcome: Outcome
    ) -> dict[str, Any]:
        if isinstance(outcome, ImageError):
            self.metrics.refused()
            return {"name": name, "error": unscored(name, outcome).to_dict()}
        result = {
            "name": name,
            **record_of(outcome.score, threshold),
            "height": outcome.height,
            "width": outcome.width,
        }
        self.metrics.scored(served.name, result["pred_label"] == 1)
        if outcome.heat is not None:
            png = base64.b64encode(outcome.heat.png).decode()
            scale = served.scorer.header.map_scale
            result["anomaly_map"] = {
                "png": png,
                "peak": list(outcome.heat.peak),
                "range": [scale.usual, scale.far],
            }
        return result


def _number(text: str) -> float:
    try:
        return finite("threshold", text)
    except ConfigError as error:
        raise ProblemError(400, str(error)) from error


def _refuse_if_all_failed(results: list[dict[str, Any]]) -> None:
    errors = [result["error"] for result in results if "error" in result]
    if len(errors) < len(results):
        return
    status = max(error["status"] for error in errors)
    headers = SOON if status == 503 else None
    if len(errors) == 1:
        raise ProblemError(status, errors[0]["detail"], name=errors[0]["name"], headers=headers)
    raise ProblemError(
        status, f"none of {len(errors)} files can be scored", errors=errors, headers=headers
    )
