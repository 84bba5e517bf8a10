"""Find clips in video files, folders of frames and addresses of streams."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from adacl.data.frame_folders import frame_files, natural
from adacl.data.image_files import EXTENSIONS
from adacl.data.video import FRAME_RATE, Clip
from adacl.data.video_words import VIDEO_EXTENSIONS, is_video, shown_address
from adacl.errors import ConfigError, InputError, MissingDataError

MASKS = "_gt"

log = logging.getLogger("adacl")


def list_clips(
    sources: str | Path | Sequence[str | Path | Clip], frame_rate: float = FRAME_RATE
) -> list[Clip]:
    """Find the clips in video files, folders and stream addresses.

    A folder with images is one clip; otherwise each folder of images and each video file below
    it is one, in natural order of their names. Folders whose names end with ``_gt`` hold
    ground truth and are passed over. An address, with ``://`` in it, is a live stream, as is a
    device of Linux, such as ``/dev/video0``. Clips are taken as they are.

    Raises
    ------
    MissingDataError
        If a source is not there, or holds no clip.
    InputError
        If a source is none of these.
    ConfigError
        If a folder holds images and videos, so that it is not clear what its clips are, or a file
        is given as an address.
    """
    found: list[Clip] = []
    one = isinstance(sources, str) or not isinstance(sources, Iterable)
    given: Iterable[object] = [sources] if one else sources  # type: ignore[assignment]
    for source in given:
        if not isinstance(source, str | os.PathLike | Clip):
            raise InputError(
                "footage: need video files, folders of frames or addresses, or a list of them, got "
                f"{type(source).__name__}"
            )
        if isinstance(source, Clip):
            found.append(source)
            continue
        if str(source).startswith("file://"):
            raise ConfigError(
                f"{source}: a file, not a stream; name it by its path, without file://"
            )
        if "://" in str(source) or Path(source).is_char_device():
            found.append(Clip(shown_address(str(source)), str(source), frame_rate))
            continue
        path = Path(source)
        if not path.exists():
            raise MissingDataError(f"{path}: no such file or folder")
        clips = list(_below(path, frame_rate)) if path.is_dir() else [
            Clip(path.stem, path, frame_rate)
        ]  # fmt: skip
        if not clips:
            raise MissingDataError(
                f"{path}: neither frames ({_kinds(EXTENSIONS)}) nor videos "
                f"({_kinds(VIDEO_EXTENSIONS)}) in it"
            )
        found += clips
    if not found:
        raise MissingDataError("footage: an empty list; name a video or a folder of frames")
    return found


def _below(root: Path, frame_rate: float) -> Iterator[Clip]:
    waiting = [root]
    own = Path(os.path.abspath(root)).name  # noqa: PTH100, keeps links; "." has no name
    while waiting:
        path = waiting.pop()
        name = own if path == root else path.relative_to(root).as_posix()
        if not path.is_dir():
            if not is_video(path):
                continue
            if path.exists() and not path.is_file():
                log.warning("skipped %s: not a file but a pipe, a socket or a device", path)
            else:
                yield Clip(Path(name).with_suffix("").as_posix(), path, frame_rate)
        elif path.is_symlink() and _leads_back(path, root):
            log.warning("skipped %s: this link leads back to a folder above it", path)
        elif frames := frame_files(path):
            _check_beside(path, frames[0])
            yield Clip(name, path, frame_rate)
        else:
            waiting += reversed(_visible(path))


def _visible(folder: Path) -> list[Path]:
    """List what may be clips in a folder."""
    return [
        path
        for path in natural(folder)
        if not path.name.startswith(".") and not path.name.endswith(MASKS)
    ]


def _check_beside(folder: Path, frame: Path) -> None:
    """Refuse videos beside frames, and warn of folders beside them, which are ignored."""
    beside = _visible(folder)
    if film := next((path for path in beside if is_video(path) and path.is_file()), None):
        raise ConfigError(
            f"{folder}: holds frames ({frame.name}) and videos ({film.name}); put them in "
            "separate folders, or name the videos"
        )
    if inner := next((path for path in beside if path.is_dir()), None):
        log.warning(
            "%s: its frames (%s, …) are one clip; the folder %s in it is ignored",
            folder, frame.name, inner.name,
        )  # fmt: skip


def _leads_back(link: Path, root: Path) -> bool:
    above = itertools.takewhile(lambda folder: folder != root.parent, link.parents)
    return link != root and any(folder.samefile(link) for folder in above)


def _kinds(extensions: frozenset[str]) -> str:
    return ", ".join(sorted(extension[1:] for extension in extensions))
