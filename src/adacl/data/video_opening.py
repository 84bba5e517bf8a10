"""Open video files and streams with PyAV (extra ``video``)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from adacl.data.image_files import EXTENSIONS
from adacl.data.video_words import plain_words, shown_address
from adacl.errors import DataError, missing_extra
from adacl.files import open_regular

CAMERA = "v4l2"
KINDS = (
    "asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,"
    "rm,wtv,yuv4mpegpipe"
)
"""Files that FFmpeg may take for video: others, such as lists, make it open further files."""
FROM_ZERO = ("matroska", "nut")
"""Kinds of files that say when they end, not how long they last."""


def opened(source: Path | str, timeout: float) -> Any:
    """Open a video file or, if its source is an address, a stream.

    Parameters
    ----------
    source
        Where it is.
    timeout
        Seconds that a stream may give nothing.

    Raises
    ------
    DataError
        If it cannot be opened.
    MissingExtraError
        If PyAV is not installed.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise missing_extra(error) from error
    label, live = shown_address(str(source)), not isinstance(source, Path)
    try:
        if isinstance(source, Path):
            with open_regular(source) as file:
                if not file.read(1):
                    raise DataError(f"{label}: cannot be opened as video (empty file)")
        kind = CAMERA if live and "://" not in str(source) else None
        options = {} if live else {"format_whitelist": KINDS}
        # from 19 on PyAV replaces what is no UTF-8 by itself
        older = int(av.__version__.split(".")[0]) < 19
        more: dict[str, Any] = {"metadata_errors": "replace"} if older else {}
        place = str(source) if live else f"file:{source}"  # a name may have a colon, too
        return av.open(
            place, format=kind, timeout=timeout if live else None, options=options, **more
        )
    except (av.FFmpegError, OSError) as error:
        reason = plain_words(error, live)
        if Path(source).suffix.lower() in EXTENSIONS:
            reason = "an image; name the folder of the frames"
        raise DataError(f"{label}: cannot be opened as video ({reason})") from error


def tracks_of(container: Any) -> list[Any]:
    """Return the video tracks, of which cover pictures are none."""
    import av

    cover = av.stream.Disposition.attached_pic
    return [track for track in container.streams.video if not track.disposition & cover]


def frame_rate_of(track: Any, default: float) -> float:
    """Return the frames per second of a track, or the default where it does not say so."""
    # some .avi files count ticks of a clock: their average rate is that of the ticks
    rates = [rate for rate in (track.average_rate, track.guessed_rate) if rate]
    return float(min(rates, default=default))


def said_length(container: Any, track: Any) -> float:
    """Return how many seconds a file says that it lasts, 0 if it does not."""
    start, whole = (
        max(0, ticks or 0) / 10**6 for ticks in (container.start_time, container.duration)
    )
    if container.format.name.startswith(FROM_ZERO):
        whole -= start
    return max(whole, float(track.frames / (track.average_rate or math.inf)))
