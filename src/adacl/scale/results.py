"""Read the results of a run back, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adacl.data.reading import Skipped
from adacl.model.scoring import FileScore
from adacl.scale import tables
from adacl.scale.parts import FOLDER, SCHEMA, Row
from adacl.scale.storage import Folder, path_of

NAMED = 1_000
"""Images that failed, which a report names at most."""


def rows_of(folder: Folder) -> Iterator[Row]:
    """Yield the results of all images, a unit of work in memory at a time.

    Raises
    ------
    DataError
        If results are damaged.
    """
    for name in folder.names(FOLDER):
        table = tables.read(folder, f"{FOLDER}/{name}", SCHEMA)
        for batch in table.to_batches():
            columns = [column.to_pylist() for column in batch.columns]
            yield from (Row(*values) for values in zip(*columns, strict=True))


def file_scores(folder: Folder, skipped: list[Skipped]) -> Iterator[FileScore]:
    """Yield the scores of a run as those of files; the first that failed are ``skipped``."""
    for row in rows_of(folder):
        if row.raw_score is None or row.pred_score is None:
            if len(skipped) < NAMED:
                skipped.append((Path(path_of(row.path)), row.reason))
        else:
            path = Path(path_of(row.path))
            yield FileScore(path, row.raw_score, row.pred_score, None, remark=row.remark)
