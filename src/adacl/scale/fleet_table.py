"""Write what is known of a fleet's models: two tables and a page."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from jinja2 import Environment, PackageLoader, StrictUndefined

from adacl._version import __version__
from adacl.files import atomic_file
from adacl.scale.fleet import TABLE
from adacl.scale.fleet_fit import GRADES, Record

PARQUET, PAGE = "models.parquet", "index.html"

SCHEMA = pa.schema(
    [
        pa.field("name", pa.string()),
        pa.field("grade", pa.string()),
        pa.field("verdict", pa.string()),
        pa.field("warnings", pa.string()),
        pa.field("sensitive", pa.string()),
        pa.field("model", pa.string()),
        pa.field("normals", pa.int64()),
        pa.field("threshold", pa.float64()),
        pa.field("fpr", pa.float64()),
        pa.field("upper_bound", pa.float64()),
        pa.field("validation_auroc", pa.float64()),
        pa.field("seconds", pa.float64()),
        pa.field("preset", pa.string()),
        pa.field("settings", pa.string()),
        pa.field("source", pa.string()),
        pa.field("version", pa.string()),
    ]
)


def write_tables(out: Path, records: Sequence[Record]) -> None:
    """Write ``models.csv``, ``models.parquet`` and ``index.html`` of all models of a folder.

    Raises
    ------
    DataError
        If they cannot be written.
    """
    records = [_written(record) for record in records]
    rows = [_row(record) for record in records]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), file)
    with atomic_file(out / PARQUET) as target:
        target.write(file.getvalue())
    with atomic_file(out / TABLE, "w") as target:
        target.writelines(_lines(rows))
    with atomic_file(out / PAGE, "w") as target:
        target.write(_page(records))


def _written(record: Record) -> Record:
    """Return a record whose texts can be written: names of files may be no UTF-8."""

    def text(value: Any) -> Any:
        if isinstance(value, list):
            return [text(word) for word in value]
        if not isinstance(value, str):
            return value
        return value.encode(errors="backslashreplace").decode()

    return {name: text(value) for name, value in record.items()}


def _lines(rows: Sequence[Record]) -> Iterator[str]:
    r"""Yield the lines of a CSV file; where they end in ``\r\n``, csv quotes each of the two."""
    for row in [dict(zip(SCHEMA.names, SCHEMA.names, strict=True)), *rows]:
        line = io.StringIO(newline="")
        csv.DictWriter(line, SCHEMA.names).writerow(row)
        yield line.getvalue().removesuffix("\r\n") + "\n"


def _row(record: Record) -> dict[str, Any]:
    row = {name: record.get(name) for name in SCHEMA.names}
    return row | {
        "warnings": "; ".join(record["warnings"]),
        "settings": "; ".join(record["settings"]),
    }


def _page(records: Sequence[Record]) -> str:
    environment = Environment(
        loader=PackageLoader("adacl.scale"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counts = Counter(record["grade"] for record in records)
    grades = [(grade, counts[grade]) for grade in GRADES if counts[grade]]
    known = [{"next": [], "sensitive": "", **record} for record in records]
    page: str = environment.get_template("fleet.html.j2").render(
        records=known, grades=grades, version=__version__
    )
    return page
