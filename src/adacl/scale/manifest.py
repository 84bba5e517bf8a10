"""The manifest of a run: all that is to be scored, in Parquet files that are a unit of work each.

It is written once. A listing that was interrupted goes on behind the last file that it wrote.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from adacl.errors import DataError, MissingDataError
from adacl.scale import tables
from adacl.scale.sources import Entry, opened_sources
from adacl.scale.storage import Folder, path_of, text_of

FOLDER = "manifest"
LISTED = "manifest.json"
"""Written when all is listed; says how much that is."""

SHARD_IMAGES = 20_000
SHARD_BYTES = 256 << 20

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("size", pa.int64()),
        pa.field("version", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Listing:
    """How much was listed: entries (images and tar files), their bytes, and units of work."""

    entries: int
    size: int
    shards: int


def id_of(path: str) -> str:
    """Return the stable identity of an image: a hash of its path or URL."""
    return hashlib.blake2b(path.encode(errors="surrogateescape"), digest_size=16).hexdigest()


def write_manifest(
    folder: Folder,
    sources: Sequence[str],
    shard_images: int = SHARD_IMAGES,
    shard_bytes: int = SHARD_BYTES,
) -> Iterator[Listing]:
    """List all sources, and yield how much was listed after each unit of work; the last is whole.

    Parameters
    ----------
    folder
        Of the run.
    sources
        What to list, as :class:`~adacl.scale.sources.Source` takes it.
    shard_images, shard_bytes
        Entries and bytes of a unit of work, at most; one of a single tar file may be larger.

    Raises
    ------
    MissingDataError
        If a source is not there, or no image is found.
    DataError
        If something cannot be read or written.
    """
    if listing := read_listing(folder):
        yield listing
        return
    opened = opened_sources(sources)
    entries, size, shards = 0, 0, 0
    number, taken, last = 0, 0, ""
    for table in _written(folder):
        source = int(table.schema.metadata[b"source"])
        taken = table.num_rows + (taken if source == number else 0)
        number, last = source, path_of(table["path"][-1].as_py())
        entries, shards = entries + table.num_rows, shards + 1
        size += sum(filter(None, table["size"].to_pylist()))
    for source in range(number, len(opened)):
        found = opened[source].entries(last, taken)
        for part in _parts(found, shard_images, shard_bytes):
            _write(folder, shards, source, part)
            shards += 1
            entries += len(part)
            size += sum(entry.size or 0 for entry in part)
            yield Listing(entries, size, shards)
        taken, last = 0, ""
    if not entries:
        raise MissingDataError(f"no images found in {', '.join(sources)}")
    listing = Listing(entries, size, shards)
    folder.create(LISTED, json.dumps(asdict(listing)).encode())
    yield listing


def read_listing(folder: Folder) -> Listing | None:
    """Return how much was listed, or None if the listing did not come to its end.

    Raises
    ------
    DataError
        If that is damaged.
    """
    content = folder.read(LISTED)
    if content is None:
        return None
    try:
        return Listing(**json.loads(content))
    except (TypeError, ValueError) as error:
        raise DataError(f"{folder.url(LISTED)}: damaged; score into another folder") from error


def shard_names(folder: Folder) -> list[str]:
    """Return the names of the units of work, without their ending."""
    return [name.removesuffix(".parquet") for name in folder.names(FOLDER)]


def entries_of(table: Any) -> list[Entry]:
    """Return the entries of a unit of work."""
    paths, *columns = (table[name].to_pylist() for name in ("path", "size", "version", "kind"))
    return [Entry(*row) for row in zip(map(path_of, paths), *columns, strict=True)]


def _written(folder: Folder) -> Iterator[Any]:
    """Yield the units of work that were listed before; delete the last one if it is not whole.

    Some storages leave a part of a file when they are killed.
    """
    names = [f"{FOLDER}/{name}" for name in folder.names(FOLDER)]
    for name in names:
        try:
            yield tables.read(folder, name)
        except DataError:
            if name != names[-1]:
                raise
            folder.delete(name)


def _parts(entries: Iterator[Entry], images: int, size: int) -> Iterator[list[Entry]]:
    part: list[Entry] = []
    held = 0
    for entry in entries:
        if part and (len(part) >= images or held + (entry.size or 0) > size):
            yield part
            part, held = [], 0
        part.append(entry)
        held += entry.size or 0
    if part:
        yield part


def _write(folder: Folder, shard: int, source: int, entries: list[Entry]) -> None:
    paths, *others = zip(*entries, strict=True)
    columns = [list(map(id_of, paths)), list(map(text_of, paths)), *map(list, others)]
    content = tables.written(SCHEMA, columns, {"source": str(source)})
    name = f"{FOLDER}/{shard:06}.parquet"
    if not folder.create(name, content) and entries_of(tables.read(folder, name)) != entries:
        raise DataError(
            f"{folder.path}: another command listed something else into this folder; the sources "
            "changed meanwhile, so score into another folder"
        )
