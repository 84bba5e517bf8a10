"""``adacl serve`` as a process, and plain ways to talk to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.hardening.common import command

BOUNDARY = "a-boundary"
WAIT_SECONDS = 60
START_SECONDS = 600


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Service:
    """A running service.

    Parameters
    ----------
    said
        The file that takes its standard error; each start appends to it.
    arguments
        Of ``adacl serve``.
    before
        A command that starts it, such as ``setpriv``.
    port
        Where it listens; 0 for a free one.
    """

    def __init__(
        self, said: Path, *arguments: object, before: Sequence[str] = (), port: int = 0
    ) -> None:
        begin = said.stat().st_size if said.exists() else 0
        with said.open("ab") as file:
            self.process = subprocess.Popen(
                [*before, *command("serve", "--port", port, *arguments)],
                stderr=file,
                env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"},
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            text = said.read_bytes()[begin:].decode(errors="replace")
            found = re.search(r"http://\S+:(\d+)/", text)
            if found is not None:
                break
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the service did not start:\n{text}")
            time.sleep(0.05)
        self.port = int(found[1])

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        method: str | None = None,
    ) -> Answer:
        """Send one request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        with contextlib.closing(connection):
            method = method or ("GET" if body is None else "POST")
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.read())

    def score(self, content: bytes, query: str = "", **headers: str) -> Answer:
        """Score one image."""
        return self.ask(f"/v1/score{query}", content, {"Content-Type": "image/png", **headers})

    def train(self, files: Iterable[Path] | bytes, query: str, **headers: str) -> Answer:
        """Send the images of a training, or their body."""
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        body = files if isinstance(files, bytes) else multipart(files)
        return self.ask(f"/v1/trainings?{query}", body, kind | headers)

    def finished(self, identity: str, seconds: float = 300, **headers: str) -> dict[str, Any]:
        """Wait until a training is over, and return what is said of it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.ask(f"/v1/trainings/{identity}", headers=headers).json
            if found["state"] not in ("queued", "running"):
                return dict(found)
            time.sleep(0.3)
        raise SystemExit(f"the training did not end: {found}")

    def memory_mib(self) -> float:
        """Return the memory that the process holds, without its trainings."""
        text = Path(f"/proc/{self.process.pid}/statm").read_text()
        return round(int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(WAIT_SECONDS)


def multipart(files: Iterable[Path]) -> bytes:
    """Return files as a body of multipart/form-data."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="'.encode()
    parts = [b'%b%b"\r\n\r\n%b\r\n' % (head, p.name.encode(), p.read_bytes()) for p in files]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])
