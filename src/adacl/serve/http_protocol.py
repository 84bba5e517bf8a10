"""uvicorn's HTTP protocol, with bounds on the head of a request and on connections.

uvicorn has no limits of its own on the time and the length of a head, and refuses connections
beyond its limit only after their head. What bounds them builds on its internals, so
``pyproject.toml`` admits the minor version alone that the tests of hostile requests passed with.
"""

from __future__ import annotations

import asyncio
import json
from itertools import chain

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adacl.serve.limits import Limits
from adacl.serve.problems import MEDIA_TYPE, ProblemError

SLOW_READER_SECONDS = 60.0
"""Time to send what remains when the connection is closed."""


def _refusing(status: int, detail: str, **headers: str) -> ASGIApp:
    problem = ProblemError(status, detail, headers={"Connection": "close", **headers})

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await problem.response()(scope, receive, send)

    return refuse


_FULL = _refusing(503, "too many connections", **{"Retry-After": "1"})
_HEAD_TOO_LONG = _refusing(431, "the head of the request is too long")
_NO_UPGRADE = _refusing(400, "Upgrade is not possible with a body; speak plain HTTP/1.1")


def protocol(limits: Limits) -> type[asyncio.Protocol]:
    """Return the class of the protocol with these limits."""

    class Protocol(_Bounded):
        bounds = limits

    return Protocol


class _Bounded(HttpToolsProtocol):
    bounds: Limits
    head_timer: asyncio.TimerHandle | None = None
    abort_timer: asyncio.TimerHandle | None = None
    framing = 0
    """Bytes since the last that ended a head, or belonged to a body."""
    progress = False
    """Whether there were such bytes in what came last."""

    @property
    def gone(self) -> bool:
        """Whether the client has left; may be asked from any thread."""
        return self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        count = len(self.connections)
        if count > 2 * self.bounds.connections:
            transport.abort()
        elif count > self.bounds.connections:
            self.app = _FULL
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self.abort_timer is not None:
            self.abort_timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"adacl": {"connection": self}}
        self.framing = 0
        self._start_timer()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self.progress = True
        if sum(map(len, chain(*self.headers))) > self.bounds.head_bytes:
            self.app = _HEAD_TOO_LONG
        elif self.parser.should_upgrade() and self._has_body():
            self.app = _NO_UPGRADE  # the parser would take the body for the new protocol
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_timer is not None:  # else it is behind the body: nobody wants it
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self.progress = True
        super().on_body(body)

    def data_received(self, data: bytes) -> None:
        self.progress = False
        super().data_received(data)
        self.framing = 0 if self.progress else self.framing + len(data)
        if self.framing > self.bounds.head_bytes and not self.transport.is_closing():
            self._refuse(431, "the head of the request is too long")

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._abort_later()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "not a valid HTTP request")

    def _has_body(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def _abort_later(self) -> None:
        self.abort_timer = self.loop.call_later(SLOW_READER_SECONDS, self.transport.abort)

    def _start_timer(self) -> None:
        if self.head_timer is None:
            self.head_timer = self.loop.call_later(self.bounds.head_seconds, self._too_slow)

    def _stop_timer(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def _too_slow(self) -> None:
        self.head_timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._start_timer()  # the next request waits for the answer to this one
        elif self.scope is not None:
            self._refuse(408, "the head of the request did not arrive in time")
        else:
            self.transport.close()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer outside of any request, and close."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        problem = ProblemError(status, detail).to_dict()
        content = json.dumps(problem).encode()
        head = (
            f"HTTP/1.1 {status} {problem['title']}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(content)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        self.transport.close()
        self._abort_later()
