"""What is particular to SQLite: how it is set up, how full it is, and a file that disappears."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Any

import sqlalchemy as sql

JOURNAL_BYTES = 4 << 20


def set_up(connection: Any, _: object) -> None:
    """Let others read while a connection writes, and what is written last on the disk."""
    with contextlib.closing(connection.cursor()) as cursor:
        for name, value in (
            ("journal_mode", "WAL"),
            ("synchronous", "FULL"),
            ("foreign_keys", "ON"),
            ("journal_size_limit", JOURNAL_BYTES),
        ):
            cursor.execute(f"PRAGMA {name} = {value}")


def used_bytes(connection: sql.Connection) -> int:
    """Return the bytes in use of an SQLite database; those of removed rows are used again."""
    pages, free, size = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def identity(file: Path | None) -> tuple[int, int] | None:
    """Return what tells a file from another at its place; None if there is none."""
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None


def put_journal_aside(database: Path) -> str:
    """Put aside what SQLite had not moved from its journal to the file that is gone.

    The new file would take the journal for its own, and lose or mix in what it holds.

    Returns
    -------
    told
        What to say of it, or "".
    """
    journal = Path(f"{database}-wal")
    with contextlib.suppress(OSError):
        if journal.stat().st_size:
            numbers = (f"{journal}-{number}" for number in itertools.count(1))
            aside = next(name for name in numbers if not Path(name).exists())
            journal.rename(aside)
            return (
                f"; {aside} holds the last answers of the old file: if that file was moved, "
                "put this one beside it, named like it plus -wal"
            )
    return ""
