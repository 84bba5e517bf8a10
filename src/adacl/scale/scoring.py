"""Score any number of images, each exactly once, on local processes or on Ray.

A unit of work is a file of the manifest; its results are one file, which is written whole or not at
all and whose name tells the unit, the model and the settings. So what is left to do is what is not
there, whoever was killed when.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from adacl.config.sections import finite
from adacl.deploy.scorer import Scorer
from adacl.errors import ConfigError, DataError
from adacl.scale import manifest, tables
from adacl.scale.checks import check_unit
from adacl.scale.engines import Engine, run
from adacl.scale.fleet import Fleet
from adacl.scale.parts import FOLDER, SCHEMA, Counts, Work, counts_in, name_of
from adacl.scale.shard import HEATMAPS, Task, hash_of, score_shard
from adacl.scale.sources import Entry, opened_sources
from adacl.scale.storage import Folder, absolute, is_url, reason_of
from adacl.words import plural, were

log = logging.getLogger("adacl")

RUN = "run.json"
DONE = "_SUCCESS"

MOST_FAILURES = 8
"""Units of work that fail one after another until the run ends."""


class ScoringRun:
    """The scoring of many images into one folder, begun or gone on with.

    Parameters
    ----------
    destination
        Folder of the results: of this machine, or a URL.
    model
        An exported file, or with ``fleet`` a folder that ``adacl scale fit`` wrote.
    sources
        What to score, see :class:`~adacl.scale.sources.Source`.
    threshold
        Used instead of the model's own.
    fleet
        Whether each image is scored with the model of its part.
    shard_images, shard_bytes
        Size of a unit of work.
    heatmaps
        Whether a heat map of each anomalous image is written.

    Raises
    ------
    DataError
        If the folder holds results of another model, other sources or settings.
    ModelFileError, MissingDataError
        If the model is not there, or not an exported one.
    """

    def __init__(
        self,
        destination: str,
        model: Path,
        sources: list[str],
        threshold: float | None = None,
        fleet: bool = False,
        shard_images: int = manifest.SHARD_IMAGES,
        shard_bytes: int = manifest.SHARD_BYTES,
        heatmaps: bool = False,
    ) -> None:
        if shard_images < 1 or shard_bytes < 1:
            raise ConfigError("a unit of work needs room for at least one image and one byte")
        if threshold is not None:
            finite("threshold", threshold)
        self.folder = Folder(destination)
        sources = [absolute(source) for source in sources]
        model = model.absolute()
        self.work = Work(
            _hash_of(model, fleet), threshold, sources, shard_images, shard_bytes, heatmaps
        )
        if self.folder.read(RUN) is None:  # a wrong name must not claim the folder
            for source in opened_sources(sources):
                source.check()
                _check_outside(self.folder.path, source.root)
        self.task = Task(self.folder.path, self.work, model, fleet)
        self._claim()

    def _claim(self) -> None:
        """Write what this folder is for, or check that it is for the same."""
        mine = asdict(self.work)
        if self.folder.create(RUN, json.dumps(mine, indent=1).encode()):
            return
        found = read_run(self.folder)
        if differing := [name for name, value in mine.items() if found.get(name) != value]:
            raise DataError(
                f"{self.folder.path}: holds results of another run, with another "
                f"{' and '.join(map(_option, differing))}; score into another folder"
            )

    def listed(self) -> Iterator[manifest.Listing]:
        """List all sources, and yield how much was listed so far.

        Raises
        ------
        MissingDataError, DataError
            As for :func:`adacl.scale.manifest.write_manifest`.
        """
        work = self.work
        try:
            yield from manifest.write_manifest(
                self.folder, work.sources, work.shard_images, work.shard_bytes
            )
        finally:
            if not (manifest.shard_names(self.folder) or self._present()):
                self.folder.delete(RUN)  # what was a mistake does not claim it

    def entries(self) -> Iterator[Entry]:
        """Yield all that was listed, a unit of work in memory at a time.

        Raises
        ------
        DataError
            If the manifest is damaged.
        """
        for shard in manifest.all_shard_names(self.folder):
            yield from manifest.entries_of(manifest.read_unit(self.folder, shard))

    def done(self) -> Counts:
        """Return the counts of the units of work that are scored; delete results not sound.

        Raises
        ------
        DataError
            If the manifest is damaged.
        """
        counts = Counts()
        present = self._present()
        for shard in manifest.all_shard_names(self.folder):
            if (name := name_of(shard, self.work.hash)) in present:
                checked = check_unit(self.folder, shard, name)
                if checked.wrong:
                    log.warning("unit of work %s: %s; scored again", shard, checked.wrong)
                    self.folder.delete(name)
                else:
                    counts += checked.counts
        if self.missing():
            self.folder.delete(DONE)  # whose totals will be others
        return counts

    def score(self, engine: Engine) -> Iterator[Counts]:
        """Score all units of work that have no results yet, and yield the counts of each.

        Raises
        ------
        DataError
            If units of work failed; the others are scored, and the same call goes on.
        """
        failures: list[Exception] = []
        in_a_row = 0
        for outcome in run(engine, partial(score_shard, self.task), self.missing()):
            if outcome.error is None:
                in_a_row = 0
                yield outcome.get()
                continue
            failures.append(outcome.error)
            in_a_row += 1
            if in_a_row == MOST_FAILURES:
                break
        if failures:
            raise DataError(
                f"{plural(len(failures), 'unit')} of work {were(len(failures))} not scored, the "
                f"first because: {reason_of(failures[0])}; repeat the same command to continue"
            ) from failures[0]

    def missing(self) -> list[str]:
        """Return the units of work that have no results yet."""
        present = self._present()
        shards = manifest.shard_names(self.folder)
        return [shard for shard in shards if name_of(shard, self.work.hash) not in present]

    def _present(self) -> set[str]:
        return {f"{FOLDER}/{name}" for name in self.folder.names(FOLDER)}

    def finish(self) -> Counts:
        """Check that all is scored, and say so in ``_SUCCESS``; return the counts.

        Raises
        ------
        DataError
            If results are missing.
        """
        shards = manifest.all_shard_names(self.folder)
        if missing := self.missing():
            raise DataError(
                f"{self.folder.path}: no results of {plural(len(missing), 'unit')} of work; repeat "
                "the same command to continue"
            )
        names = (name_of(shard, self.work.hash) for shard in shards)
        counts = sum(
            (counts_in(tables.opened(self.folder, name, SCHEMA)) for name in names), Counts()
        )
        listing = manifest.read_listing(self.folder)
        if listing is None or counts.entries != listing.entries:
            raise DataError(
                f"{self.folder.path}: the results are of {counts.entries} files, the manifest has "
                f"{listing.entries if listing else 'no end'}; the same command scores what is wrong"
            )
        self._claim()  # without which nothing tells what the results are of
        summary = {**asdict(counts), "shards": listing.shards, **asdict(self.work)}
        self.folder.create(DONE, json.dumps(summary, indent=1).encode())
        return counts


def read_run(folder: Folder) -> dict[str, object]:
    """Return what a folder of results was made for.

    Raises
    ------
    DataError
        If it is not one.
    """
    content = folder.read(RUN)
    try:
        found = json.loads(content or b"")
    except (RecursionError, ValueError) as error:
        raise DataError(f"{folder.path}: not a folder that adacl scale score wrote") from error
    if not isinstance(found, dict) or not {"model", "sources", "version"} <= found.keys():
        raise DataError(f"{folder.path}: its {RUN} is damaged")
    return found


def _option(name: str) -> str:
    """Return what a field of ``Work`` is called in the command."""
    options = {"sources": "list of sources", "shard_bytes": "--shard-mib", "version": "adacl"}
    named = name if name == "model" else f"--{name.replace('_', '-')}"
    return options.get(name, named)


def _check_outside(out: str, root: str) -> None:
    """Refuse a folder of results in one that is listed, or that is listed among the results."""
    inner, outer = (
        (name if is_url(name) else os.path.realpath(name)).rstrip("/") + "/" for name in (out, root)
    )
    if inner.startswith(outer):
        raise ConfigError(f"{out}: lies in {root}, which is scored; name a folder outside")
    if outer.startswith(tuple(f"{inner}{name}/" for name in (FOLDER, manifest.FOLDER, HEATMAPS))):
        raise ConfigError(f"{root}: results would be written among these; name another --out")


def _hash_of(model: Path, fleet: bool) -> str:
    if fleet:
        return Fleet(model).hash
    scorer = Scorer(model, threads=1)
    scorer.header.check_kind(model, video=False, taker="adacl scale score")
    return hash_of(scorer)
