"""Decode the packets of a video into upright frames of one size with PyAV (extra ``video``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adacl.data.video_words import plain_words
from adacl.words import plural, were

Warn = Callable[[str], None]


def decoded(container: Any, track: Any, live: bool, warn: Warn) -> Iterator[Any]:
    """Decode packet by packet: what is damaged is counted, and passed over where it must be."""
    import av

    damaged = 0
    packets = container.demux(track)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except (av.FFmpegError, OSError) as error:
            if not live:  # of a stream, whoever connects again says so
                warn(f"ends early ({plain_words(error, live=False)})")
            break
        try:
            whole = not packet.is_corrupt
            for frame in packet.decode():
                whole = whole and not frame.is_corrupt
                yield frame
            damaged += not whole
        except av.FFmpegError:
            damaged += 1
    if damaged:
        warn(f"{plural(damaged, 'damaged packet')}: frames are missing or spoilt")


class Upright:
    """Turns decoded frames upright, and brings them to the size of the first.

    Parameters
    ----------
    channels, tallest
        As for :meth:`adacl.data.video.Clip.frames`.
    warn
        Takes what speaks against the first frame.
    """

    def __init__(self, channels: Literal[1, 3], tallest: int | None, warn: Warn) -> None:
        from av.video.reformatter import VideoReformatter

        self._channels = channels
        self._tallest = tallest
        self._warn = warn
        self._size: tuple[int, int] | None = None
        self._resized = 0
        self._shrinker = VideoReformatter()  # a new one a frame costs 8 ms

    def pixels(self, frame: Any) -> NDArray[np.uint8]:
        """Return a decoded frame as H x W x C."""
        quarters = round(frame.rotation / 90)
        lying = quarters % 2 == 1
        shown = (frame.width, frame.height) if lying else (frame.height, frame.width)
        if self._size is None:
            self._size = shown
            if abs(frame.rotation - 90 * quarters) > 1:  # fractions are cut off
                self._warn(
                    f"is marked as turned by {frame.rotation} degrees; only quarter turns are "
                    f"made, here {90 * quarters} degrees; save it upright"
                )
        self._resized += shown != self._size
        height, width = smaller(*self._size, self._tallest)
        small = self._shrinker.reformat(
            frame,
            width=height if lying else width,
            height=width if lying else height,
            format="gray" if self._channels == 1 else "rgb24",
            interpolation="AREA",
        )
        turned = np.rot90(np.asarray(small.to_ndarray(), np.uint8), quarters)
        return turned.reshape(height, width, self._channels)

    def words(self) -> str:
        """Say how many frames had another size; "" if none."""
        if not self._resized:
            return ""
        frames = plural(self._resized, "frame")
        return f"{frames} {were(self._resized)} resized to the first one's size"


def smaller(height: int, width: int, tallest: int | None) -> tuple[int, int]:
    """Return the size of an image of at most so many lines."""
    if tallest is None or height <= tallest:
        return height, width
    return tallest, max(1, round(width * tallest / height))


def shrunk(image: NDArray[np.uint8], tallest: int | None) -> NDArray[np.uint8]:
    """Shrink an image H x W x C to at most so many lines."""
    height, width, channels = image.shape
    size = smaller(height, width, tallest)
    if size == (height, width):
        return image
    small = Image.fromarray(image[:, :, 0] if channels == 1 else image)
    pixels = np.asarray(small.resize(size[::-1], Image.Resampling.BOX))
    return pixels.reshape(*size, channels)
