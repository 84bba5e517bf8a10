"""Append records to a JSONL file that several processes may share, and read them back.

A record is one line, written under a lock. A process that is killed while it writes leaves at most
a torn last line, which readers skip and the next writer removes.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import IO, Any

from adacl.errors import DataError
from adacl.files import read_whole

Record = dict[str, Any]


def append(path: Path, record: Record) -> None:
    """Append a record; it is on the disk when this returns.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    line = json.dumps(record).encode() + b"\n"
    try:
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _mend(file)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error


def read(path: Path) -> list[Record]:
    """Read all records of a file, none if it is not there.

    Raises
    ------
    DataError
        If a line is damaged, other than a last one that was torn.
    MissingDataError
        If the file cannot be read.
    """
    if not path.exists():
        return []
    *lines, last = read_whole(path).split(b"\n")
    records = []
    for number, line in enumerate(lines, 1):
        record = _parse(line)
        if record is None:
            raise DataError(f"{path}, line {number}: damaged; delete the line and repeat its run")
        records.append(record)
    unended = _parse(last)
    return records if unended is None else [*records, unended]


def _parse(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except (RecursionError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _mend(file: IO[bytes]) -> None:
    """Let a file end with a whole line: end the last one, or remove it if it is torn."""
    size = file.seek(0, os.SEEK_END)
    if not size:
        return
    file.seek(size - 1)
    if file.read() == b"\n":
        return
    file.seek(0)
    last = file.read().rpartition(b"\n")[2]
    if _parse(last) is None:
        file.truncate(size - len(last))
    else:
        file.write(b"\n")
