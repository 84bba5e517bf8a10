"""The database of a station: what is written there, and what is read back."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from adacl.errors import ConfigError, DataError, MissingDataError
from adacl.files import check_writable
from adacl.serve.station import sqlite
from adacl.serve.station.tables import ANSWERS, FEEDBACK, METADATA, SHOWN

BUSY_SECONDS = 5
MOST_BYTES = 1 << 30
ROOM = 0.9
"""Share of the bound that is still taken after the oldest answers were removed."""

log = logging.getLogger("adacl")


class Removed(NamedTuple):
    """How many of the oldest answers were removed, and the time of the last of them."""

    answers: int
    until: str


class Records:
    """A database that holds answers and feedback.

    Parameters
    ----------
    where
        A file, for SQLite, or the URL of a database, as SQLAlchemy has them.
    create
        Whether to make what is not there.
    most_bytes
        Bound on an SQLite database, by default 1 GiB; the oldest answers go first.

    Attributes
    ----------
    shown : str
        The database as messages name it, without a password.
    file : Path or None
        Where it is kept, if it is an SQLite database.

    Raises
    ------
    ConfigError
        If the URL is none, its driver is missing, or the bound does not go with the database.
    DataError, MissingDataError
        If it cannot be opened, holds something else, or is not there.
    """

    def __init__(self, where: str, *, create: bool, most_bytes: int | None = None) -> None:
        url = _url(where)
        self.shown = url.database or ""
        if "://" in where:
            self.shown = url.set(query={}).render_as_string()  # which may hold a password, too
        file = url.database if url.drivername.startswith("sqlite") else None
        if url.drivername.startswith("sqlite") and file in (None, "", ":memory:"):
            raise ConfigError("--log: name a file; a database in memory would keep nothing")
        if most_bytes is not None and file is None:
            raise ConfigError("--log-max-mib: only for SQLite; bound other databases by their own")
        self.file = Path(file) if file else None
        if create and self.file and not self.file.is_file():
            check_writable(self.file)
        self._file = self.file if create else None
        self._most_bytes = most_bytes or (MOST_BYTES if file else None)
        if not create and file is not None and not Path(file).is_file():
            raise MissingDataError(f"{file}: there is no such log")
        try:
            arguments = {"timeout": BUSY_SECONDS} if file else {}
            self._engine = sql.create_engine(url, connect_args=arguments)
            if file and create:  # who only reads changes nothing, not even in a foreign file
                sql.event.listen(self._engine, "connect", sqlite.set_up)
            if create:
                METADATA.create_all(self._engine)
            self._check()
            self._kept_in = sqlite.identity(self._file)
        except ModuleNotFoundError as error:
            raise ConfigError(f"--log: the database's driver is missing ({error.name})") from error
        except SQLAlchemyError as error:
            raise DataError(f"{self.shown}: cannot be opened as a log ({reason(error)})") from error

    def _check(self) -> None:
        inspector = sql.inspect(self._engine)
        for table in METADATA.sorted_tables:
            if not inspector.has_table(table.name):
                raise DataError(f"{self.shown}: not a log of adacl serve")
            found = {column["name"] for column in inspector.get_columns(table.name)}
            if missing := sorted({column.name for column in table.c} - found):
                raise DataError(
                    f"{self.shown}: the log of another version, without {', '.join(missing)}; "
                    "name a new file"
                )

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def write(self, rows: Sequence[dict[str, Any]]) -> Removed | None:
        """Write answers; once this returns they are kept.

        Returns
        -------
        removed
            What had to go to make room, if anything.

        Raises
        ------
        SQLAlchemyError
            If they cannot be written; then none of them is.
        """
        self._begin_again_if_gone()
        with self._engine.begin() as connection:
            connection.execute(ANSWERS.insert(), rows)
            return self._make_room(connection)

    def _begin_again_if_gone(self) -> None:
        """Begin a new file if ours was removed, moved or replaced; SQLite would write on in it."""
        if sqlite.identity(self._file) == self._kept_in:
            return
        self._engine.dispose()
        kept = sqlite.put_journal_aside(self._file) if self._file else ""
        METADATA.create_all(self._engine)
        self._kept_in = sqlite.identity(self._file)
        log.warning(
            "%s: was removed or replaced; answers go to the file there now%s", self.shown, kept
        )

    def _make_room(self, connection: sql.Connection) -> Removed | None:
        if self._most_bytes is None or sqlite.used_bytes(connection) <= self._most_bytes:
            return None
        count, until = 0, ""
        while sqlite.used_bytes(connection) > ROOM * self._most_bytes:
            ends = sql.select(sql.func.min(ANSWERS.c.id), sql.func.max(ANSWERS.c.id))
            first, last = connection.execute(ends).one()
            if first is None:
                break
            old = ANSWERS.c.id <= first + (last - first) // 20
            until = connection.scalar(sql.select(sql.func.max(ANSWERS.c.time)).where(old))
            count += connection.execute(ANSWERS.delete().where(old)).rowcount
        log.info("the log is full: the oldest %d answers, until %s, were removed", count, until)
        return Removed(count, until)

    def tell(self, request: str, result: int, true_label: int, note: str) -> str | None:
        """Keep what somebody says of an answer, and return the time, or None if it is not there.

        Raises
        ------
        SQLAlchemyError
            If it cannot be written.
        """
        self._begin_again_if_gone()
        with self._engine.begin() as connection:
            asked = (ANSWERS.c.request == request) & (ANSWERS.c.result == result)
            found = connection.scalar(sql.select(ANSWERS.c.id).where(asked))
            if found is None:
                return None
            time = now()
            row = {"time": time, "answer": found, "true_label": true_label, "note": note}
            connection.execute(FEEDBACK.insert(), row)
            self._make_room(connection)
            return time

    def recent(self, fingerprint: str, count: int) -> list[tuple[float, str | None]]:
        """Return the last scores of a model with the digests of their images, the oldest first.

        An image that came again counts once; it is looked for in ten times as many answers.
        """
        scored = (ANSWERS.c.fingerprint == fingerprint) & ANSWERS.c.raw_score.is_not(None)
        query = sql.select(ANSWERS.c.raw_score, ANSWERS.c.sha256).where(scored)
        query = query.order_by(ANSWERS.c.id.desc()).limit(10 * count)
        found: list[tuple[float, str | None]] = []
        seen: set[str] = set()
        with self._engine.connect() as connection:
            for raw, digest in connection.execute(query):
                if digest in seen:
                    continue
                seen |= {digest} if digest else set()
                found.append((raw, digest))
                if len(found) == count:
                    break
        return found[::-1]

    def read(
        self, model: str | None = None, since: str | None = None, told: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield the answers in order, each with the latest feedback on it.

        Parameters
        ----------
        model
            Only those of the model of this name.
        since
            Only those from this UTC time on, as ISO 8601 has it, or the beginning of one.
        told
            Only those with feedback.

        Raises
        ------
        DataError
            If they cannot be read.
        """
        latest = sql.select(sql.func.max(FEEDBACK.c.id)).group_by(FEEDBACK.c.answer)
        both = ANSWERS.join(
            FEEDBACK,
            (FEEDBACK.c.answer == ANSWERS.c.id) & FEEDBACK.c.id.in_(latest),
            isouter=not told,
        )
        query = sql.select(
            *SHOWN,
            FEEDBACK.c.true_label,
            FEEDBACK.c.time.label("told"),
            FEEDBACK.c.note,
        ).select_from(both)
        query = query.where(*_chosen(model, since))
        for row in self._rows(query.order_by(ANSWERS.c.id)):
            yield dict(row)

    def thumbnails(
        self, model: str | None = None, since: str | None = None, told: bool = False
    ) -> Iterator[tuple[str, bytes]]:
        """Yield the thumbnails of the answers that :meth:`read` yields, with names for files.

        Raises
        ------
        DataError
            If they cannot be read.
        """
        query = sql.select(ANSWERS.c.request, ANSWERS.c.result, ANSWERS.c.thumbnail)
        query = query.where(ANSWERS.c.thumbnail.is_not(None), *_chosen(model, since))
        if told:
            query = query.where(ANSWERS.c.id.in_(sql.select(FEEDBACK.c.answer)))
        for row in self._rows(query):
            yield f"{row['request']}-{row['result']}.jpg", row["thumbnail"]

    def _rows(self, query: sql.Select[Any]) -> Iterable[sql.RowMapping]:
        try:
            with self._engine.connect().execution_options(yield_per=500) as connection:
                yield from connection.execute(query).mappings()
        except SQLAlchemyError as error:
            raise DataError(f"{self.shown}: cannot be read ({reason(error)})") from error


def _chosen(model: str | None, since: str | None) -> list[sql.ColumnElement[bool]]:
    return [
        *([] if model is None else [ANSWERS.c.model == model]),
        *([] if since is None else [ANSWERS.c.time >= since]),
    ]


def now() -> str:
    """Return the time in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def reason(error: SQLAlchemyError) -> str:
    """Say what the database said, without the statement and its values."""
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _url(where: str) -> sql.URL:
    if "://" not in where:
        return sql.URL.create("sqlite", database=where)
    try:
        return sql.make_url(where)
    except SQLAlchemyError:
        raise ConfigError("--log: need a file, or a URL such as sqlite:///log.db") from None
