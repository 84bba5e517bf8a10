"""The routes of the service, but for scoring and training."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import quote

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from adacl._version import __version__
from adacl.data.arrays import SMALLEST_SET
from adacl.errors import MissingDataError
from adacl.serve import assets, score_endpoint
from adacl.serve.batching import Batcher
from adacl.serve.counters import Metrics
from adacl.serve.limits import Limits
from adacl.serve.models import Models
from adacl.serve.openapi import complete
from adacl.serve.problems import INTERNAL, STOPPING, ProblemError
from adacl.serve.station import routes as station_routes
from adacl.serve.training import routes
from adacl.serve.training.queue import Trainings, unavailable
from adacl.serve.training.record import STATES
from adacl.serve.uploads import Memory

if TYPE_CHECKING:
    from adacl.serve.station.writer import Station

DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass
class Service:
    """What the routes work with."""

    models: Models
    limits: Limits
    batcher: Batcher
    trainings: Trainings
    metrics: Metrics
    memory: Memory
    station: Station | None = None
    ready: Callable[[], bool] = field(default=lambda: True)


def create_app(service: Service) -> ASGIApp:
    """Return the application; every error that it expects leaves it as a ProblemError."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.batcher.start()
        service.trainings.start()
        if service.station:
            service.station.start(service.models)
        yield
        await service.trainings.stop()
        await asyncio.to_thread(service.batcher.close)
        if service.station:
            await asyncio.to_thread(service.station.close)

    app = FastAPI(
        title="adacl",
        version=__version__,
        summary="Scores images, and trains small models that do.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(_only_known_parameters)],
    )
    app.exception_handler(HTTPException)(_http_problem)
    app.exception_handler(RequestValidationError)(_validation_problem)
    app.exception_handler(ProblemError)(_problem)
    app.exception_handler(Exception)(_internal_problem)
    _add_pages(app)
    _add_status(app, service)
    _add_models(app, service)
    routes.add(app, service.trainings, service.limits, service.memory)
    station_routes.add(app, service.station, service.models, service.limits, service.memory)
    complete(app)
    service.metrics.watch(lambda: service.batcher.waiting, lambda: service.memory.held)
    service.metrics.watch_trainings(STATES, service.trainings.count)
    score = score_endpoint.Scoring(
        service.models,
        service.limits,
        service.batcher,
        service.memory,
        service.metrics,
        service.station,
    )

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        scoring_asked = scope["type"] == "http" and scope["path"] == score_endpoint.PATH
        await (score if scoring_asked else app)(scope, receive, send)

    return dispatch


async def _only_known_parameters(request: Request) -> None:
    """Refuse what would be ignored, such as a slip of the pen in the name of a parameter."""
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params]
    unknown = [name for name in request.query_params if name not in known]
    if unknown and request.url.path.startswith("/v1/"):
        told = f"known are {', '.join(known)}" if known else "none are known"
        raise ProblemError(400, f"{unknown[0]}: unknown; {told}")


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return ProblemError(404, "there is nothing at this address").response()
    if error.status_code == 405:
        allowed: set[str] = set()
        for route in request.app.routes:
            if route.matches(request.scope)[0] is Match.PARTIAL:
                allowed |= getattr(route, "methods", set())
        if "GET" in allowed:
            allowed.add("HEAD")
        headers = {"Allow": ", ".join(sorted(allowed))}
        return ProblemError(405, "this method is not possible here", headers=headers).response()
    return ProblemError(error.status_code, str(error.detail), headers=error.headers).response()


async def _validation_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [f"{entry['loc'][-1]}: {entry['msg']}" for entry in error.errors()]
    return ProblemError(400, "; ".join(found)).response()


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


async def _internal_problem(_: Request, error: Exception) -> Response:
    return INTERNAL.response()


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
        response.headers["Content-Security-Policy"] = DOCS_POLICY
        return response

    @app.get("/docs/{name}", include_in_schema=False)
    async def docs_file(name: str, request: Request) -> Response:
        return found(documentation, name, request)


def _add_status(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", tags=["status"], summary="Whether the process is alive")
    async def healthz() -> Response:
        return Response('{"status": "ok"}', media_type="application/json")

    @app.get("/readyz", tags=["status"], summary="Whether requests are taken")
    async def readyz() -> Response:
        if not service.ready():
            return STOPPING.response()
        return Response('{"status": "ready"}', media_type="application/json")

    @app.get(
        "/metrics",
        tags=["status"],
        summary="Counters for Prometheus",
        response_class=PlainTextResponse,
    )
    async def metrics() -> Response:
        content = await asyncio.to_thread(service.metrics.text)
        return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_models(app: FastAPI, service: Service) -> None:
    limits = service.limits

    @app.get("/v1/models", tags=["models"], summary="Models, limits, and whether training works")
    async def models() -> Response:
        reason = unavailable()
        content = {
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
        return Response(json.dumps(content), media_type="application/json")

    @app.get(
        "/v1/models/{name}/file",
        tags=["models"],
        summary="Download a model",
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {}}}},
    )
    async def model_file(
        name: str, form: Annotated[Literal["onnx", "adacl"], Query(alias="format")] = "onnx"
    ) -> Response:
        try:
            content = await asyncio.to_thread(service.models.get(name).file, form)
        except MissingDataError as error:
            raise ProblemError(404, f"{name}: its model file is no longer there") from error
        if content is None:
            raise ProblemError(404, f"{name} was not trained here: only its ONNX file is known")
        file_name = quote(f"{name}.{form}")
        return Response(
            content,
            headers={"Content-Disposition": f"attachment; filename*=UTF-8''{file_name}"},
            media_type="application/octet-stream",
        )
