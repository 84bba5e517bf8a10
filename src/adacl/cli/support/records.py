"""The records that commands write: a table for people, CSV or JSON lines for programs."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from adacl.cli.support.streams import escaped
from adacl.errors import DataError
from adacl.files import atomic_file

if TYPE_CHECKING:
    from adacl.model.scoring import FileScore

Format = Literal["table", "jsonl", "csv"]
FORMS: dict[str, Literal["csv", "jsonl"]] = {".csv": "csv", ".jsonl": "jsonl"}
"""By the ending of a file."""

TILE_COLUMNS = ["tile_top", "tile_left"]
MAP_COLUMNS = ["regions"]


class RecordWriter:
    """Writes each record at once, as a line of JSON or a row of CSV.

    In a row, ``tile`` takes the columns ``tile_top`` and ``tile_left``, empty if there is none, and
    ``regions`` are written as JSON.

    Parameters
    ----------
    file
        Where the records go.
    columns
        Names of the columns of CSV, which begins with them; without them JSON lines are written.
    headed
        Whether the file begins with them already.
    """

    def __init__(self, file: IO[str], columns: Sequence[str] | None, headed: bool = False) -> None:
        self.file = file
        self.row = io.StringIO()
        self.rows = csv.DictWriter(self.row, columns) if columns else None
        if self.rows and not headed:
            self.rows.writeheader()
            self._end_row()

    def write(self, record: dict[str, Any]) -> None:
        """Write a record."""
        if self.rows:
            tile = record.get("tile") or ()
            row = {name: value for name, value in record.items() if name != "tile"}
            if regions := record.get("regions"):
                row["regions"] = json.dumps(regions)
            self.rows.writerow(row | dict(zip(TILE_COLUMNS, tile, strict=False)))
            self._end_row()
        else:
            self.file.write(json.dumps(record) + "\n")
        self.file.flush()

    def _end_row(self) -> None:
        """Write the row, which ends in CR LF so that both are quoted in names, as a line."""
        self.file.write(self.row.getvalue().removesuffix("\r\n") + "\n")
        self.row.seek(0)
        self.row.truncate()


@contextmanager
def opened(output: Path | None, live: bool = False) -> Iterator[IO[str]]:
    """Open a file to write text to, or stdout if there is none.

    The file appears once it is complete; a ``live`` one, which may never be, at once, and what is
    in it from earlier runs stays.
    """
    if output is None:
        yield sys.stdout
    elif live:
        with output.open("a", buffering=1, encoding="utf-8") as file:
            if _is_torn(output):
                file.write("\n")
            yield file
    else:
        with atomic_file(output, "w") as file:
            yield file


def _is_torn(output: Path) -> bool:
    """Return whether the last line of a file has no end, as after a kill or on a full disk."""
    with output.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() not in (b"", b"\n")


def is_headed(output: Path | None, columns: Sequence[str]) -> bool:
    """Return whether a file of a live stream has the head of its table from an earlier run.

    Raises
    ------
    DataError
        If it has another one.
    """
    if output is None or not output.exists() or not output.stat().st_size:
        return False
    with output.open(encoding="utf-8", errors="replace") as file:
        head = file.readline().rstrip("\n")
    if head != ",".join(columns):
        raise DataError(
            f"{output}: holds something else than records of this kind, to which new ones would be "
            "added; name another file"
        )
    return True


def form_of(output: Path | None) -> Literal["csv", "jsonl"] | None:
    """Return the format that the name of a file tells, if it does."""
    return FORMS.get(output.suffix.lower()) if output else None


def write_records(
    output: Path | None,
    form: Format,
    scores: Iterator[FileScore],
    threshold: float,
    tiled: bool,
    mapped: bool,
) -> None:
    """Write the scores of images as they come, to a file or to stdout.

    Images above ``threshold`` are labelled anomalous; ``tiled`` says whether scores name tiles,
    ``mapped`` whether they name regions.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    from adacl.model.scoring import record_of

    columns = ["image_path", "pred_score", "pred_label", "raw_score"]
    columns += TILE_COLUMNS * tiled + ["remark"] + MAP_COLUMNS * mapped
    with opened(output) as file:
        if form == "table":
            _write_table(file, scores, threshold, tiled)
            return
        writer = RecordWriter(file, columns if form == "csv" else None)
        for score in scores:
            writer.write({"image_path": str(score.path), **record_of(score, threshold)})


def _write_table(file: IO[str], scores: Iterator[FileScore], threshold: float, tiled: bool) -> None:
    print(f"pred_score  pred_label  {'tile' * tiled:{11 * tiled}}image_path", file=file)
    for s in scores:
        label = "ANOMALOUS" if s.raw > threshold else "normal"
        corner = "{},{}".format(*s.tile) if s.tile else ""
        remark = f"  ({s.remark})" if s.remark else ""
        path = escaped(str(s.path))
        print(f"{s.score:10.4f}  {label:10}  {corner:{11 * tiled}}{path}{remark}", file=file)
