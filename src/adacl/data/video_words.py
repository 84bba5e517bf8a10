"""Say in plain words why a video or stream cannot be read, and name addresses without secrets."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

VIDEO_EXTENSIONS = frozenset(
    {".avi", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"}
)
FOR_VIDEOS = "for videos use adacl video fit, score, evaluate, calibrate or explain"
"""What images were looked for in may be videos."""
ADDRESS = "check the address, the network, and that the camera is on"
WORDS = {
    "HTTPUnauthorizedError": "it asks for a name and a password: write NAME:PASSWORD@ after the ://",
    "HTTPForbiddenError": "access is refused; check name, password and rights at the camera",
    "HTTPNotFoundError": "there is nothing under this path; check the end of the address",
    "HTTPServerError": "the camera or server reports an error of its own",
    "HTTPClientError": "the camera or server refuses the request; check the address",
    "ConnectionRefusedError": f"nothing answers there; {ADDRESS}",
    "ConnectionError": "the connection was closed by the other side",
    "TimeoutError": f"no answer in time; {ADDRESS}",
    "ExitError": f"nothing came in time; {ADDRESS}",
    "ProtocolNotFoundError": "this kind of address is not known; known are rtsp, http, udp, tcp, …",
    "InvalidDataError": "not a video, or damaged",
    "DemuxerNotFoundError": "this kind of video is not known",
    "DecoderNotFoundError": "this kind of video cannot be decoded; convert it to H.264 in .mp4",
    "EOFError": "it ends before the first frame",
}
"""By the name of the error, of the video library's or Python's; the first match along its bases."""


def is_video(path: Path) -> bool:
    """Return whether a file is named as a video."""
    return path.suffix.lower() in VIDEO_EXTENSIONS


def plain_words(error: Exception, live: bool) -> str:
    """Say why the video library failed, and what to check.

    Parameters
    ----------
    error
        What it raised.
    live
        Whether a stream was read, not a file.
    """
    for kind in type(error).__mro__:
        if kind.__name__ in WORDS:
            return WORDS[kind.__name__]
    reason = str(getattr(error, "strerror", None) or error)
    if live and reason == "Input/output error":
        return f"no video comes from there; {ADDRESS}"
    return reason[:1].lower() + reason[1:]


def shown_address(address: str) -> str:
    """Return an address to show: without name and password, and without what follows a ``?``."""
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
    except ValueError:
        return address.partition("://")[0] + "://…"
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "…" if parts.query else "", ""))
