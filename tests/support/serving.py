"""``adacl serve`` as a process, and plain ways to talk to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from adacl import AnomalyDetector
from adacl.deploy.export import export_model
from support.helpers import LEARNING, write_images

BOUNDARY = "a-boundary"
WAIT_SECONDS = 60


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """The detail of a problem, after a check that it is one."""
        assert self.headers["content-type"] == "application/problem+json", self
        assert self.json.keys() >= {"type", "title", "status", "detail"}
        assert self.json["status"] == self.status
        return self.json["detail"]


class Service:
    """A running service."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def ask(
        self,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
        method: str | None = None,
    ) -> Answer:
        """Send one request over a connection of its own; an iterable is sent in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        with contextlib.closing(connection):
            method = method or ("GET" if body is None else "POST")
            connection.request(method, path, body, headers or {})
            return _answer(connection.getresponse())

    def score(self, content: bytes, query: str = "", kind: str = "image/png") -> Answer:
        """Score one raw image."""
        return self.ask(f"/v1/score?{query}", content, {"Content-Type": kind})

    def send(self, files: Iterable[tuple[str, bytes]], path: str = "/v1/score") -> Answer:
        """Send files as multipart/form-data."""
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        return self.ask(path, multipart(files), {"Content-Type": kind})

    def raw(self, data: bytes, *, pause: float = 0, timeout: float = WAIT_SECONDS) -> bytes:
        """Send bytes, one by one if with a pause, and return all that comes until the close."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            with contextlib.suppress(OSError):
                for piece in [data[i : i + 1] for i in range(len(data))] if pause else [data]:
                    connection.sendall(piece)
                    time.sleep(pause)
            return received(connection)

    def until(self, path: str, *states: str) -> Any:
        """Wait until what a path tells is in one of some states."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (found := self.ask(path).json)["state"] not in states:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    def worker(self) -> int:
        """Wait for the process that it trains or measures with, on Linux, and return its number.

        It has begun its own program: the service waits for that, and a stop before it would halt
        the service, too.
        """
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                for number in children.read_text().split():
                    if b"adacl.serve.training" in Path(f"/proc/{number}/cmdline").read_bytes():
                        return int(number)
            time.sleep(0.05)
        raise AssertionError("it has begun no process")

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Stop it, and return what it said; its exit code must be 0."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=WAIT_SECONDS)
        assert self.process.returncode == 0, said
        assert "Traceback" not in said, said
        return said


@contextlib.contextmanager
def serving(*arguments: object, **environment: str) -> Iterator[Service]:
    """Run a service on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "adacl", "serve", "--port", "0", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"} | environment,
    )
    assert process.stderr is not None
    said = ""
    while (found := re.search(r"http://\S+:(\d+)/", said)) is None:
        line = process.stderr.readline()
        assert line, said
        said += line
    service = Service(process, int(found[1]))
    try:
        yield service
    finally:
        if process.poll() is None:
            service.stop()


def received(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(1 << 16):
            found += data
    return found


def multipart(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return files as a body of multipart/form-data."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="'.encode()
        + name.encode()
        + b'"\r\nContent-Type: image/png\r\n\r\n'
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def write_model(folder: Path, threes: np.ndarray) -> Path:
    """Fit a model of digits, and export it."""
    write_images(folder / "threes", threes)
    AnomalyDetector(config=LEARNING).fit(folder / "threes").save(folder / "three.adacl")
    export_model(folder / "three.adacl", folder / "three.onnx", dynamic_batch=True)
    return folder / "three.onnx"


def write_tiled_model(folder: Path, threes: np.ndarray) -> Path:
    """Fit a model of tiles on larger images, kept in the folder ``large``."""
    large = np.kron(np.tile(threes[:30], (1, 2, 3)), np.ones((3, 3), np.uint8))
    write_images(folder / "large", large)
    detector = AnomalyDetector(config=LEARNING, tile=(16, 16), stride=8)
    detector.fit(folder / "large").save(folder / "tiled.adacl")
    return folder / "tiled.adacl"


def _answer(response: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())
