"""The results of a unit of work: one Parquet file, which is there whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from adacl._version import __version__
from adacl.scale import tables
from adacl.scale.storage import Folder, text_of
from adacl.scale.tables import DamagedError

FOLDER = "parts"
KEY = "adacl"

SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("pred_score", pa.float64()),
        pa.field("pred_label", pa.int8()),
        pa.field("raw_score", pa.float64()),
        pa.field("row", pa.int32()),
        pa.field("column", pa.int32()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("remark", pa.string(), nullable=False),
        pa.field("heatmap", pa.string(), nullable=False),
    ]
)
"""``row`` and ``column`` are the place of the highest score in pixels; ``status`` is ``scored`` or
``failed``, then with a reason; a remark says what speaks against a score, such as its light;
``heatmap`` names the picture of an anomalous image in the folder of the results, if asked for."""


class Row(NamedTuple):
    """The result of an image, as ``SCHEMA`` has it."""

    path: str
    id: str
    pred_score: float | None = None
    pred_label: int | None = None
    raw_score: float | None = None
    row: int | None = None
    column: int | None = None
    status: str = "failed"
    reason: str = ""
    remark: str = ""
    heatmap: str = ""


@dataclass(frozen=True)
class Counts:
    """How many entries of the manifest were dealt with, and what became of the images.

    ``remarked`` are those with a remark, such as light that was not learnt.
    """

    entries: int = 0
    images: int = 0
    scored: int = 0
    failed: int = 0
    anomalous: int = 0
    remarked: int = 0

    def __add__(self, other: Counts) -> Counts:
        mine, its = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + its[name] for name in mine})


@dataclass(frozen=True)
class Work:
    """What is done to every unit of work of a run; its hash is part of the names of the results.

    ``model`` is the hash of the exported file, or of the table of a fleet.
    """

    model: str
    threshold: float | None
    sources: list[str]
    shard_images: int
    shard_bytes: int
    heatmaps: bool = False
    version: str = __version__

    @property
    def hash(self) -> str:
        """A short hash of it."""
        return hash_of(asdict(self))


def hash_of(asked: Mapping[str, object]) -> str:
    """Return a short hash of what was asked for."""
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def name_of(shard: str, work: str) -> str:
    """Return the name of the results of a unit of work; ``work`` is the hash of what is asked."""
    return f"{FOLDER}/{shard}-{work}.parquet"


def write_part(
    folder: Folder, name: str, rows: Iterable[Row], entries: int, header: dict[str, Any]
) -> Counts:
    """Write the results of a unit of work, unless they are there; return its counts.

    Raises
    ------
    DataError
        If they cannot be written.
    """
    columns = [list(values) for values in zip(*rows, strict=True)]
    columns[0] = [*map(text_of, columns[0])]
    statuses = Counter(columns[SCHEMA.get_field_index("status")])
    counts = Counts(
        entries,
        len(columns[0]),
        statuses["scored"],
        statuses["failed"],
        sum(filter(None, columns[SCHEMA.get_field_index("pred_label")])),
        sum(map(bool, columns[SCHEMA.get_field_index("remark")])),
    )
    metadata = {KEY: json.dumps({**header, "counts": asdict(counts)})}
    folder.create(name, tables.written(SCHEMA, columns, metadata))
    return counts


def counts_in(results: Any) -> Counts:
    """Return the counts of results, an open Parquet file.

    Raises
    ------
    DamagedError
        If they are not its own.
    """
    try:
        metadata = results.schema_arrow.metadata[KEY.encode()]
        counts = Counts(**json.loads(metadata)["counts"])
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise DamagedError(f"not results ({error})") from error
    if not all(isinstance(count, int) for count in asdict(counts).values()):
        raise DamagedError("not results (their counts are no numbers)")
    if results.metadata.num_rows != counts.images:
        raise DamagedError("rows are missing")
    return counts
