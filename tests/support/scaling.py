"""Score into a folder within this process, and read what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adacl.scale.manifest import entries_of, read_unit, shard_names, write_manifest
from adacl.scale.parts import Counts, Row
from adacl.scale.results import rows_of
from adacl.scale.scoring import ScoringRun
from adacl.scale.shard import score_shard
from adacl.scale.sources import Entry
from adacl.scale.storage import Folder
from adacl.scale.verification import verify


def listed(folder: Folder, *sources: object, shard_images: int = 5) -> list[Entry]:
    """List sources into a folder, and return the entries of its manifest."""
    for _ in write_manifest(folder, [str(source) for source in sources], shard_images):
        pass
    return manifest_of(folder)


def manifest_of(folder: Folder) -> list[Entry]:
    return [
        entry for shard in shard_names(folder) for entry in entries_of(read_unit(folder, shard))
    ]


def begun(out: object, model: Path, *sources: object, **settings: Any) -> ScoringRun:
    """List sources into a folder, and return the run whose units of work are to be scored."""
    run = ScoringRun(str(out), model, [str(source) for source in sources], **settings)
    for _ in run.listed():
        pass
    return run


def finished(run: ScoringRun) -> Counts:
    """Score what is missing, and end the run."""
    run.done()
    for shard in run.missing():
        score_shard(run.task, shard)
    return run.finish()


def scored(out: object, model: Path, *sources: object, shard_images: int = 5) -> list[Row]:
    """Score sources into a folder, check the results, and return them."""
    run = begun(out, model, *sources, shard_images=shard_images)
    finished(run)
    assert wrongs(run.folder) == []
    return list(rows_of(run.folder))


def wrongs(folder: Folder) -> Sequence[str]:
    """Return what is wrong with the units of work."""
    return [checked.wrong for checked in verify(folder) if checked.wrong]
