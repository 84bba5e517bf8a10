"""List the frames of a folder in order, and tell where each stands by its number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from adacl.data.image_files import EXTENSIONS

TIME_OF_DAY = re.compile(
    r".*(19|20)\d\d(-?)(0[1-9]|1[0-2])\2([0-2]\d|3[01])\D?([01]\d|2[0-3])[0-5]\d[0-5]\d\d*"
)
"""Date and time in a name, the digits of the time together: they do not count frames."""


def frame_files(folder: Path) -> list[Path]:
    """List the images of a folder, in the order of :func:`natural`."""
    return [
        path
        for path in natural(folder)
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
    ]


def natural(folder: Path) -> list[Path]:
    """List a folder with numbers in names in the order of their values."""

    def key(path: Path) -> list[tuple[int, str]]:
        parts = re.split(r"(\d+)", path.name)
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]

    return sorted(folder.iterdir(), key=key)


def places(paths: Sequence[Path]) -> list[int]:
    """Return where each frame of a folder stands, by the numbers in their names if they count."""
    found = [re.fullmatch(r"(.*?)(\d+)", path.stem) for path in paths]
    numbers = [int(match[2]) for match in found if match]
    steps = np.diff(numbers)
    plain = list(range(len(paths)))
    if len(numbers) < max(3, len(paths)) or len({match[1] for match in found if match}) > 1:
        return plain
    if all(TIME_OF_DAY.fullmatch(path.stem) for path in paths):
        return plain
    usual = int(np.median(steps))
    if min(steps) < 1 or (steps % usual).any():
        return plain
    return [(number - numbers[0]) // usual for number in numbers]
