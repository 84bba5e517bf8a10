"""Which frames of clips are abnormal, as a file of intervals or of labels tells."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from adacl.data.video import Clip
from adacl.errors import DataError, MissingDataError

Mask = NDArray[np.bool_]
Kind = Literal["first_frame", "start", "label"]

COLUMNS: dict[Kind, tuple[str, str]] = {
    "first_frame": ("first_frame", "last_frame"),
    "start": ("start", "end"),
    "label": ("frame", "label"),
}
"""The first of these whose columns the file has is what it tells."""
SEPARATORS = (",", ";", "\t")
"""The first of these by which the head has such columns separates them."""
ROUNDING = 5.1e-4
"""Seconds by which a time may differ from that of its frame: our own tables have milliseconds."""


@dataclass(frozen=True)
class Truth:
    """What a file of ground truth says.

    It is a CSV file with a head, in capitals or not, separated by commas, by tabs, or by semicolons
    (then numbers may have a decimal comma). Its columns are ``first_frame`` and ``last_frame``
    (numbers from 0, both abnormal), or ``start`` and ``end`` (seconds), one row for each abnormal
    interval; or ``frame`` and ``label`` (1 for abnormal), one row for each frame. A column ``clip``
    names the clip, if there are several. Clips without an interval are normal.

    Parameters
    ----------
    path
        The file.
    kind
        What it tells, by the first of its two columns.
    rows
        Of each clip, the values of the two columns.
    """

    path: Path
    kind: Kind
    rows: dict[str, list[tuple[float, float]]]

    @classmethod
    def read(cls, path: Path, clips: Sequence[Clip]) -> Self:
        """Read what a file says of these clips.

        Raises
        ------
        MissingDataError, DataError
            If it is not there, cannot be understood, or is about other clips.
        """
        meant = _meant(clips)
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                first = file.readline()  # a pipe cannot be read twice
                separator, kind = _form(first)
                table = csv.DictReader(chain([first], file), delimiter=separator, strict=True)
                head = _columns(table.fieldnames or [])
                table.fieldnames = head
                if kind is None:
                    raise DataError(
                        f"{path}: needs a head with the columns first_frame,last_frame or "
                        f"start,end or frame,label, and clip for several clips; has "
                        f"{','.join(head) or 'none'}"
                    )
                if "clip" not in head and len(clips) > 1:
                    raise DataError(f"{path}: needs a column clip, since {len(clips)} are scored")
                found: dict[str, list[tuple[float, float]]] = {}
                for row in table:
                    where = f"{path}, line {table.line_num}"
                    clip = (row.get("clip") or "").strip() if "clip" in head else clips[0].name
                    if clip not in meant:
                        raise DataError(f"{where}: no clip {clip!r}; scored are {_listed(clips)}")
                    if (name := meant[clip]) is None:
                        raise DataError(
                            f"{where}: {clip!r} is the file of several clips; scored are "
                            f"{_listed(clips)}"
                        )
                    found.setdefault(name, []).append(_pair(row, kind, separator == ";", where))
        except FileNotFoundError as error:
            raise MissingDataError(f"{path}: no such file") from error
        except csv.Error as error:
            raise DataError(
                f"{path}: cannot be read as CSV ({error}); check its quotation marks"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read as CSV ({error})") from error
        return cls(path, kind, found)

    def abnormal(self, clip: Clip, times: NDArray[np.float64]) -> Mask:
        """Return which frames (F,) of a clip are abnormal, given their times in seconds.

        Raises
        ------
        DataError
            If it speaks of frames that the clip has not, leaves out frames, or labels one twice.
        """
        count = len(times)
        marked = np.zeros(count, bool)
        rows = self.rows.get(clip.name, [])
        if self.kind == "start":
            for start, end in rows:
                if start - ROUNDING > times[-1]:
                    raise DataError(
                        f"{self.path}: {clip.name} has an interval from {start:g} s on, but ends "
                        f"at {times[-1]:.2f} s"
                    )
                inside = (times >= start - ROUNDING) & (times <= end + ROUNDING)
                if not inside.any():
                    raise DataError(
                        f"{self.path}: no frame of {clip.name} lies between {start:g} and {end:g} "
                        "s; widen the interval, or remove it"
                    )
                marked |= inside
            return marked
        for first, last in rows:
            number = first if self.kind == "label" else last
            if number >= count:
                raise DataError(
                    f"{self.path}: names frame {number:g} of {clip.name}, which has "
                    f"{count} frames, from 0 on"
                )
            if self.kind == "label":
                marked[int(first)] = bool(last)
            else:
                marked[int(first) : int(last) + 1] = True
        if self.kind == "label" and (told := len({first for first, _ in rows})) < count:
            raise DataError(f"{self.path}: tells of {told} of the {count} frames of {clip.name}")
        if self.kind == "label" and len(set(rows)) > count:
            raise DataError(
                f"{self.path}: labels a frame of {clip.name} with 0 and with 1; keep one"
            )
        return marked


def _form(head: str) -> tuple[str, Kind | None]:
    """Return what separates the columns by the first line, and what the file tells, if known."""
    for separator in SEPARATORS:
        names = _columns(next(csv.reader([head], delimiter=separator), []))
        for kind, pair in COLUMNS.items():
            if set(pair) <= set(names):
                return separator, kind
    return SEPARATORS[0], None


def _columns(names: Iterable[str]) -> list[str]:
    return [name.strip().lower() for name in names]


def _meant(clips: Sequence[Clip]) -> dict[str, str | None]:
    """Return the name of the clip that each name in a file means; None if that is not clear."""
    found: dict[str, str | None] = {}
    for clip in clips:
        for name in _names(clip):
            found[name] = clip.name if found.get(name, clip.name) == clip.name else None
    return found | {clip.name: clip.name for clip in clips}


def _names(clip: Clip) -> tuple[str, ...]:
    """Return what a file may call a clip."""
    if isinstance(clip.source, Path):
        return clip.name, clip.source.name, str(clip.source)
    return (clip.name,)


def _listed(clips: Sequence[Clip]) -> str:
    names = [clip.name for clip in clips[:5]]
    return ", ".join(names) + ", …" * (len(clips) > 5)


def _pair(row: dict[str, str], kind: Kind, decimal_comma: bool, where: str) -> tuple[float, float]:
    texts = [(row.get(column) or "").strip() for column in COLUMNS[kind]]
    try:
        first, last = (float(text.replace(",", ".") if decimal_comma else text) for text in texts)
    except ValueError as error:
        raise DataError(f"{where}: need two numbers, got {', '.join(map(repr, texts))}") from error
    whole = kind == "start" or (first.is_integer() and last.is_integer())
    sound = math.isfinite(first) and math.isfinite(last) and first >= 0 and whole
    if kind == "label":
        if not sound or last not in (0, 1):
            raise DataError(f"{where}: need the number of a frame and the label 0 or 1")
    elif not sound or last < first:
        raise DataError(
            f"{where}: need an interval that begins at 0 or later and does not end before it begins"
        )
    return first, last
