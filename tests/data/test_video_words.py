"""What is said of videos and streams that cannot be read."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from adacl.data.clips import list_clips
from adacl.data.video_words import plain_words, shown_address
from adacl.errors import DataError


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """A site whose paths are the status it answers with; the body is no video."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.strip("/")))
            self.end_headers()
            self.wfile.write(b"<html>no video</html>" * 200)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, "no video comes from there; check the address"),
        (401, "asks for a name and a password"),
        (403, "access is refused"),
        (404, "nothing under this path"),
        (429, "refuses the request"),
        (503, "an error of its own"),
    ],
)
def test_answers_of_a_server_are_said_in_words(site: str, status: int, words: str) -> None:
    (clip,) = list_clips(f"http://me:secret@{site}/{status}")
    with pytest.raises(DataError) as caught:
        list(clip.frames())
    message = str(caught.value)
    assert message.startswith(f"http://{site}/{status}: cannot be opened as video (")
    assert words in message
    assert "Errno" not in message


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://127.0.0.1:9", "nothing answers there; check the address"),
        ("carrier-pigeon://roof", "this kind of address is not known"),
        ("http://camera.invalid/video", "no video comes from there; check the address"),
    ],
)
def test_addresses_that_lead_nowhere_are_said_in_words(address: str, words: str) -> None:
    (clip,) = list_clips(address)
    with pytest.raises(DataError, match=words) as caught:
        list(clip.frames())
    assert "Errno" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no video", bytes(5000)])
def test_files_that_are_no_video_are_said_in_words(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    reason = "not a video, or dam" if content else "empty file"
    with pytest.raises(DataError, match=rf"x\.mp4: cannot be opened as video \({reason}"):
        list(list_clips(path)[0].frames())


def test_an_error_without_words_of_its_own_keeps_those_of_the_system() -> None:
    assert plain_words(OSError(28, "No space left on device"), False) == "no space left on device"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://me:a@b@camera:554/stream/1", "rtsp://camera:554/stream/1"),
        ("http://camera/video?user=me&pwd=secret", "http://camera/video?…"),
        ("udp://@239.0.0.1:1234", "udp://239.0.0.1:1234"),
        ("rtsp://me:secret@[::1/x", "rtsp://…"),
        ("/dev/video0", "/dev/video0"),
    ],
)
def test_an_address_is_shown_without_secrets(address: str, shown: str) -> None:
    assert shown_address(address) == shown
