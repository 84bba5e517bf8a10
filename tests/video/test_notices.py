"""Notices of events: delivered in order, tried again, and never waited for."""

import json
import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from adacl.errors import ConfigError
from adacl.video import notices
from adacl.video.notices import Command, Courier, Webhook


class Held:
    """A delivery that waits until it is let go."""

    name = "slow"

    def __init__(self) -> None:
        self.go = threading.Event()
        self.heard: list[bytes] = []

    def __call__(self, notice: bytes) -> str | None:
        self.go.wait(30)
        self.heard.append(notice)
        return None

    def end(self) -> None:
        """Nothing can be ended."""


def test_a_slow_delivery_is_not_waited_for_and_what_is_dropped_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    held = Held()
    courier = Courier(held, waiting=10)
    for number in range(50):
        courier.tell({"number": number})
    assert not held.heard
    assert courier.dropped >= 39
    assert caplog.messages == ["slow is too slow: notices are being dropped"]
    held.go.set()
    courier.close(30)
    heard = [json.loads(line)["number"] for line in held.heard]
    assert heard == sorted(heard)
    assert len(heard) == 50 - courier.dropped
    assert caplog.messages[1:] == [f"slow: of 50 notices {courier.dropped} dropped"]


def test_the_end_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    held = Held()
    courier = Courier(held)
    courier.tell({})
    courier.close(0.05)
    held.go.set()
    assert caplog.messages == ["slow: of 1 notices 1 not in time"]


def test_a_command_that_hangs_at_the_end_is_ended_with_what_it_started(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    started = tmp_path / "started"
    script = f"(sleep 2; touch {tmp_path}/late) & touch {started}; sleep 60"
    courier = Courier(Command(f"sh -c '{script}'"))
    courier.tell({})
    courier.tell({})
    while not started.exists():
        time.sleep(0.01)
    courier.close(0.05)
    assert caplog.messages == ["command sh: of 2 notices 2 not in time"]
    time.sleep(2.5)
    assert not (tmp_path / "late").exists()
    assert len(caplog.messages) == 1


def test_a_command_gets_the_notice_and_no_shell(tmp_path: Path) -> None:
    script = tmp_path / "hook.py"
    script.write_text(
        "import sys, json\nheard = [sys.argv[1:], sys.stdin.read()]\n"
        f"open({str(tmp_path / 'heard')!r}, 'w').write(json.dumps(heard))"
    )
    command = Command(f"{sys.executable} {script} 'two words' '$(touch {tmp_path}/no)' ; x")
    assert command(b'{"kind": "started"}\n') is None
    arguments, notice = json.loads((tmp_path / "heard").read_text())
    assert arguments == ["two words", f"$(touch {tmp_path}/no)", ";", "x"]
    assert notice == '{"kind": "started"}\n'
    assert not (tmp_path / "no").exists()


def test_a_command_that_fails_or_takes_too_long_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert Command(f"{sys.executable} -c 'raise SystemExit(7)'")(b"") == "exit code 7"
    monkeypatch.setattr(notices, "LIMIT", 0.5)
    script = tmp_path / "hang.py"  # its child must not outlive it
    script.write_text(
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(2); "
        f'open("{tmp_path / "late"}", "w")\'])\n'
        "time.sleep(60)"
    )
    reason = Command(f"{sys.executable} {script}")(b"")
    assert reason == "took longer than 0.5 s and was ended"
    time.sleep(2.5)
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize("text", ["", "no-such-program x", "sh -c 'unclosed"])
def test_a_command_that_cannot_be_run_is_refused_at_once(text: str) -> None:
    with pytest.raises(ConfigError, match="--on-event"):
        Command(text)


AUTHORIZATIONS: list[str | None] = []
"""Of the posts that sites got."""


@contextmanager
def site(*answers: int) -> Iterator[tuple[str, list[bytes]]]:
    """A site that gives these answers in turn, and the bodies that it got."""
    left, bodies = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            AUTHORIZATIONS.append(self.headers["Authorization"])
            self.send_response(left.pop(0))
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            bodies.append(b"followed")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/events?key=secret", bodies
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([200], None),
        ([500, 429, 204], None),
        ([503] * 4, "answer 503"),
        ([404], "answer 404"),
        ([302], "answer 302"),
    ],
)
def test_a_webhook_tries_again_where_that_helps(
    answers: list[int], reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "PAUSES", (0.01, 0.01, 0.01))
    with site(*answers) as (url, bodies):
        assert Webhook(url)(b"{}\n") == reason
    assert bodies == [b"{}\n"] * len(answers)


def test_a_webhook_that_nobody_serves_is_told_without_its_key(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notices, "PAUSES", (0.01,))
    courier = Courier(Webhook("http://127.0.0.1:9/events?key=secret"))
    with caplog.at_level(logging.WARNING, "adacl"):
        courier.tell({"kind": "lost"})
        courier.close()
    assert courier.failed == 1
    assert "secret" not in caplog.text
    assert (
        "webhook http://127.0.0.1: a notice was not delivered (Connection refused)" in caplog.text
    )


def test_a_webhook_says_why_what_waits_for_another_try_was_not_delivered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notices, "PAUSES", (60.0,))
    courier = Courier(Webhook("http://127.0.0.1:9/events"))
    courier.tell({"kind": "started"})
    courier.close(1)
    assert caplog.messages == [
        "webhook http://127.0.0.1: a notice was not delivered (Connection refused)",
        "webhook http://127.0.0.1: of 1 notices 1 not in time",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "example.org/x",
        "file:///etc/passwd",
        "https://",
        "http://[::1",
        "http://example.org:99999/",
        "http://example..org/",
        f"http://{'a' * 64}.org/",
        "http://example.org:name/",
        "http://example.org/a b?key=secret",
        "http://example.org/\u00e4?key=secret",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="--webhook") as refusal:
        Webhook(url)
    assert "secret" not in str(refusal.value)


def test_a_name_and_password_in_the_address_are_sent_as_a_header() -> None:
    with site(204) as (url, bodies):
        webhook = Webhook(url.replace("127", "guard:a%40secret@127"))
        assert webhook(b"{}\n") is None
    assert bodies == [b"{}\n"]
    assert AUTHORIZATIONS[-1] == "Basic Z3VhcmQ6YUBzZWNyZXQ="
    assert "secret" not in webhook.name
