"""Prove from the files of a run alone that every image has exactly one result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from adacl.errors import DataError
from adacl.scale import manifest, parts, tables
from adacl.scale.parts import Counts, Work
from adacl.scale.scoring import DONE, read_run
from adacl.scale.sources import Entry
from adacl.scale.storage import Folder, path_of


class Checked(NamedTuple):
    """A unit of work that was checked: its counts, and what is wrong with it, or ""."""

    shard: str
    counts: Counts
    wrong: str


def verify(folder: Folder) -> Iterator[Checked]:
    """Compare the results of each unit of work with the manifest, row by row.

    Yields
    ------
    Checked
        One for each unit of work.

    Raises
    ------
    DataError
        If the folder is not one of results, the listing did not come to its end, or files are
        there that belong to no unit of work.
    """
    found = read_run(folder)
    try:
        work = Work(**found)  # type: ignore[arg-type]
    except TypeError as error:
        raise DataError(f"{folder.path}: its run.json is damaged") from error
    listing = manifest.read_listing(folder)
    if listing is None:
        raise DataError(f"{folder.path}: the listing did not come to its end; score again")
    shards = manifest.shard_names(folder)
    if len(shards) != listing.shards:
        raise DataError(
            f"{folder.path}: {len(shards)} files of the manifest, {listing.shards} were written"
        )
    expected = {parts.name_of(shard, work): shard for shard in shards}
    present = {f"{parts.FOLDER}/{name}" for name in folder.names(parts.FOLDER)}
    if others := sorted(present - expected.keys()):
        raise DataError(f"{folder.url(others[0])}: belongs to no unit of work; move it away")
    for name, shard in expected.items():
        if name in present:
            yield _check(folder, shard, name)
        else:
            yield Checked(shard, Counts(), "has no results")
    if folder.read(DONE) is None and present == expected.keys():
        raise DataError(f"{folder.path}: no {DONE}; the same adacl scale score ends the run")


def _check(folder: Folder, shard: str, name: str) -> Checked:
    try:
        results = tables.opened(folder, name)
        counts = parts.counts_in(results)
        table = results.read()
    except pa.ArrowException as error:
        return Checked(shard, Counts(), f"not a sound Parquet file ({error})")
    except DataError as error:
        return Checked(shard, Counts(), str(error))
    entries = tables.read(folder, f"{manifest.FOLDER}/{shard}.parquet")
    wrong = ""
    if counts.entries != entries.num_rows:
        wrong = f"{counts.entries} of {entries.num_rows} files dealt with"
    elif "tar" in entries["kind"].to_pylist():
        wrong = _differing(manifest.entries_of(entries), map(path_of, table["path"].to_pylist()))
    elif entries["id"].to_pylist() != table["id"].to_pylist():
        wrong = "its images are not those of the manifest"
    return Checked(shard, counts, wrong or _miscounted(table, counts))


def _differing(entries: Sequence[Entry], paths: Iterable[str]) -> str:
    """Compare files of the manifest with the paths of results; a tar file has one or several."""
    remaining = iter(paths)
    path = next(remaining, None)
    for entry in entries:
        if path is None or (path != entry.path and not path.startswith(f"{entry.path}/")):
            return f"{entry.path} has no result"
        seen = {path}
        path = next(remaining, None)
        while entry.kind == "tar" and path is not None and path.startswith(f"{entry.path}/"):
            if path in seen:
                return f"{path} has two results"
            seen.add(path)
            path = next(remaining, None)
        if entry.kind == "tar" and path == entry.path:  # why it could not be read to its end
            path = next(remaining, None)
    return f"{path} is not in the manifest" if path is not None else ""


def _miscounted(results: Any, counts: Counts) -> str:
    status = results["status"].to_pylist()
    if (status.count("scored"), status.count("failed")) != (counts.scored, counts.failed):
        return "its rows are not those that were counted"
    return ""
