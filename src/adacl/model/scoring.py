"""From the raw regression of samples to one score per image, with any runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adacl.config import Config
from adacl.errors import InputError
from adacl.imaging.spec import Array, ImageSpec
from adacl.imaging.tiles import Tiling
from adacl.model.header import ModelHeader
from adacl.model.large_images import Window, maps_of
from adacl.model.regions import Region, find_regions
from adacl.model.threshold import Threshold

GATHERED = 1 << 24
"""Pixels of whole images that are gathered before they are scored, about."""

Identity = TypeVar("Identity")


class ScoringModel(Protocol):
    """A model that scores, by whatever engine: PyTorch, an exported file, a stand-in.

    Attributes
    ----------
    header
        What is known of the model; its threshold can be replaced, the rest is as it was fitted.
    """

    header: ModelHeader

    def raw(self, samples: Array) -> Array:
        """Return the raw regression (S,) of samples S x H x W x C, stored as ``spec`` says."""

    def look(self, images: Array, window: Window | None) -> Array:
        """Return the maps of pixels S x H x W x C from a window of images, or of whole ones.

        Raises
        ------
        InputError
            If the network has no map.
        """
        raise InputError(f"preset {self.config.preset}: the network has no map")

    def maps(self, images: Array) -> Array:
        """Return the maps (S, ceil(H / 2), ceil(W / 2)) of images S x H x W x C."""
        return self.masked(maps_of(images, self.look, self.config.network))

    def masked(self, maps: Array) -> Array:
        """Return maps (S, h, w) with 0 where a mask does not look; maps of the whole image."""
        if self.header.mask is None:
            return maps
        return np.where(self.header.mask.resized(*maps.shape[1:]), maps, np.float32(0))

    def peaks(self, maps: Array) -> Array:
        """Return the raw regression (S,) of images from their maps (S, h, w)."""
        return self.header.peak_scale.raw(self.looked_at(maps), self.config.network)

    def looked_at(self, maps: Array) -> Array:
        """Return the places (S, P) of maps (S, h, w) where a mask looks, or all."""
        if self.header.mask is not None:
            inside = self.header.mask.resized(*maps.shape[1:])
            if inside.any():
                return maps[:, inside]
        return maps.reshape(len(maps), -1)

    def native_map(self, image: Array) -> NDArray[np.float32] | None:
        """Return the raw regression of every pixel of an image, if the network has a map.

        It is 0 where a mask does not look.
        """
        if not self.header.has_map:
            return None
        found = full_size(self.maps(image[None])[0], *image.shape[:2])
        shown: NDArray[np.float32] = self.masked(found[None])[0]
        return shown

    def verdict(
        self,
        image: Array,
        output: Array,
        remark: str,
        level: float,
        threshold: float | None = None,
    ) -> ImageScore:
        """Return the score of a whole image H x W x C with remarks and regions.

        ``output`` is its raw regression or, if the network has one, its map; for ``remark`` and
        ``level`` see :class:`ImageScore`. Regions are those above ``threshold``, by default the
        model's.
        """
        if not self.header.has_map:
            return ImageScore(float(output), None, remark, (), level)
        raw = float(self.peaks(output[None])[0])
        if threshold is None:
            threshold = self.threshold.value
        regions: tuple[Region, ...] = ()
        if self.header.mask is not None:
            inside = self.header.mask.resized(*output.shape)
            output = np.where(inside, output, -np.inf)
        if raw > threshold:
            if output.max() <= threshold:
                below = np.nextafter(output.max(), np.float32(-np.inf))
                threshold = min(self.header.peak_scale.peak_of(raw), float(below))
            least = self.config.threshold.least_region
            regions = find_regions(output, threshold, image.shape[:2], least)
        row, column = np.unravel_index(output.argmax(), output.shape)
        return ImageScore(raw, None, remark, regions, level, (2 * int(row), 2 * int(column)))

    @property
    def spec(self) -> ImageSpec:
        """Form of the network's input."""
        return self.header.spec

    @property
    def config(self) -> Config:
        """The method that the network was trained by."""
        return self.header.config

    @property
    def tiling(self) -> Tiling | None:
        """How images are cut into tiles, or None."""
        return self.header.tiling

    @property
    def threshold(self) -> Threshold:
        """The threshold, and where it comes from."""
        return self.header.threshold


@dataclass(frozen=True)
class ImageScore:
    """The score of one image.

    Parameters
    ----------
    raw
        The regression before clipping; rank by this.
    tile
        Top-left corner of the worst tile in pixels, when the model works on tiles.
    remark
        What speaks against the score, such as light that was not learnt; or "".
    regions
        Of an image above the threshold, if the network has a map. Where many places raise the score
        together, each below the threshold, they are those above the weighted mean of these.
    level
        Mean of the image, of the range that the network sees.
    place
        Row and column of the map's highest place in pixels, if the network has a map.
    """

    raw: float
    tile: tuple[int, int] | None = None
    remark: str = ""
    regions: tuple[Region, ...] = ()
    level: float | None = None
    place: tuple[int, int] | None = None

    def with_remark(self, remark: str) -> ImageScore:
        """Return a copy with a further remark."""
        if not remark:
            return self
        return replace(self, remark=f"{self.remark}; {remark}" if self.remark else remark)

    @property
    def score(self) -> float:
        """The anomaly score, clipped to [0, 1]."""
        return min(1.0, max(0.0, self.raw))


