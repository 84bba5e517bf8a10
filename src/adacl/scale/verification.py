"""Prove from the files of a run alone that every image has exactly one result."""

from __future__ import annotations

from collections.abc import Iterator

from adacl.errors import DataError
from adacl.scale import manifest, parts
from adacl.scale.checks import Checked, check_unit
from adacl.scale.scoring import DONE, read_run
from adacl.scale.storage import Folder


def verify(folder: Folder) -> Iterator[Checked]:
    """Compare the results of each unit of work with the manifest, row by row.

    Yields
    ------
    Checked
        One for each unit of work that has results.

    Raises
    ------
    DataError
        If the folder is not one of results, the listing did not come to its end, files are there
        that belong to no unit of work, or units of work have no results.
    """
    asked = parts.hash_of(read_run(folder))
    shards = manifest.all_shard_names(folder)
    expected = {parts.name_of(shard, asked): shard for shard in shards}
    present = {f"{parts.FOLDER}/{name}" for name in folder.names(parts.FOLDER)}
    if others := sorted(present - expected.keys()):
        raise DataError(f"{folder.url(others[0])}: belongs to no unit of work; move it away")
    for name, shard in expected.items():
        if name in present:
            yield check_unit(folder, shard, name)
    if missing := len(expected.keys() - present):
        raise DataError(
            f"{folder.path}: {missing} of {len(shards)} units of work have no results yet; "
            "repeat the same adacl scale score to continue"
        )
    if folder.read(DONE) is None:
        raise DataError(f"{folder.path}: no {DONE}; repeat the same adacl scale score to finish")
