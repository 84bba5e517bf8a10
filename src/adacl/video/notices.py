"""Tell programs and web addresses of events, without holding up the scoring."""

from __future__ import annotations

import base64
import http.client
import json
import logging
import os
import queue
import random
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes, urlsplit

from adacl._version import __version__
from adacl.errors import ConfigError

WAITING = 100
"""Notices that may wait for one that is slow; further ones are dropped."""
LIMIT = 30.0
"""Seconds that a command may take."""
ANSWER = 10.0
"""Seconds that a web address may take to answer."""
PAUSES = (1.0, 5.0, 25.0)
"""Seconds before each further try."""
FAREWELL = 15.0
"""Seconds that what waits at the end may take."""
TRY_AGAIN = frozenset({408, 425, 429})
PLAIN = re.compile("[!-~]+")

log = logging.getLogger("adacl")


class Delivery(Protocol):
    """Brings a notice to where it is wanted; what went wrong is returned."""

    name: str

    def __call__(self, notice: bytes) -> str | None:
        """Deliver a notice, a line of JSON."""

    def end(self) -> None:
        """Give up a notice that is under way, from another thread."""


class Courier:
    """Delivers notices in a thread of its own, in order.

    Parameters
    ----------
    delivery
        How.
    waiting
        Notices that may wait; when more come, they are dropped, counted and told.
    """

    def __init__(self, delivery: Delivery, waiting: int = WAITING) -> None:
        self.delivery = delivery
        self.told = self.delivered = self.failed = self.dropped = 0
        self._over = False
        self._queue: queue.Queue[bytes | None] = queue.Queue(waiting)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def tell(self, notice: Mapping[str, Any]) -> None:
        """Hand over a notice; never waits."""
        self.told += 1
        try:
            self._queue.put_nowait(json.dumps(notice).encode() + b"\n")
        except queue.Full:
            self.dropped += 1
            if self.dropped == 1:
                log.warning("%s is too slow: notices are being dropped", self.delivery.name)

    def close(self, seconds: float = FAREWELL) -> None:
        """Wait for at most so many seconds, end what is under way, and say what was lost."""
        end = time.monotonic() + seconds
        try:
            self._queue.put(None, timeout=seconds)
            self._thread.join(max(0.0, end - time.monotonic()))
        except queue.Full:
            pass
        self._over = True
        self.delivery.end()
        late = self.told - self.delivered - self.failed - self.dropped
        counts = ((self.failed, "failed"), (self.dropped, "dropped"), (late, "not in time"))
        if lost := ", ".join(f"{count} {word}" for count, word in counts if count):
            log.warning("%s: of %d notices %s", self.delivery.name, self.told, lost)

    def _work(self) -> None:
        while (notice := self._queue.get()) is not None:
            reason = self.delivery(notice)
            if self._over:
                return
            if reason:
                self.failed += 1
                log.warning("%s: a notice was not delivered (%s)", self.delivery.name, reason)
            else:
                self.delivered += 1


class Command:
    """Runs a command, without a shell, with the notice on its standard input.

    What it prints goes to stderr. It is ended, with what it started, after ``LIMIT`` seconds, or by
    :meth:`end`.

    Parameters
    ----------
    text
        Program and arguments, quoted as for a shell.

    Raises
    ------
    ConfigError
        If it cannot be read, or there is no such program.
    """

    def __init__(self, text: str) -> None:
        try:
            self.arguments = shlex.split(text)
        except ValueError as error:
            raise ConfigError(f"--on-event {text}: cannot be read ({error})") from error
        if not self.arguments or not shutil.which(self.arguments[0]):
            program = self.arguments[0] if self.arguments else "an empty command"
            raise ConfigError(f"--on-event: {program} is no program that can be run")
        self.name = f"command {self.arguments[0]}"
        self._running: subprocess.Popen[bytes] | None = None

    def __call__(self, notice: bytes) -> str | None:
        """Run the command once."""
        try:
            process = subprocess.Popen(
                self.arguments, stdin=subprocess.PIPE, stdout=2, start_new_session=True
            )
        except OSError as error:
            return error.strerror or str(error)
        self._running = process
        with process:
            try:
                process.communicate(notice, timeout=LIMIT)
            except subprocess.TimeoutExpired:
                self.end()
                return f"took longer than {LIMIT:g} s and was ended"
        return f"exit code {process.returncode}" if process.returncode else None

    def end(self) -> None:
        """End the command that runs, with what it started."""
        if self._running and self._running.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)


class Webhook:
    """Posts notices to a web address, and tries again where that can help.

    Tries again, up to three times, if there is no answer within ``ANSWER`` seconds or the answer
    is 408, 425, 429 or an error of the server. Follows no redirection.

    Parameters
    ----------
    url
        The address; a name and password in it are sent as Basic authentication.

    Raises
    ------
    ConfigError
        If it is none of ``http`` or ``https``.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
            (parts.hostname or "").encode("idna")  # as is done to connect; "a..b" is no name
        except ValueError:
            sound = False
        if not sound or not PLAIN.fullmatch(url):
            raise ConfigError("--webhook: need an address such as https://example.org/events")
        user, _, place = parts.netloc.rpartition("@")
        self.url = parts._replace(netloc=place).geturl()
        self.name = f"webhook {parts.scheme}://{parts.hostname}"
        self._headers = {"Content-Type": "application/json", "User-Agent": f"adacl/{__version__}"}
        if user:
            encoded = base64.b64encode(unquote_to_bytes(user)).decode()
            self._headers["Authorization"] = f"Basic {encoded}"
        self._opener = urllib.request.build_opener(_NoRedirection)
        self._trouble: str | None = None

    def __call__(self, notice: bytes) -> str | None:
        """Post a notice."""
        for pause in (*PAUSES, None):
            reason, again = self._post(notice)
            if not reason or not again or pause is None:
                break
            self._trouble = reason
            time.sleep(pause * random.Random().uniform(0.5, 1))
        self._trouble = None
        return reason

    def end(self) -> None:
        """Say why the last try failed; one under way ends with the process."""
        if self._trouble:
            log.warning("%s: a notice was not delivered (%s)", self.name, self._trouble)

    def _post(self, notice: bytes) -> tuple[str | None, bool]:
        """Return what went wrong, and whether to try again."""
        request = urllib.request.Request(self.url, notice, self._headers)
        try:
            with self._opener.open(request, timeout=ANSWER):
                return None, False
        except urllib.error.HTTPError as error:
            error.close()
            return f"answer {error.code}", error.code >= 500 or error.code in TRY_AGAIN
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            return str(getattr(reason, "strerror", None) or reason), True


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None