@dataclass(frozen=True)
class FileScore:
    """The score of one image file.

    ``raw`` is the regression before clipping, ``score`` the same in [0, 1], ``tile`` the
    top-left corner of the worst tile (row and column in pixels, or None), ``trained_on``
    whether the image is one that the model was fitted on, or None where that is not known,
    ``remark`` what speaks against the score, ``regions`` are those above the threshold, ``digest``
    is a hash of its pixels as the model takes them, where it was made, ``level`` its mean, of the
    range that the network sees, ``set_threshold`` whether the image is one of those that the model
    was calibrated by, or None where that is not known.
    """

    path: Path
    raw: float
    score: float
    tile: tuple[int, int] | None
    trained_on: bool | None = None
    digest: int | None = None
    remark: str = ""
    regions: tuple[Region, ...] = ()
    level: float | None = None
    set_threshold: bool | None = None

    @classmethod
    def of(
        cls,
        path: Path,
        score: ImageScore,
        trained_on: bool | None = None,
        digest: int | None = None,
        set_threshold: bool | None = None,
    ) -> FileScore:
        """Return the score of an image as that of a file."""
        return cls(
            path,
            score.raw,
            score.score,
            score.tile,
            trained_on,
            digest,
            score.remark,
            score.regions,
            score.level,
            set_threshold,
        )


def record_of(score: ImageScore | FileScore, threshold: float) -> dict[str, Any]:
    """Return the machine-readable score of an image; above the threshold the label is 1."""
    record: dict[str, Any] = {
        "pred_score": score.score,
        "pred_label": int(score.raw > threshold),
        "raw_score": score.raw,
    }
    if score.tile:
        record["tile"] = list(score.tile)
    if score.remark:
        record["remark"] = score.remark
    if score.regions:
        record["regions"] = [region._asdict() for region in score.regions]
    return record


def scores_of(
    images: Iterable[tuple[Identity, Array]],
    outputs: Callable[[Array], Array],
    model: ScoringModel,
    batch: int,
    threshold: float | None = None,
) -> Iterator[tuple[Identity, ImageScore]]:
    """Score images H x W x C one after another, in batches and with bounded memory.

    Parameters
    ----------
    images
        Pairs of anything that identifies an image, and its pixels. Without tiles every
        image has the size the network takes, or any, if it takes any; with tiles any size will do.
    outputs
        Returns the raw regression (S,) of samples S x H x W x C or, if the network has them, maps.
    model
        What knows how images are cut into tiles, and what to say of whole images.
    batch
        Samples gathered before they are scored.
    threshold
        Regions are those above it; by default the model's.

    Yields
    ------
    identity, score
        In the order given.
    """
    tiling = model.tiling
    waiting: list[tuple[Identity, Array, tuple[int, int]]] = []
    samples = pixels = 0
    for identity, image in images:
        parts = tiling.cut(image) if tiling else image[None]
        waiting.append((identity, parts, (image.shape[0], image.shape[1])))
        samples += len(parts)
        pixels += 0 if tiling else image.size
        if samples >= batch or pixels >= GATHERED:
            yield from _score_batch(waiting, outputs, model, threshold)
            waiting, samples, pixels = [], 0, 0
    if waiting:
        yield from _score_batch(waiting, outputs, model, threshold)


def _score_batch(
    batch: list[tuple[Identity, Array, tuple[int, int]]],
    outputs: Callable[[Array], Array],
    model: ScoringModel,
    threshold: float | None,
) -> Iterator[tuple[Identity, ImageScore]]:
    tiling = model.tiling
    outcomes: list[Array] = []
    remarks: list[tuple[str, float]] = []
    for _, group in groupby(batch, key=lambda entry: entry[1].shape[1:]):
        samples = [parts for _, parts, _ in group]
        gathered = np.concatenate(samples) if len(samples) > 1 else samples[0]
        ends = [0, *accumulate(map(len, samples))]
        found = outputs(gathered)
        outcomes += [found[start:end] for start, end in pairwise(ends)]
        remarks += model.header.remarks(gathered, ends[:-1])
    for (identity, parts, (height, width)), scores, (remark, level) in zip(
        batch, outcomes, remarks, strict=True
    ):
        if tiling is None:
            yield identity, model.verdict(parts[0], scores[0], remark, level, threshold)
        else:
            corner = tiling.corners(height, width)[int(scores.argmax())]
            yield identity, ImageScore(tiling.aggregate(scores), corner, remark, (), level)


def full_size(half: Array, height: int, width: int) -> NDArray[np.float32]:
    """Return a map of half an image's size at its full size, H x W."""
    doubled = Image.fromarray(half).resize(
        (2 * half.shape[1], 2 * half.shape[0]), Image.Resampling.BILINEAR
    )
    return np.asarray(doubled)[:height, :width]
