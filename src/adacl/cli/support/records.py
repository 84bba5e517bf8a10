"""The records that ``adacl score`` writes: a table for people, CSV or JSON lines for programs."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from adacl.files import atomic_file

if TYPE_CHECKING:
    from adacl.model.scoring import FileScore

__all__ = ["Format", "write_records"]


class Format(StrEnum):
    """How records are written."""

    table = "table"
    jsonl = "jsonl"
    csv = "csv"


def write_records(
    output: Path | None, form: Format, scores: Iterator[FileScore], threshold: float, tiled: bool
) -> None:
    """Write scores as they come, to a file or to stdout.

    Images above ``threshold`` are labelled anomalous; ``tiled`` says whether scores name tiles.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    write = {Format.table: _write_table, Format.jsonl: _write_jsonl, Format.csv: _write_csv}
    with _opened(output) as file:
        write[form](file, scores, threshold, tiled)


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[str]]:
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # names of files need not be UTF-8
            sys.stdout.reconfigure(errors="surrogateescape")
        yield sys.stdout
    else:
        with atomic_file(output, "w") as file:
            yield file


def _write_table(file: IO[str], scores: Iterator[FileScore], threshold: float, tiled: bool) -> None:
    print(f"pred_score  pred_label  {'tile' * tiled:{11 * tiled}}image_path", file=file)
    for s in scores:
        label = "ANOMALOUS" if s.raw > threshold else "normal"
        place = "{},{}".format(*s.tile) if s.tile else ""
        print(f"{s.score:10.4f}  {label:10}  {place:{11 * tiled}}{s.path}", file=file)


def _record(score: FileScore, threshold: float) -> dict[str, Any]:
    record = {
        "image_path": str(score.path),
        "pred_score": score.score,
        "pred_label": int(score.raw > threshold),
        "raw_score": score.raw,
    }
    return record | ({"tile": list(score.tile)} if score.tile else {})


def _write_jsonl(file: IO[str], scores: Iterator[FileScore], threshold: float, tiled: bool) -> None:
    for s in scores:
        print(json.dumps(_record(s, threshold)), file=file)


def _write_csv(file: IO[str], scores: Iterator[FileScore], threshold: float, tiled: bool) -> None:
    columns = ["image_path", "pred_score", "pred_label", "raw_score"]
    columns += ["tile_top", "tile_left"] if tiled else []
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for s in scores:
        record = _record(s, threshold)
        writer.writerow([*(record[name] for name in columns[:4]), *(s.tile or ())])
