"""Write a copy of a video that shows the score: heat on the tiles, a curve, the time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from adacl.data.video import Frame
from adacl.errors import AdaclError, ConfigError, DataError, missing_extra
from adacl.files import atomic_file
from adacl.video.alarms import Alarm
from adacl.video.frame_scores import FrameScore
from adacl.video.model import VideoModel

TALLEST = 720
SMALLEST_WIDTH = 640
STRIP = 72
SHOWN = 250
"""Frames that the curve goes back."""
CLOCK = Fraction(1, 10_000)
KINDS = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov"}
"""Containers that keep the time of each frame, by the extension."""
MARK = "annotated by adacl"
"""The comment in a copy: a later copy may replace only a file that has it."""
ALARM = (214, 39, 40)
CALM = (31, 119, 180)

Picture = NDArray[np.uint8]


def annotated(
    path: Path, frames: Iterable[Frame], scores: Iterable[FrameScore], model: VideoModel
) -> Iterator[FrameScore]:
    """Pass scores on, and write each with its frame to a video file.

    The file appears when the last score has been taken.

    Parameters
    ----------
    path
        File to write; its extension chooses the container.
    frames
        The same frames, in colour.
    scores
        Their scores.
    model
        The model that scored.

    Raises
    ------
    MissingExtraError
        If PyAV is not installed.
    DataError
        If the file cannot be written.
    """
    av = _pyav()
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise DataError(f"{path}: not a kind of video file that can be written; name it .mp4")
    try:
        with atomic_file(path) as file, av.open(file, "w", format=kind) as container:
            container.metadata["comment"] = MARK
            track: Any = None
            shown: deque[float] = deque(maxlen=SHOWN)
            last = -1
            for score, frame in zip(scores, frames, strict=False):
                shown.append(score.smoothed)
                picture = draw(frame.image, score, list(shown), model)
                if track is None:
                    codec, options = _codec()
                    rate = max(1, round(model.frame_rate))
                    track = container.add_stream(codec, rate=rate, options=options)
                    track.height, track.width = picture.shape[:2]
                    track.pix_fmt = "yuv420p"
                    track.codec_context.time_base = CLOCK
                image = av.VideoFrame.from_ndarray(picture, format="rgb24")
                last = max(last + 1, round(frame.time / CLOCK))
                image.pts, image.time_base = last, CLOCK
                container.mux(track.encode(image))
                yield score
            if track is not None:
                container.mux(track.encode())
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, AdaclError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be written as video ({reason})") from error


def check_replaceable(path: Path) -> None:
    """Check, before work begins, that a copy replaces no other recording.

    Raises
    ------
    ConfigError
        If the file there is not an annotated copy.
    MissingExtraError
        If PyAV is not installed.
    """
    if not path.exists():
        return
    av = _pyav()
    try:
        with av.open(f"file:{path}") as container:  # a name may have a colon
            texts = container.metadata.values()
    except (av.FFmpegError, OSError, ValueError):
        texts = ()
    if MARK not in texts:
        raise ConfigError(
            f"{path}: is there, and is no copy that adacl annotated; name another output, or "
            "remove it"
        )


def _pyav() -> Any:
    try:
        import av
    except ModuleNotFoundError as error:
        raise missing_extra(error) from error
    return av


def draw(image: Picture, score: FrameScore, curve: list[float], model: VideoModel) -> Picture:
    """Draw one frame H x W x 3 with heat, and below it the curve up to now."""
    canvas = Image.fromarray(image)
    scale = min(TALLEST / canvas.height, max(1.0, SMALLEST_WIDTH / canvas.width))
    width, height = (max(2, round(side * scale) // 2 * 2) for side in canvas.size)
    canvas = canvas.resize((width, height))
    opacity = Image.fromarray((140 * heat(score, model)).astype(np.uint8)).resize((width, height))
    canvas.paste(Image.new("RGB", canvas.size, ALARM), mask=opacity)
    alarm = score.smoothed > model.alarm.threshold
    whole = Image.new("RGB", (width, height + STRIP), "white")
    whole.paste(canvas)
    pen = ImageDraw.Draw(whole)
    if alarm:
        pen.rectangle((0, 0, width - 1, height - 1), outline=ALARM, width=3)
    _curve(pen, curve, model.alarm, (0, height, width, height + STRIP))
    text = f"{clock(score.time)}  score {score.smoothed:.2f}"
    text += f"  threshold {model.alarm.threshold:.2f} (grey line)"
    if score.wall is not None:
        text = f"{datetime.fromtimestamp(score.wall):%Y-%m-%d %H:%M:%S}  {text}"
    pen.text((6, height + 3), text, ALARM if alarm else "black", ImageFont.load_default(14))
    return np.asarray(whole)


def clock(seconds: float) -> str:
    """Return seconds as minutes and seconds."""
    minutes, tenths = divmod(round(10 * seconds), 600)
    return f"{minutes:02d}:{tenths / 10:04.1f}"


def heat(score: FrameScore, model: VideoModel) -> NDArray[np.float64]:
    """Return how anomalous each pixel is (H, W) in [0, 1]: 0 up to a typical score, 1 for alarm."""
    side = model.config.tile
    low, span = model.alarm.typical, _reach(model.alarm)
    shown = np.zeros((model.height, model.width))
    corners = model.config.tiling.corners(model.height, model.width)
    for number in np.flatnonzero(~np.isnan(score.tiles)):
        top, left = corners[number]
        part = shown[top : top + side, left : left + side]
        np.maximum(part, np.clip((score.tiles[number] - low) / span, 0, 1) ** 2, out=part)
    return shown


def _reach(alarm: Alarm) -> float:
    """Return how far the threshold is above a typical score."""
    reach = alarm.threshold - alarm.typical
    return reach if reach > 0 else 0.1


def _curve(
    pen: ImageDraw.ImageDraw, curve: list[float], alarm: Alarm, box: tuple[int, int, int, int]
) -> None:
    """Draw the curve from below a typical score to as far above the threshold, or to its top."""
    left, top, right, bottom = box
    threshold, reach = alarm.threshold, _reach(alarm)
    lowest, highest = alarm.typical - reach / 2, max(threshold + reach, *curve)

    def place(number: int, value: float) -> tuple[float, float]:
        x = left + (right - left) * (number + SHOWN - len(curve)) / (SHOWN - 1)
        share = (max(value, lowest) - lowest) / (highest - lowest)
        return x, bottom - 4 - (bottom - top - 26) * share

    line = place(0, threshold)[1]
    pen.line((left, line, right, line), fill=(190, 190, 190))
    for number in range(1, len(curve)):
        over = max(curve[number - 1 : number + 1]) > threshold
        pen.line(
            (*place(number - 1, curve[number - 1]), *place(number, curve[number])),
            fill=ALARM if over else CALM,
            width=2,
        )


def _codec() -> tuple[str, dict[str, str]]:
    """Return the codec that is at hand, and its options."""
    if "libx264" in _pyav().codecs_available:
        return "libx264", {"preset": "veryfast"}
    return "mpeg4", {}
