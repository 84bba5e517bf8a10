"""Parquet files of a run: made in memory, because they are written and read as a whole."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from adacl.errors import DataError
from adacl.scale.storage import Folder


class DamagedError(DataError):
    """A file of a run is not what was written."""


def written(schema: Any, columns: Iterable[Any], metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of a Parquet file with these columns, in the order of the schema."""
    arrays = [pa.array(values, kind.type) for values, kind in zip(columns, schema, strict=True)]
    file = io.BytesIO()
    table = pa.Table.from_arrays(arrays, schema=schema.with_metadata(metadata))
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


def opened(folder: Folder, name: str) -> Any:
    """Return a Parquet file of a run, open, whose columns are not decoded yet.

    Raises
    ------
    DamagedError
        If it is not there, or damaged.
    DataError
        If the storage does not answer.
    """
    content = folder.read(name)
    if content is None:
        raise DamagedError(f"{folder.url(name)}: no such file")
    try:
        return pq.ParquetFile(io.BytesIO(content), pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(folder, name, error) from error


def read(folder: Folder, name: str) -> Any:
    """Return the table in a Parquet file of a run; raises as :func:`opened`."""
    return decoded(opened(folder, name), folder, name)


def decoded(file: Any, folder: Folder, name: str) -> Any:
    """Return the table in a Parquet file of a run that is open; raises as :func:`opened`.

    In this thread alone: of pyarrow's own threads some may still begin when the program ends, which
    then aborts.
    """
    try:
        return file.read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(folder, name, error) from error


def _damaged(folder: Folder, name: str, error: Exception) -> DamagedError:
    return DamagedError(f"{folder.url(name)}: not a sound Parquet file ({error})")
