"""Check every request, complete every answer, turn errors into answers, and count."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import re
import secrets
import time
import traceback
from collections.abc import Iterable
from functools import lru_cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adacl.errors import ConfigError
from adacl.serve.counters import Metrics
from adacl.serve.problems import INTERNAL, STOPPING, ProblemError
from adacl.serve.score_endpoint import PATH

log = logging.getLogger("adacl")

CONTENT_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    b"media-src 'self' blob:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
TOKEN = re.compile("[!-~]([ -~]*[!-~])?")
HOST = re.compile("[A-Za-z0-9._-]+")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LINGER_SECONDS = 2.0
LINGER_BYTES = 32 << 20


class Guard:
    """Wraps the application.

    Parameters
    ----------
    app
        What answers.
    metrics
        Those of the service.
    token
        What clients of the interface must send as bearer token, if anything: printable ASCII.
    hosts
        Names that the service goes by, beside localhost and IP addresses. Others are refused: a
        foreign page could have its own name point here (DNS rebinding).

    Attributes
    ----------
    stopping : bool
        Whether to close connections after their next answer.

    Raises
    ------
    ConfigError
        If the token cannot be sent in a header.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        token: str | None,
        hosts: Iterable[str],
    ) -> None:
        if token is not None and not TOKEN.fullmatch(token):
            raise ConfigError("token: need printable ASCII characters, no spaces at the ends")
        self.stopping = False
        self._app = app
        self._metrics = metrics
        self._token = None if token is None else token.encode()
        self._hosts = {"localhost", *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        exchange = _Exchange(self, scope, receive, send)
        if scope["method"] == "HEAD":  # the protocol sends no body
            scope = {**scope, "method": "GET"}
        try:
            try:
                self._check(scope)
                await self._app(scope, exchange.receive, exchange.send)
            except ProblemError as problem:
                await problem.response()(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:  # the service does not wait any longer
            if not exchange.status:
                await STOPPING.response()(scope, receive, send)
        except Exception:
            log.error("%s %r\n%s", scope["method"], scope["path"], traceback.format_exc())
            if not exchange.status:
                await INTERNAL.response()(scope, exchange.receive, exchange.send)
        finally:
            route = getattr(scope.get("route"), "path", None) or (
                scope["path"] if scope["path"] == PATH else "other"
            )
            self._metrics.answered(route, exchange.status, exchange.started)

    def _check(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host.rpartition("]")[0].lstrip("[") or host.partition(":")[0]
        if not self._known(name):
            raise ProblemError(
                403, f"the service is not known by the name {name!r}; allow it with --allow-host"
            )
        if scope["method"] not in SAFE:
            site = headers.get(b"sec-fetch-site", b"none")
            origin = headers.get(b"origin")
            own = origin is None or origin.decode("latin-1").lower().partition("://")[2] == host
            if not own or site not in (b"none", b"same-origin"):
                raise ProblemError(403, "refused: the request comes from a page of another site")
        if self._token and scope["path"].startswith(("/v1/", "/metrics")):
            kind, _, given = headers.get(b"authorization", b"").partition(b" ")
            if kind.lower() != b"bearer" or not secrets.compare_digest(given.strip(), self._token):
                raise ProblemError(
                    401,
                    "send the service's token as Authorization: Bearer TOKEN",
                    headers={"WWW-Authenticate": "Bearer"},
                )

    def _known(self, name: str) -> bool:
        return name in self._hosts or _is_address(name)


def host_name(text: str) -> str:
    """Return a name that requests may use, or raise ConfigError if none can be like it."""
    if not HOST.fullmatch(text) and not _is_address(text):
        raise ConfigError(
            f"--allow-host {text}: need a name such as parts.example.org alone, without scheme, "
            "port, path or *"
        )
    return text


@lru_cache(maxsize=64)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class _Exchange:
    """A request and its answer: adds the headers, and reads on where the body was not wanted."""

    def __init__(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        self.started = time.perf_counter()
        self.status = 0
        self._guard = guard
        self._receive, self._send = receive, send
        self._unread = any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
            for name, value in scope["headers"]
        )

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body"):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._headers(message["headers"])
            await self._send(message)
        elif self._unread and not message.get("more_body"):
            await self._send({**message, "more_body": True})
            await self._linger()
            await self._send({"type": "http.response.body", "body": b""})
        else:
            await self._send(message)

    def _headers(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        headers = [*given, *HEADERS]
        names = {name for name, _ in headers}
        if b"content-security-policy" not in names:
            headers.append((b"content-security-policy", CONTENT_POLICY))
        if b"cache-control" not in names:
            headers.append((b"cache-control", b"no-store"))
        if self._unread or self._guard.stopping:
            headers.append((b"connection", b"close"))
        return headers

    async def _linger(self) -> None:
        """Read the rest of the body: closing at once could lose the answer on its way."""
        left = LINGER_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self._unread and left > 0:
                    left -= len((await self.receive()).get("body", b""))
