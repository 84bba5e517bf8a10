"""``adacl log``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from adacl.cli.support.outputs import check_output
from adacl.cli.support.progress import say
from adacl.cli.support.records import RecordWriter, form_of, opened
from adacl.errors import ConfigError
from adacl.files import atomic_file, make_folder, resolved

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the beginning of a formula."""
FROM_CLIENTS = ("name", "remark", "error", "note")


def log(
    where: Annotated[
        str, typer.Argument(metavar="LOG", help="File or URL, as given to adacl serve --log.")
    ],
    output_format: Annotated[
        Literal["csv", "jsonl"] | None,
        typer.Option(
            "--format",
            help="How to print the answers; by default CSV, or what the name of --output says.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here instead.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only the answers of this model.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only answers from this time on, for example 2026-11-01T08:00; in UTC, unless it "
            "has an offset.",
        ),
    ] = None,
    feedback: Annotated[
        bool, typer.Option("--feedback", help="Only answers that have feedback.")
    ] = False,
    thumbnails: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write their thumbnails here.")
    ] = None,
) -> None:
    """Print what adacl serve --log has kept: one record for each image, the oldest first.

    true_label, told (the time) and note are the latest feedback on the answer. In CSV, texts from
    clients that a spreadsheet would take for a formula begin with an apostrophe.
    """
    from adacl.serve.station.records import Records
    from adacl.serve.station.tables import COLUMNS

    begin = None if since is None else _in_utc(since)
    records = Records(where, create=False)
    if output is not None:
        if records.file is not None and resolved(output) == resolved(records.file):
            raise ConfigError(f"{output}: is the log itself; write to another file")
        check_output(output, "table")
    as_csv = (output_format or form_of(output)) != "jsonl"
    answers = pictures = 0
    with opened(output) as file:
        writer = RecordWriter(file, COLUMNS if as_csv else None)
        for row in records.read(model, begin, feedback):
            writer.write(_harmless(row) if as_csv else row)
            answers += 1
    if thumbnails is not None:
        make_folder(thumbnails)
        for name, content in records.thumbnails(model, begin, feedback):
            with atomic_file(thumbnails / name) as picture:
                picture.write(content)
            pictures += 1
    records.close()
    if not answers:
        say("the log has no such answers")
    elif thumbnails is not None and not pictures:
        say("the log has no thumbnails of them; adacl serve --log-thumbnails keeps some")


def _in_utc(text: str) -> str:
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            time = time.replace(tzinfo=UTC)
        return time.astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"--since {text}: need a time such as 2026-11-01T08:00") from error


def _harmless(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose texts no spreadsheet computes."""
    texts = {name: row[name] for name in FROM_CLIENTS if row[name]}
    return row | {name: f"'{text}" for name, text in texts.items() if text.startswith(FORMULA)}
