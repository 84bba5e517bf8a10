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


def opened(folder: Folder, name: str, schema: Any) -> Any:
    """Return a Parquet file of a run, open, whose columns are not decoded yet.

    Raises
    ------
    DamagedError
        If it is not there, or damaged, or its columns are not those of the schema.
    DataError
        If the storage does not answer.
    """
    content = folder.read(name)
    if content is None:
        raise DamagedError(f"{folder.url(name)}: no such file")
    try:
        file = pq.ParquetFile(io.BytesIO(content), pre_buffer=False)
        sound = file.schema_arrow.equals(schema)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(folder, name, error) from error
    if not sound:
        raise DamagedError(f"{folder.url(name)}: not the columns that adacl scale score writes")
    return file


def read(folder: Folder, name: str, schema: Any) -> Any:
    """Return the table in a Parquet file of a run; raises as :func:`opened`."""
    return decoded(opened(folder, name, schema), folder, name)


def decoded(file: Any, folder: Folder, name: str) -> Any:
    """Return the table in a Parquet file of a run that is open; raises as :func:`opened`.

    In this thread alone: of pyarrow's own threads some may still begin when the program ends, which
    then aborts.
    """
    try:
        table = file.read(use_threads=False)
        table.validate(full=True)  # its texts may be no UTF-8
    except (pa.ArrowException, OSError) as error:
        raise _damaged(folder, name, error) from error
    return table


def _damaged(folder: Folder, name: str, error: Exception) -> DamagedError:
    return DamagedError(f"{folder.url(name)}: not a sound Parquet file ({error})")
