"""The parts that a fleet of models is for: folders in a folder, or the rows of a table."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adacl.data.folders import count_images
from adacl.data.lists import check_commas
from adacl.errors import AdaclError, DataError, MissingDataError, missing_extra
from adacl.files import open_regular, resolved

TABLES = frozenset({".csv", ".parquet"})
COLUMNS = {"name", "source", "preset", "settings"}
FURTHER = "further fields"
LONGEST = 200
"""Bytes of a name, so that its files can be named."""


@dataclass(frozen=True)
class Part:
    """A part that gets a model: its name, its normal images, and how to learn from them.

    ``settings`` are ``section.setting=value``, as ``adacl fit --set`` takes them.
    """

    name: str
    source: Path
    preset: str = "auto"
    settings: tuple[str, ...] = ()

    def size(self) -> int:
        """Return the number of its images, 0 where they cannot be listed."""
        try:
            return count_images(self.source)
        except AdaclError:
            return 0


def parts_of(
    source: Path, preset: str, settings: tuple[str, ...], out: Path | None = None
) -> list[Part]:
    """Return the parts of a folder of folders, or of a table, those with most images first.

    A table is CSV or Parquet with the columns ``name`` and ``source``, a path relative to the
    table, and perhaps ``preset`` and ``settings``, separated by semicolons. The folder for the
    models, ``out``, is no part.

    Raises
    ------
    MissingDataError, DataError
        If it cannot be read, names no part, a part twice, or one whose files cannot be named.
    """
    if source.suffix.lower() in TABLES and not source.is_dir():
        parts = [_of_row(row, source, preset, settings) for row in _rows(source)]
    elif source.is_dir():
        folders = sorted(
            path
            for path in source.iterdir()
            if path.is_dir()
            and not path.name.startswith(".")
            and (out is None or resolved(path) != resolved(out))
        )
        parts = [Part(folder.name, folder.absolute(), preset, settings) for folder in folders]
    else:
        raise MissingDataError(f"{source}: no such folder or table (.csv, .parquet)")
    if out is not None and resolved(out) == resolved(source):
        raise DataError(f"{out}: is the folder of the parts; name another for the models")
    if not parts:
        raise DataError(f"{source}: has no {'folders' if source.is_dir() else 'rows'}, one a part")
    names = [part.name for part in parts]
    if unfit := [name for name in names if not _can_name_files(name)]:
        raise DataError(
            f"{source}: the part {unfit[0]!r} cannot name a file; use UTF-8, up to {LONGEST} bytes"
        )
    if twice := [name for name, count in sorted(Counter(names).items()) if count > 1]:
        raise DataError(f"{source}: names the part {twice[0]} twice")
    return sorted(parts, key=lambda part: -part.size())


def _can_name_files(name: str) -> bool:
    try:
        return len(name.encode()) <= LONGEST and "\0" not in name
    except UnicodeEncodeError:
        return False


def _rows(table: Path) -> list[dict[str, Any]]:
    try:
        if table.suffix.lower() == ".csv":
            with open_regular(table) as content:
                file = io.TextIOWrapper(content, newline="", encoding="utf-8-sig")
                reader = csv.DictReader(file, restkey=FURTHER, strict=True)
                check_commas(table, reader.fieldnames or ())
                rows: list[dict[str, Any]] = list(reader)
        else:
            rows = _of_parquet(table)
    except FileNotFoundError as error:
        raise MissingDataError(f"{table}: no such file") from error
    except csv.Error as error:
        raise DataError(
            f"{table}: cannot be read as a table of parts ({error}); check its quotation marks"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{table}: cannot be read as a table of parts ({reason})") from error
    for row in rows[:1]:
        if missing := {"name", "source"} - row.keys():
            raise DataError(f"{table}: no column {min(missing)}; it needs name and source")
        if unknown := {str(name) for name in row} - COLUMNS - {FURTHER}:
            raise DataError(
                f"{table}: unknown column {min(unknown)}; known are name, source, preset, settings"
            )
    if torn := [row["name"] for row in rows if FURTHER in row]:
        raise DataError(
            f"{table}: the row of {torn[0]} has more fields than there are columns; separate "
            "settings by semicolons, and quote what holds a comma"
        )
    return rows


def _of_parquet(table: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise missing_extra(error) from error

    try:
        with open_regular(table) as file:
            return list(pq.read_table(file).to_pylist())
    except pa.ArrowException as error:
        raise DataError(f"{table}: not a sound Parquet file ({error})") from error


def _of_row(row: dict[str, Any], table: Path, preset: str, settings: tuple[str, ...]) -> Part:
    name, source = str(row["name"] or "").strip(), str(row["source"] or "").strip()
    if not name or "/" in name or name.startswith(".") or not source:
        raise DataError(f"{table}: a row has no usable name or source ({name!r}, {source!r})")
    own = [word.strip() for word in str(row.get("settings") or "").split(";") if word.strip()]
    return Part(
        name,
        (table.parent / source).absolute(),
        str(row.get("preset") or preset).strip(),
        (*settings, *own),
    )
