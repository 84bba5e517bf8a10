"""Read clips frame by frame with constant memory: folders of frames, video files, live streams.

Video files and streams are decoded by PyAV (extra ``video``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from adacl.config.sections import finite
from adacl.data.frame_folders import frame_files, places
from adacl.data.images import read_image
from adacl.data.reading import stream
from adacl.data.video_decoding import Upright, decoded, shrunk
from adacl.data.video_opening import frame_rate_of, opened, said_length, tracks_of
from adacl.data.video_times import Gaps, LiveTimes, Times
from adacl.data.video_words import shown_address
from adacl.errors import DataError
from adacl.imaging.spec import MAX_PIXELS

FRAME_RATE = 25.0
STREAM_TIMEOUT = 10.0
"""Seconds without a frame after which a live stream is taken to have ended."""
CUT, CUT_SHARE = 1.0, 0.02
"""Seconds, and share of its length, by which a recording may end before its stated end."""
SAY_EVERY = 30.0
"""Seconds between two lines on how far a recording is read."""
WITHOUT_TIMES = frozenset({"mjpeg", "mpjpeg"})
"""Kinds of stream that do not tell the times of their frames."""

log = logging.getLogger("adacl")


@dataclass(frozen=True)
class Frame:
    """One frame.

    Parameters
    ----------
    number
        Counts the frames of a clip that could be decoded, from 0.
    time
        Seconds since the first frame.
    image
        H x W x C, uint8.
    wall
        When it was taken, in seconds since 1970: of a live stream the time of its arrival, of a
        recording known only if its start is.
    """

    number: int
    time: float
    image: NDArray[np.uint8]
    wall: float | None = None


@dataclass(frozen=True)
class Clip:
    """A clip that can be read, as often as wanted if it is not a live stream.

    Parameters
    ----------
    name
        What it is called in results.
    source
        Video file, folder of frames, or the address of a stream.
    frame_rate
        Frames per second, used where the source does not say it.
    start
        When a recording began, in seconds since 1970, if known.
    """

    name: str
    source: Path | str
    frame_rate: float = FRAME_RATE
    start: float | None = None
    _said: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        finite("frame rate", self.frame_rate, above=0)

    def frames(self, channels: Literal[1, 3] = 1, tallest: int | None = None) -> Iterator[Frame]:
        """Read the frames in order; all have the size of the first.

        Parameters
        ----------
        channels
            1 for grey, 3 for RGB.
        tallest
            Frames with more lines than this are shrunk to it, keeping their shape.

        Raises
        ------
        DataError
            If the source cannot be read, or no frame of it.
        MissingExtraError
            If PyAV is needed and not installed.
        """
        folder = isinstance(self.source, Path) and self.source.is_dir()
        frames = (self._images if folder else self._decoded)(channels, tallest)
        return frames if self.live or channels == 3 else self._told(frames)

    def _told(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Log now and then how far a recording is read, which may take hours."""
        said = time.monotonic()
        for frame in frames:
            yield frame
            if time.monotonic() - said >= SAY_EVERY:
                said = time.monotonic()
                log.info(
                    "%s: %d frames read, up to %.0f s", self.name, frame.number + 1, frame.time
                )

    def _warn(self, words: str) -> None:
        """Log a warning; of a recording once, however often it is read."""
        if words and words not in self._said:
            log.warning("%s: %s", self.name, words)
            if not self.live:
                self._said.add(words)

    @property
    def live(self) -> bool:
        """Whether it is a stream, which can be read only once."""
        return not isinstance(self.source, Path)

    def count(self) -> int:
        """Return the number of frames; those of a video file are decoded for it."""
        if isinstance(self.source, Path) and self.source.is_dir():
            return len(frame_files(self.source))
        return sum(1 for _ in self.frames())

    def said_end(self) -> float:
        """Return when the last frame of a recording is by its own account, 0 if it has none.

        A folder of frames says so exactly, a video file need not be right.

        Raises
        ------
        DataError, MissingExtraError
            As :meth:`frames` does where the source cannot be opened.
        """
        if isinstance(self.source, Path) and self.source.is_dir():
            return max(places(frame_files(self.source)), default=0) / self.frame_rate
        with opened(self.source, STREAM_TIMEOUT) as container:
            for track in tracks_of(container)[:1]:
                seconds = 1 / frame_rate_of(track, self.frame_rate)
                return max(0.0, said_length(container, track) - seconds)
        return 0.0

    def _images(self, channels: Literal[1, 3], tallest: int | None) -> Iterator[Frame]:
        paths = frame_files(Path(self.source))
        first: tuple[int, ...] | None = None
        read = partial(read_image, channels=channels, dtype="uint8", size=None)
        standing, gaps = places(paths), Gaps(self.frame_rate)
        for number, (path, image) in enumerate(stream(paths, read)):
            first = first or image.shape
            if image.shape != first:
                raise DataError(
                    f"{path}: {image.shape[0]}x{image.shape[1]} pixels, the frames before it have "
                    f"{first[0]}x{first[1]}; put clips of different sizes in folders of their own"
                )
            seconds = standing[number] / self.frame_rate
            gaps.see(seconds)
            yield Frame(number, seconds, shrunk(image, tallest), self._wall(seconds))
        self._warn(gaps.words())

    def _wall(self, seconds: float) -> float | None:
        if self.live:
            return time.time()
        return None if self.start is None else self.start + seconds

    def _decoded(self, channels: Literal[1, 3], tallest: int | None) -> Iterator[Frame]:
        label = shown_address(str(self.source))
        with opened(self.source, STREAM_TIMEOUT) as container:
            tracks = tracks_of(container)
            if not tracks:
                raise DataError(f"{label}: has no video track")
            track = tracks[0]
            if len(tracks) > 1:
                self._warn(
                    f"has {len(tracks)} video tracks, of which only the first is used; save the "
                    "others as separate files"
                )
            if track.codec_context is None:
                raise DataError(
                    f"{label}: a kind of video that cannot be decoded; save it as H.264"
                )
            if track.width * track.height > MAX_PIXELS:
                raise DataError(
                    f"{label}: frames of {track.width}x{track.height} pixels, more than "
                    f"{MAX_PIXELS // 10**6} megapixels; save it with smaller ones"
                )
            track.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            track.thread_type = "SLICE" if self.live else "AUTO"  # others hold a frame back each
            rate = frame_rate_of(track, self.frame_rate)
            length = 0.0 if self.live else said_length(container, track)
            stamped = not (self.live and container.format.name in WITHOUT_TIMES)
            times = LiveTimes(self.name, rate, stamped) if self.live else Times(self.name, rate)
            upright = Upright(channels, tallest, self._warn)
            number = 0
            for frame in decoded(container, track, self.live, self._warn):
                seconds = times.of(number, frame.time)
                yield Frame(number, seconds, upright.pixels(frame), self._wall(seconds))
                number += 1
        if not number:
            raise DataError(f"{label}: no frame could be decoded")
        self._warn(times.gaps.words())
        if length - seconds - 1 / rate > max(CUT, CUT_SHARE * length):
            self._warn(
                f"the last frame is at {seconds:.1f} s, but the file says that it lasts "
                f"{length:.1f} s; was it cut off?"
            )
        self._warn(upright.words())
