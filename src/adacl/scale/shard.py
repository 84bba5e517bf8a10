"""Score one unit of work: read ahead, decode, score, and write the results as one file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from PIL import Image

from adacl.deploy.scorer import Scorer
from adacl.errors import DataError, ImageError
from adacl.model.scoring import GATHERED, ImageScore
from adacl.scale.fleet import Fleet
from adacl.scale.manifest import entries_of, id_of, read_unit
from adacl.scale.parts import Counts, Row, Work, name_of, write_part
from adacl.scale.sources import Entry
from adacl.scale.storage import LARGEST, TOO_LARGE, Folder, read_all
from adacl.scale.tars import Content, images_in

AT_ONCE = 64
"""Files that are fetched side by side."""
BYTES_AT_ONCE = 32 << 20
"""Bytes of files that are fetched at once, about; twice that is held."""
HEATMAPS = "heatmaps"

T = TypeVar("T")


class Decodable(NamedTuple):
    """An image that waits to be scored: its path, file, pixels H x W x C, and a remark."""

    path: str
    content: bytes
    pixels: Any
    remark: str


Draw = Callable[[Scorer, Decodable, float], str]
"""Draws the heat map of an image with a raw score, and returns its name."""


class Task(NamedTuple):
    """All that a worker needs to score any unit of work of a run."""

    folder: str
    work: Work
    model: Path
    fleet: bool


def score_shard(task: Task, shard: str) -> Counts:
    """Score a unit of work, and return its counts.

    Raises
    ------
    AdaclError
        If the model, the storage or the folder of the results cannot be used. What is wrong with an
        image is told in its row.
    """
    folder, work = Folder(task.folder), task.work
    entries = entries_of(read_unit(folder, shard))
    draw = partial(_draw, folder, shard) if work.heatmaps else None
    header: dict[str, Any] = {"model": work.model, "version": work.version, "shard": shard}
    if task.fleet:
        fleet = _fleet(task.model)
        _check_same(fleet.hash, task)
        rows = _scored_by_fleet(fleet, work.threshold, entries, draw)
    else:
        scorer = _open(task.model, work.threshold)
        _check_same(hash_of(scorer), task)
        rows = _scored(scorer, entries, draw)
        header["threshold"] = scorer.threshold.value
    return write_part(folder, name_of(shard, work.hash), rows, len(entries), header)


def hash_of(scorer: Scorer) -> str:
    """Return the hash of an exported file, by which a run knows it."""
    return hashlib.sha256(scorer.content).hexdigest()


def _check_same(found: str, task: Task) -> None:
    """Check that the model is still, and on this machine, the one that the run began with."""
    if found != task.work.model:
        raise DataError(f"{task.model}: is not the model that the run began with; put it back")


@lru_cache(maxsize=8)
def _open(model: Path, threshold: float | None) -> Scorer:
    scorer = Scorer(model, threads=1)
    return scorer if threshold is None else scorer.set_threshold(threshold)


@lru_cache(maxsize=1)
def _fleet(folder: Path) -> Fleet:
    return Fleet(folder)


def _scored_by_fleet(
    fleet: Fleet, threshold: float | None, entries: Sequence[Entry], draw: Draw | None
) -> Iterator[Row]:
    def model_of(entry: Entry) -> Path | str:
        try:
            return fleet.model_of(entry.path)
        except DataError as error:
            return str(error)

    for model, group in groupby(entries, model_of):
        if isinstance(model, Path):
            yield from _scored(_open(model, threshold), list(group), draw)
        else:
            yield from (_failed(entry.path, model) for entry in group)


def _scored(scorer: Scorer, entries: Sequence[Entry], draw: Draw | None) -> Iterator[Row]:
    """Yield the row of each image, in order."""
    waiting: list[Decodable] = []
    held = 0
    for path, content in _ahead(_contents(entries)):
        outcome = _decoded(scorer, path, content)
        if isinstance(outcome, str):
            yield from _rows(scorer, waiting, draw)
            waiting, held = [], 0
            yield _failed(path, outcome)
            continue
        waiting.append(outcome)
        held += outcome.pixels.size
        if len(waiting) >= scorer.at_once or held >= GATHERED:
            yield from _rows(scorer, waiting, draw)
            waiting, held = [], 0
    yield from _rows(scorer, waiting, draw)


def _decoded(scorer: Scorer, path: str, content: Content) -> Decodable | str:
    if isinstance(content, str):
        return content
    try:
        image = scorer.decode(path, content, sent=False)
    except ImageError as error:
        return str(error).removeprefix(f"{path}: ")
    return Decodable(path, content, image.pixels, image.remark)


def _rows(scorer: Scorer, waiting: Sequence[Decodable], draw: Draw | None) -> Iterator[Row]:
    scores = scorer.score_decoded(image.pixels for image in waiting)
    for image, score in zip(waiting, scores, strict=True):
        anomalous = score.raw > scorer.threshold.value
        heatmap = draw(scorer, image, score.raw) if draw and anomalous else ""
        yield _row(image.path, score.with_remark(image.remark), anomalous, heatmap)


def _row(path: str, score: ImageScore, anomalous: bool, heatmap: str) -> Row:
    row, column = score.tile or score.place or (None, None)
    return Row(
        path,
        id_of(path),
        score.score,
        int(anomalous),
        score.raw,
        row,
        column,
        "scored",
        "",
        score.remark,
        heatmap,
    )


def _draw(folder: Folder, shard: str, scorer: Scorer, image: Decodable, raw: float) -> str:
    """Write the heat map of an image, unless it is there."""
    name = f"{HEATMAPS}/{shard}/{id_of(image.path)}.png"
    decoded = scorer.decode(image.path, image.content, colour=True, sent=False)
    file = io.BytesIO()
    Image.fromarray(scorer.heat_map(decoded, raw)).save(file, "PNG")
    folder.create(name, file.getvalue())
    return name


def _failed(path: str, reason: str) -> Row:
    return Row(path, id_of(path), reason=reason.encode(errors="backslashreplace").decode())


def _contents(entries: Sequence[Entry]) -> Iterator[list[tuple[str, Content]]]:
    """Yield the images of some entries in portions: of each its path and bytes, or the reason."""
    for kind, group in groupby(entries, lambda entry: entry.kind):
        if kind == "tar":
            found = (pair for entry in group for pair in images_in(entry.path))
            yield from _portions(found, lambda pair: len(pair[1]))
        else:
            for too_large, some in groupby(group, lambda entry: (entry.size or 0) > LARGEST):
                if too_large:
                    yield [(entry.path, TOO_LARGE) for entry in some]
                    continue
                for portion in _portions(some, lambda entry: entry.size or 0):
                    paths = [entry.path for entry in portion]
                    yield list(zip(paths, read_all(paths), strict=True))


def _portions(items: Iterable[T], size: Any) -> Iterator[list[T]]:
    portion: list[T] = []
    held = 0
    for item in items:
        portion.append(item)
        held += size(item)
        if len(portion) >= AT_ONCE or held >= BYTES_AT_ONCE:
            yield portion
            portion, held = [], 0
    if portion:
        yield portion


def _ahead(portions: Iterator[list[T]]) -> Iterator[T]:
    """Yield the items of portions, the next portion being read meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, portions, None)
        while (portion := following.result()) is not None:
            following = pool.submit(next, portions, None)
            yield from portion
