"""Lists of image files: Parquet and CSV with a column ``path``, and text with a path a line.

Paths are taken relative to the folder of the list.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from adacl.errors import DataError, missing_extra
from adacl.files import open_regular

LISTS = frozenset({".parquet", ".csv", ".txt"})
COLUMN = "path"
ROWS = 10_000
"""Rows of a Parquet file that are read at once."""


def is_list(path: Path) -> bool:
    """Tell whether a path names a list of image files, by its ending."""
    return path.suffix.lower() in LISTS and not path.is_dir()


def read_list(path: Path) -> Iterator[Path]:
    """Yield the image files that a list names, one after another.

    Raises
    ------
    DataError
        If it cannot be read, or has no column ``path`` of text.
    MissingExtraError
        If it is a Parquet file and pyarrow is not installed.
    """
    try:
        with open_regular(path) as file:
            for name in names_in(file, path):
                yield path.parent / name
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as a list of images ({reason})") from error


def names_in(file: IO[bytes], path: Path | str) -> Iterator[str]:
    """Yield the names in a list that is open as a file, just as they are written.

    Raises
    ------
    DataError, MissingExtraError
        As for :func:`read_list`.
    """
    rows = {".parquet": _of_parquet, ".csv": _of_csv, ".txt": _of_text}
    try:
        for name in rows[Path(path).suffix.lower()](file, path):
            if not isinstance(name, str):
                raise DataError(f"{path}: its column {COLUMN} holds {name!r}, which is no path")
            if name.strip():
                yield name.strip()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: cannot be read as a list of images ({error}); save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise DataError(
            f"{path}: cannot be read as a list of images ({error}); check its quotation marks"
        ) from error


def _of_text(file: IO[bytes], _path: Path | str) -> Iterator[str]:
    yield from io.TextIOWrapper(file, encoding="utf-8-sig")


def _of_csv(file: IO[bytes], path: Path | str) -> Iterator[Any]:
    rows = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), strict=True)
    names = rows.fieldnames or ()
    check_commas(path, names)
    _check_column(path, names)
    for row in rows:
        name = row[COLUMN] or ""
        if not name.strip() and any(row.values()):  # rows without any value end many tables
            raise DataError(
                f"{path}, line {rows.line_num}: names no image; fill its {COLUMN} in, or remove it"
            )
        yield name


def check_commas(path: Path | str, names: Sequence[str]) -> None:
    """Check that commas separate the columns of a CSV file, by their names.

    Raises
    ------
    DataError
        If semicolons or tabs do.
    """
    if len(names) == 1 and any(separator in names[0] for separator in ";\t"):
        raise DataError(
            f"{path}: a semicolon or a tab separates its columns, {names[0]!r}; save it with commas"
        )


def _of_parquet(file: IO[bytes], path: Path | str) -> Iterator[Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise missing_extra(error) from error

    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            _check_column(path, table.schema_arrow.names)
            for batch in table.iter_batches(ROWS, columns=[COLUMN]):
                yield from batch.column(0).to_pylist()
    except pyarrow.ArrowException as error:
        raise DataError(f"{path}: not a sound Parquet file ({error})") from error


def _check_column(path: Path | str, names: Iterable[str]) -> None:
    names = list(names)
    if COLUMN not in names:
        raise DataError(
            f"{path}: no column {COLUMN} that names the images; its columns are "
            f"{', '.join(names[:8]) or 'none'}"
        )


def with_folders(roots: Iterable[Path]) -> list[Path]:
    """Return files and folders as they are, and of lists the folders that their images lie in."""
    found: dict[Path, None] = {}
    for root in roots:
        if is_list(root):
            found.update(dict.fromkeys(path.parent for path in read_list(root)))
        else:
            found[root] = None
    return list(found)


def root_of(path: Path, roots: Iterable[Path]) -> Path:
    """Return the first of some files and folders, from :func:`with_folders`, that an image is in.

    Raises
    ------
    DataError
        If it is in none, because its list has changed since.
    """
    for root in roots:
        if root == path or root in path.parents:
            return root
    raise DataError(
        f"{path}: the list that names it was changed meanwhile; leave it as it is until the "
        "command ends"
    )
