"""``adacl video``, and the option that all of its commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adacl.errors import ConfigError

if TYPE_CHECKING:
    from adacl.data.video import Clip

app = typer.Typer(help="Learn from normal footage, and find what is not normal in a video.")

FrameRateOption = Annotated[
    float | None,
    typer.Option(min=0.1, help="Frames per second of folders of frames; by default 25."),
]


def clips_of(sources: Sequence[str], frame_rate: float | None) -> list[Clip]:
    """Find the clips in the sources of a command.

    Raises
    ------
    ConfigError
        If a frame rate is given, and all clips are video files, which have their own.
    MissingDataError
        As :func:`adacl.data.clips.list_clips` does.
    """
    from adacl.data.clips import list_clips
    from adacl.data.video import FRAME_RATE

    clips = list_clips(sources, frame_rate or FRAME_RATE)
    files = (isinstance(clip.source, Path) and clip.source.is_file() for clip in clips)
    if frame_rate is not None and all(files):
        raise ConfigError(
            f"--frame-rate {frame_rate:g}: is for folders of frames; {clips[0].source} is a video "
            "file, which has its own frame rate; leave the option out"
        )
    return clips


def clip_of(source: str, frame_rate: float | None) -> Clip:
    """Return the clip that the source of a command is.

    Raises
    ------
    ConfigError
        If it holds more than one clip, or as :func:`clips_of` does.
    """
    clips = clips_of([source], frame_rate)
    if len(clips) > 1:
        raise ConfigError(f"{source}: holds {len(clips)} clips; give one at a time")
    return clips[0]
