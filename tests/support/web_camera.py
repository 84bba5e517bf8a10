"""A web camera (motion JPEG over HTTP) that can be pulled out and put back."""

import contextlib
import io
import itertools
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


class WebCamera:
    """Shows images F x H x W over and over, to whoever asks.

    A connection is closed after ``frames`` of them; so many were sent in all: ``sent``.
    """

    def __init__(self, images: np.ndarray, frames: int, rate: float = 25.0) -> None:
        self.pictures = itertools.cycle(_jpeg(image) for image in images)
        self.frames = frames
        self.rate = rate
        self.sent = 0
        self.server: _Server | None = None
        self.port = 0
        self.plugged_in()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/video"

    def plugged_in(self) -> None:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
                self.end_headers()
                with contextlib.suppress(OSError):  # whoever asked has left
                    self.show(camera.server)

            def show(self, server: object) -> None:
                head = b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                for picture in itertools.islice(camera.pictures, camera.frames):
                    if camera.server is not server:
                        return
                    self.wfile.write(head % len(picture) + picture + b"\r\n")
                    camera.sent += 1
                    time.sleep(1 / camera.rate)

            def log_message(self, *_: object) -> None:
                pass

        self.server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def pulled_out(self) -> None:
        server, self.server = self.server, None
        if server:
            server.shutdown()
            server.server_close()


def _jpeg(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
