"""Footage made for tests: written to files, and with objects that walk or run."""

from pathlib import Path

import av
import numpy as np
from PIL import Image

from adacl.data.video import Frame


def write_video(path: Path, frames: np.ndarray, rate: int = 10) -> Path:
    with av.open(str(path), "w") as container:
        track = container.add_stream("mpeg4", rate=rate, bit_rate=4_000_000)
        track.height, track.width = frames.shape[1:3]
        track.pix_fmt = "yuv420p"
        for image in frames:
            container.mux(track.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        container.mux(track.encode())
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
