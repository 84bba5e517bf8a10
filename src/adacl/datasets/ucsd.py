"""The UCSD pedestrian tree: clips of ``Train`` and ``Test``, and which frames are abnormal.

Li, Mahadevan, Vasconcelos: Anomaly detection and localization in crowded scenes, 2014. The
ground truth of ``Test/UCSDped?.m`` names the abnormal frames of each test clip, counted from 1.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adacl.data.clips import list_clips
from adacl.data.video import Clip
from adacl.errors import DataError, MissingDataError

Spans = list[tuple[int, int]]


def clips(root: Path, part: str) -> list[Clip]:
    """Return the clips of ``root/Train`` or ``root/Test``, in the order of their numbers.

    Raises
    ------
    MissingDataError
        If the folder is not there or holds no ``{part}001``.
    """
    folder = root / part
    if not folder.is_dir():
        raise MissingDataError(
            f"{root}: has no folder {part}; name the folder UCSDped1 or UCSDped2, in which "
            "Train and Test are"
        )
    found = [
        clip for clip in list_clips(folder) if re.fullmatch(rf"{part}\d+", clip.name)
    ]  # fmt: skip
    if not found:
        raise MissingDataError(f"{folder}: has no folders of frames like {part}001")
    return found


def read_ground_truth(root: Path) -> dict[str, Spans]:
    """Return the abnormal spans of each test clip, first and last frame counted from 1.

    Raises
    ------
    MissingDataError
        If there is no ``Test/UCSDped?.m``.
    DataError
        If it cannot be understood.
    """
    files = sorted((root / "Test").glob("UCSDped*.m"))
    if not files:
        raise MissingDataError(f"{root / 'Test'}: has no UCSDped1.m or UCSDped2.m")
    text = files[0].read_text(encoding="latin-1")
    spans_of = {}
    for number, listed in enumerate(re.findall(r"gt_frame\s*=\s*\[([^\]]*)\]", text), start=1):
        spans = [
            (int(first), int(last or first))
            for first, last in re.findall(r"(\d+)\s*(?::\s*(\d+))?", listed)
        ]
        if any(first < 1 or last < first for first, last in spans):
            raise DataError(f"{files[0]}: clip {number} has the spans [{listed}]")
        spans_of[f"Test{number:03d}"] = spans
    if not spans_of:
        raise DataError(f"{files[0]}: has no line with gt_frame = [first:last]")
    return spans_of


def abnormal_frames(spans: Spans, count: int) -> NDArray[np.bool_]:
    """Return for each of ``count`` frames whether it is abnormal (count,).

    Raises
    ------
    DataError
        If a span ends after the last frame, so that frames must be missing.
    """
    abnormal = np.zeros(count, bool)
    for first, last in spans:
        if last > count:
            raise DataError(f"the ground truth goes up to frame {last}, the clip has {count}")
        abnormal[first - 1 : last] = True
    return abnormal
