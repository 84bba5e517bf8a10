"""The kind of a file that an output would replace."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from adacl.data.image_files import EXTENSIONS
from adacl.data.lists import LISTS
from adacl.data.video_words import VIDEO_EXTENSIONS
from adacl.errors import ConfigError
from adacl.files import open_regular
from adacl.model.exported_file import is_exported

Kind = Literal["model", "export", "table", "video", "page"]

NAMED = {
    **dict.fromkeys(EXTENSIONS, ("image", "an image")),
    **dict.fromkeys(VIDEO_EXTENSIONS, ("video", "a video")),
    **dict.fromkeys(LISTS, ("table", "a list or table")),
    ".toml": ("settings", "a file of settings"),
    ".html": ("page", "a page"),
}
"""The kind of a file by the ending of its name, and what messages call it."""
OURS = frozenset({".adacl", ".onnx"})
"""Endings of files that models and exported files may replace whatever is in them."""
HEADER = b'{"__metadata__":{"adacl"'
"""What follows the length of the header in a model file."""
START = 1 << 16
"""Bytes at the start of a file that are looked at; text has no zero byte there."""


def check_kind(path: Path, kind: Kind, unknown: bool = True) -> None:
    """Check that an output of this kind replaces no file of another kind.

    With ``unknown`` models and exported files replace none of a kind that is not known, either.

    Raises
    ------
    ConfigError
        If a file of another kind is there, or a model is named as an ONNX file.
    """
    if path.is_file():
        there = _kind_of(path)
        if there is None and kind == "table" and _is_binary(path):
            there = "other", "no text"
        if there is None and kind in ("model", "export") and unknown and _is_foreign(path):
            there = "other", "no model file"
        if there and there[0] != kind:
            raise ConfigError(
                f"{path}: is {there[1]}, which would be replaced; name another output"
            )
    if kind == "model" and path.suffix.lower() == ".onnx":
        raise ConfigError(
            f"{path}: would hold a model file, which is no ONNX file; name it .adacl, and export "
            "it (adacl export)"
        )


def _kind_of(path: Path) -> tuple[str, str] | None:
    """Tell a model by its first bytes, anything else by its name; None if it is not known."""
    if is_exported(path):
        return "export", "an exported file"
    with open_regular(path) as file:
        start = file.read(8 + len(HEADER))
    if start[8:] == HEADER:
        return "model", "a model file"
    return NAMED.get(path.suffix.lower())


def _is_foreign(path: Path) -> bool:
    return path.suffix.lower() not in OURS and path.stat().st_size > 0


def _is_binary(path: Path) -> bool:
    with open_regular(path) as file:
        return b"\0" in file.read(START)
