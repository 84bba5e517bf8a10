"""The routes of the service."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from adacl._version import __version__
from adacl.data.arrays import SMALLEST_SET
from adacl.errors import ImageError
from adacl.serve import assets
from adacl.serve.batching import Batcher, Outcome, Ticket
from adacl.serve.limits import Limits
from adacl.serve.metrics import Metrics
from adacl.serve.models import Models, Served
from adacl.serve.problems import ProblemError
from adacl.serve.trainings import STATES, Reception, Trainings, unavailable
from adacl.serve.uploads import (
    Memory,
    Parts,
    Reservation,
    Upload,
    chunks,
    media_type,
    sent_name,
)

__all__ = ["Service", "create_app"]

MOST_EPOCHS = 1000
MODEL_NAME = r"^\w[\w .-]{0,63}$"
SIZE = r"^[1-9]\d{0,3}(x[1-9]\d{0,3})?$"

ModelName = Annotated[str | None, Query(description="By default the first model.")]


@dataclass
class Service:
    """What the routes work with."""

    models: Models
    limits: Limits
    batcher: Batcher
    trainings: Trainings
    metrics: Metrics
    memory: Memory
    ready: Callable[[], bool] = field(default=lambda: True)


def create_app(service: Service) -> FastAPI:
    """Return the application."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.batcher.start()
        service.trainings.start()
        yield
        await service.trainings.stop()
        await asyncio.to_thread(service.batcher.close)

    app = FastAPI(
        title="adacl",
        version=__version__,
        description="Scores images with models of adacl.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.exception_handler(HTTPException)(_http_problem)
    app.exception_handler(RequestValidationError)(_validation_problem)
    app.exception_handler(ProblemError)(_problem)
    _add_pages(app)
    _add_status(app, service)
    _add_models(app, service)
    _add_scoring(app, service)
    _add_trainings(app, service)
    service.metrics.watch(lambda: service.batcher.waiting, lambda: service.memory.held)
    service.metrics.watch_trainings(STATES, service.trainings.count)
    return app


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(content), status, headers, "application/json")


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    details = {404: "there is nothing at this address", 405: "this method is not possible here"}
    detail = details.get(error.status_code, str(error.detail))
    return ProblemError(error.status_code, detail, headers=headers).response()


async def _validation_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [f"{entry['loc'][-1]}: {entry['msg']}" for entry in error.errors()]
    return ProblemError(400, "; ".join(found)).response()


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


def _add_pages(app: FastAPI) -> None:
    page, documentation = assets.page(), assets.documentation()

    def found(files: dict[str, assets.Asset], name: str, request: Request) -> Response:
        if name not in files:
            raise ProblemError(404, "there is nothing at this address")
        return files[name].response(request)

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return found(page, "index.html", request)

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str, request: Request) -> Response:
        return found(page, name, request)

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        response = found(documentation, "index.html", request)
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
            "img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return response

    @app.get("/docs/{name}", include_in_schema=False)
    async def docs_file(name: str, request: Request) -> Response:
        return found(documentation, name, request)


