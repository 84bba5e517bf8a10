"""Compare the results of a unit of work with the manifest, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from adacl.scale import manifest, parts, tables
from adacl.scale.parts import Counts
from adacl.scale.sources import Entry
from adacl.scale.storage import Folder, path_of
from adacl.scale.tables import DamagedError


class Checked(NamedTuple):
    """A unit of work that was checked: its counts, and what is wrong with it, or ""."""

    shard: str
    counts: Counts
    wrong: str


def check_unit(folder: Folder, shard: str, name: str) -> Checked:
    """Check the results of a unit of work, a file of this name.

    Raises
    ------
    DataError
        If the storage does not answer, or the manifest is damaged.
    """
    entries = manifest.read_unit(folder, shard)
    try:
        results = tables.opened(folder, name, parts.SCHEMA)
        counts = parts.counts_in(results)
        table = tables.decoded(results, folder, name)
    except DamagedError as error:
        return Checked(shard, Counts(), str(error))
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
    for entry, following in zip_longest(entries, entries[1:]):
        if path is None or (path != entry.path and not path.startswith(f"{entry.path}/")):
            return f"{entry.path} has no result"
        single = entry.kind != "tar" or path == entry.path
        seen = {path}
        path = next(remaining, None)
        if single:
            continue
        while path is not None and path.startswith(f"{entry.path}/"):
            if path in seen:
                if following and following.path == entry.path:  # a list names it twice
                    break
                return f"{path} has two results"
            seen.add(path)
            path = next(remaining, None)
        if path == entry.path:  # why it could not be read to its end
            path = next(remaining, None)
    return f"{path} is not in the manifest" if path is not None else ""


def _miscounted(results: Any, counts: Counts) -> str:
    status = results["status"].to_pylist()
    if (status.count("scored"), status.count("failed")) != (counts.scored, counts.failed):
        return "its rows are not those that were counted"
    return ""
