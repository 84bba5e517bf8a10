"""Footage made for tests: written to files, and with objects that walk or run."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from PIL import Image

from adacl.data.video import Frame


def write_video(path: Path, frames: np.ndarray, rate: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        track = container.add_stream("mpeg4", rate=rate, bit_rate=4_000_000)
        track.height, track.width = frames.shape[1:3]
        track.pix_fmt = "yuv420p"
        for image in frames:
            container.mux(track.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        container.mux(track.encode())
    return path


def write_swapped(path: Path, frames: np.ndarray, rate: int = 10) -> Path:
    """Write H.264 with B-frames, each frame with the stamp of the place in which it is sent."""
    with av.open(str(path), "w") as container:
        track = container.add_stream("libx264", rate=rate, options={"bf": "3", "b-adapt": "0"})
        track.height, track.width = frames.shape[1:3]
        track.pix_fmt = "yuv420p"
        for image in [*frames, None]:
            shown = None if image is None else av.VideoFrame.from_ndarray(image, format="gray")
            for packet in track.encode(shown):
                packet.pts = packet.dts
                container.mux(packet)
    return path


def write_frames(folder: Path, frames: np.ndarray, name: str = "{:d}.tif") -> Path:
    folder.mkdir(parents=True)
    for number, image in enumerate(frames, start=1):
        Image.fromarray(image).save(folder / name.format(number))
    return folder


def walkers(
    count: int, seed: int = 0, running: range = range(0), size: tuple[int, int] = (64, 96)
) -> np.ndarray:
    """Textured squares walk over a noisy ground at 1 to 2 pixels a frame, F x H x W.

    In the frames ``running`` they move four times as fast.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    ground = rng.integers(60, 120, size)
    texture = rng.integers(150, 256, (4, 12, 12))
    top = rng.integers(0, height - 12, 4)
    left = rng.uniform(0, width, 4)
    speed = rng.uniform(1, 2, 4) * rng.choice([-1, 1], 4)
    frames = np.empty((count, *size), np.uint8)
    for number in range(count):
        image = ground + rng.integers(-3, 4, size)
        left = left + speed * (4 if number in running else 1)
        for walker in range(4):
            columns = (int(left[walker]) + np.arange(12)) % width
            image[top[walker] : top[walker] + 12, columns] = texture[walker]
        frames[number] = image
    return frames


def as_frames(images: np.ndarray, rate: float = 10.0) -> list[Frame]:
    """Return images F x H x W as frames."""
    return [Frame(n, n / rate, image[:, :, None]) for n, image in enumerate(images)]


CAMERA = """
import sys, time, av, numpy as np
port, stalls, path = sys.argv[1:]
images = np.load(path)
with av.open(f"tcp://127.0.0.1:{port}?listen=1", "w", format="mpegts") as container:
    track = container.add_stream("mpeg2video", rate=10, bit_rate=4_000_000)
    track.height, track.width, track.pix_fmt = *images.shape[1:], "yuv420p"
    for image in images:
        container.mux(track.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        time.sleep(0.03)
    container.mux(track.encode())
    time.sleep(60 * int(stalls))
"""


@contextmanager
def camera(images: np.ndarray, stalls: bool) -> Iterator[str]:
    """Serve images F x H x W as a live stream to one client; give its address.

    When all are sent the stream ends, or stalls.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, images)
        file.flush()
        arguments = [str(port), str(int(stalls)), file.name]
        with subprocess.Popen([sys.executable, "-c", CAMERA, *arguments]) as program:
            while not _listens(port):
                time.sleep(0.05)
            yield f"tcp://127.0.0.1:{port}"
            program.kill()


def _listens(port: int) -> bool:
    """Look without connecting: the camera takes one client only."""
    lines = Path("/proc/net/tcp").read_text().splitlines()
    return any(f":{port:04X} 00000000:0000 0A" in line for line in lines)
