"""The manifest of a run: all that is to be scored, in Parquet files that are a unit of work each.

It is written once. A listing that was interrupted goes on behind the last file that it wrote.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from adacl.errors import DataError, MissingDataError
from adacl.scale import tables
from adacl.scale.sources import Entry, Source, opened_sources
from adacl.scale.storage import Folder, path_of, text_of
from adacl.scale.tables import DamagedError

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
    for table, *reached in _written(folder, len(opened)):
        number, taken = reached
        last = path_of(table["path"][-1].as_py())
        entries, shards = entries + table.num_rows, shards + 1
        size += sum(filter(None, table["size"].to_pylist()))
    for part in _parts(_found(opened, number, last, taken), shard_images, shard_bytes):
        _write(folder, shards, part)
        shards += 1
        entries += len(part)
        size += sum(found.entry.size or 0 for found in part)
        yield Listing(entries, size, shards)
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
        listing = Listing(**json.loads(content))
        if not all(isinstance(count, int) for count in asdict(listing).values()):
            raise ValueError("its counts are no numbers")
    except (RecursionError, TypeError, ValueError) as error:
        raise DataError(f"{folder.url(LISTED)}: damaged; score into another folder") from error
    return listing


def shard_names(folder: Folder) -> list[str]:
    """Return the names of the units of work, without their ending."""
    return [name.removesuffix(".parquet") for name in folder.names(FOLDER)]


def all_shard_names(folder: Folder) -> list[str]:
    """Return the names of the units of work of a listing that came to its end.

    Raises
    ------
    DataError
        If it did not, or if not all of them are there.
    """
    listing, names = read_listing(folder), shard_names(folder)
    if listing is None:
        raise DataError(
            f"{folder.path}: the listing did not come to its end; the same adacl scale score goes "
            "on"
        )
    if len(names) != listing.shards:
        raise DataError(
            f"{folder.path}: {len(names)} files of the manifest, {listing.shards} were written; "
            "score into another folder"
        )
    return names


def read_unit(folder: Folder, shard: str) -> Any:
    """Return the table of a unit of work.

    Raises
    ------
    DataError
        If it is damaged, or the storage does not answer.
    """
    try:
        return tables.read(folder, f"{FOLDER}/{shard}.parquet", SCHEMA)
    except DamagedError as error:
        raise DataError(f"{error}; score into another folder") from error


def entries_of(table: Any) -> list[Entry]:
    """Return the entries of a unit of work."""
    paths, *columns = (table[name].to_pylist() for name in ("path", "size", "version", "kind"))
    return [Entry(*row) for row in zip(map(path_of, paths), *columns, strict=True)]


def _written(folder: Folder, sources: int) -> Iterator[tuple[Any, int, int]]:
    """Yield the units of work that were listed before, with the source and entry they end with.

    The last one is deleted if it is not whole: some storages leave a part of a file when they are
    killed.
    """
    names = [f"{FOLDER}/{name}" for name in folder.names(FOLDER)]
    for name in names:
        try:
            yield _reached(folder, name, sources)
        except DamagedError:
            if name != names[-1]:
                raise
            folder.delete(name)


def _reached(folder: Folder, name: str, sources: int) -> tuple[Any, int, int]:
    table = tables.read(folder, name, SCHEMA)
    try:
        number, taken = (int(table.schema.metadata[key]) for key in (b"source", b"taken"))
    except (KeyError, TypeError, ValueError):
        number = taken = -1
    if not (len(table) and 0 <= number < sources and taken > 0):
        raise DamagedError(f"{folder.url(name)}: does not say how far it goes")
    return table, number, taken


class _Found(NamedTuple):
    """An entry, the number of its source, and how many of this source were found up to it."""

    entry: Entry
    source: int
    taken: int


def _found(sources: Sequence[Source], number: int, last: str, taken: int) -> Iterator[_Found]:
    """Yield what all sources hold, from behind the last entry of one of them."""
    for source in range(number, len(sources)):
        for entry in sources[source].entries(last, taken):
            taken += 1
            yield _Found(entry, source, taken)
        last, taken = "", 0


def _parts(entries: Iterable[_Found], images: int, size: int) -> Iterator[list[_Found]]:
    part: list[_Found] = []
    held = 0
    for found in entries:
        added = found.entry.size or 0
        if part and (len(part) >= images or held + added > size):
            yield part
            part, held = [], 0
        part.append(found)
        held += added
    if part:
        yield part


def _write(folder: Folder, shard: int, part: Sequence[_Found]) -> None:
    entries = [found.entry for found in part]
    paths, *others = zip(*entries, strict=True)
    columns = [list(map(id_of, paths)), list(map(text_of, paths)), *map(list, others)]
    reached = {"source": str(part[-1].source), "taken": str(part[-1].taken)}
    content = tables.written(SCHEMA, columns, reached)
    name = f"{FOLDER}/{shard:06}.parquet"
    if (
        not folder.create(name, content)
        and entries_of(tables.read(folder, name, SCHEMA)) != entries
    ):
        raise DataError(
            f"{folder.path}: another command listed something else into this folder; the sources "
            "changed meanwhile, so score into another folder"
        )