def _add_status(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", tags=["status"], summary="Whether the process is alive")
    async def healthz() -> Response:
        return _json({"status": "ok"})

    @app.get("/readyz", tags=["status"], summary="Whether requests are taken")
    async def readyz() -> Response:
        if not service.ready():
            raise ProblemError(503, "the service is stopping", headers={"Retry-After": "5"})
        return _json({"status": "ready"})

    @app.get("/metrics", tags=["status"], summary="Counters for Prometheus")
    async def metrics() -> Response:
        content = await asyncio.to_thread(service.metrics.text)
        return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")


def _served(service: Service, name: str | None) -> Served:
    served = service.models.get(name)
    if served is None:
        known = ", ".join(served.name for served in service.models) or "none"
        raise ProblemError(404, f"no model is called {name!r}; there are: {known}")
    return served


def _add_models(app: FastAPI, service: Service) -> None:
    limits = service.limits

    @app.get("/v1/models", tags=["models"], summary="Models, limits, and whether training works")
    async def models() -> Response:
        reason = unavailable()
        return _json(
            {
                "models": [served.describe() for served in service.models],
                "limits": {
                    "max_files": limits.files,
                    "max_body_bytes": limits.body_bytes,
                    "max_pixels": limits.pixels,
                    "seconds": limits.seconds,
                },
                "training": {
                    "available": reason is None,
                    "reason": reason,
                    "min_images": SMALLEST_SET,
                    "max_images": limits.training_images,
                },
                "version": __version__,
            }
        )

    @app.get("/v1/models/{name}/file", tags=["models"], summary="Download a model")
    async def model_file(
        name: str, form: Annotated[Literal["onnx", "adacl"], Query(alias="format")] = "onnx"
    ) -> Response:
        served = _served(service, name)
        content = await asyncio.to_thread(served.file, form)
        if content is None:
            raise ProblemError(404, f"{name} was not trained here: only its ONNX file is known")
        file_name = quote(f"{name}.{form}")
        return Response(
            content,
            headers={"Content-Disposition": f"attachment; filename*=UTF-8''{file_name}"},
            media_type="application/octet-stream",
        )


def _add_scoring(app: FastAPI, service: Service) -> None:
    limits = service.limits

    @app.post("/v1/score", tags=["scoring"], summary="Score one image or several")
    async def score(
        request: Request,
        model: ModelName = None,
        threshold: Annotated[float | None, Query(allow_inf_nan=False)] = None,
        anomaly_map: bool = False,
    ) -> Response:
        served = _served(service, model)
        limit = served.scorer.threshold.value if threshold is None else threshold
        deadline = time.monotonic() + limits.seconds
        with Reservation(service.memory) as reservation:
            try:
                async with asyncio.timeout(limits.seconds):
                    files = await _files(request, limits, reservation)
            except TimeoutError:
                raise ProblemError(408, "the body did not arrive in time") from None
            done = asyncio.get_running_loop().create_future()
            connection = request.scope["extensions"]["adacl"]["connection"]
            ticket = Ticket(served, anomaly_map, files, deadline, lambda: connection.gone, done)
            service.batcher.submit(ticket)
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    outcomes = await done
            except TimeoutError:
                raise ProblemError(
                    504, "not scored in time; send fewer or smaller images"
                ) from None
        results = [
            _result(service, served, limit, upload.name, outcome)
            for upload, outcome in zip(files, outcomes, strict=True)
        ]
        _refuse_if_all_failed(results)
        return _json({"model": served.name, "threshold": limit, "results": results})


async def _files(request: Request, limits: Limits, reservation: Reservation) -> list[Upload]:
    kind = media_type(request)
    body = chunks(request, limits.body_bytes, reservation)
    if kind == "multipart/form-data":
        parts = Parts(request.headers["content-type"], limits.files, limits.body_bytes)
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
    name = sent_name(request)
    if not content:
        raise ProblemError(400, "the body is empty; send an image", name=name)
    return [Upload(name, content)]


def _result(
    service: Service, served: Served, limit: float, name: str, outcome: Outcome
) -> dict[str, Any]:
    if isinstance(outcome, ImageError):
        service.metrics.refused()
        return {"name": name, "error": ProblemError(422, str(outcome), name=name).to_dict()}
    score = outcome.score
    anomalous = score.raw > limit
    service.metrics.scored(served.name, anomalous)
    result: dict[str, Any] = {
        "name": name,
        "pred_score": score.score,
        "raw_score": score.raw,
        "pred_label": int(anomalous),
        "height": outcome.height,
        "width": outcome.width,
    }
    if score.tile is not None:
        result["tile"] = list(score.tile)
    if outcome.heat is not None:
        png = base64.b64encode(outcome.heat.png).decode()
        result["anomaly_map"] = {"png": png, "peak": list(outcome.heat.peak)}
    return result


def _refuse_if_all_failed(results: list[dict[str, Any]]) -> None:
    errors = [result["error"] for result in results if "error" in result]
    if len(errors) < len(results):
        return
    if len(errors) == 1:
        raise ProblemError(422, errors[0]["detail"], name=errors[0]["name"])
    raise ProblemError(422, f"none of {len(errors)} files can be scored", errors=errors)


def _add_trainings(app: FastAPI, service: Service) -> None:
    limits, trainings = service.limits, service.trainings

    @app.post("/v1/trainings", tags=["trainings"], status_code=202, summary="Train a model")
    async def train(
        request: Request,
        name: Annotated[str, Query(pattern=MODEL_NAME)],
        epochs: Annotated[int, Query(ge=1, le=MOST_EPOCHS)] = 10,
        image_size: Annotated[str | None, Query(pattern=SIZE)] = None,
        tile: Annotated[str | None, Query(pattern=SIZE)] = None,
    ) -> Response:
        reason = unavailable()
        if reason is not None:
            raise ProblemError(501, f"models cannot be trained here: {reason}")
        if media_type(request) != "multipart/form-data":
            raise ProblemError(415, "send the normal images as multipart/form-data")
        reception = trainings.begin(name, epochs, _size(image_size), _size(tile))
        try:
            async with asyncio.timeout(limits.training_seconds), reception:
                await _receive(request, service, reception)
                training = await reception.complete()
        except TimeoutError:
            raise ProblemError(408, "the images did not arrive in time") from None
        headers = {"Location": f"/v1/trainings/{training.id}"}
        return _json(trainings.describe_one(training), 202, headers)

    @app.get("/v1/trainings", tags=["trainings"], summary="All trainings, the latest first")
    async def list_trainings() -> Response:
        return _json({"trainings": trainings.describe()})

    @app.get("/v1/trainings/{identity}", tags=["trainings"], summary="One training")
    async def get_training(identity: str) -> Response:
        return _json(trainings.describe_one(trainings.get(identity)))

    @app.delete(
        "/v1/trainings/{identity}",
        tags=["trainings"],
        status_code=204,
        summary="Cancel a training, or forget one that is over",
    )
    async def delete_training(identity: str) -> Response:
        await trainings.remove(trainings.get(identity))
        return Response(status_code=204)


async def _receive(request: Request, service: Service, reception: Reception) -> None:
    limits = service.limits
    parts = Parts(request.headers["content-type"], limits.training_images, limits.body_bytes)
    with Reservation(service.memory) as reservation:
        async for chunk in chunks(request, limits.training_bytes, reservation):
            parts.feed(chunk)
            while parts.files:
                upload = parts.files.pop(0)
                await reception.take(upload)
                reservation.free(len(upload.content))
    parts.finish()


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sides = [int(side) for side in text.split("x")]
    return sides[0], sides[-1]
