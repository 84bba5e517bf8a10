"""The second reading of normal footage: the moving tiles to learn from.

Frames near each other are alike, so the split for early stopping is by blocks of frames.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from adacl.data.samples import Samples
from adacl.data.video import Clip
from adacl.errors import DataError
from adacl.imaging.spec import ImageSpec
from adacl.video.chunks import Chunk, chunks_of_segments
from adacl.video.config import VideoConfig
from adacl.video.learnt_frames import LearntFrames
from adacl.video.survey import Footage

LONGEST_BLOCK = 50
BLOCKS = 20
SMALLEST_SET = 100

Mask = NDArray[np.bool_]
log = logging.getLogger("adacl")


def training_tiles(
    footage: Footage,
    video: VideoConfig,
    normal: Mapping[str, Mask],
    seed: int,
    known: LearntFrames | None = None,
) -> tuple[Samples, NDArray[np.intp]]:
    """Draw tiles to learn from, all moving ones or ``video.max_samples`` of them.

    ``known`` takes note of the frames in which they are.

    Returns
    -------
    samples, tiles
        The samples, with the frames for faster stacks as further channels and blocks of frames
        as owners; and which tile of the grid each is.

    Raises
    ------
    DataError
        If there are too few.
    """
    reach = video.training_reach
    block = max(1, min(LONGEST_BLOCK, sum(footage.counts) // BLOCKS))
    drawn = _Reservoir(video.max_samples, np.random.default_rng([seed, 3]))
    owners = 0
    for clip, count in zip(footage.clips, footage.counts, strict=True):
        usable = np.ones(count, bool)
        if clip.name in normal:
            usable = _checked(normal[clip.name], clip, count)
        usable = binary_erosion(usable, np.ones(2 * reach + 1))
        for chunk in chunks_of_segments(clip.frames(1, video.tallest), video, reach):
            numbers = np.array([frame.number for frame in chunk.centres])
            centres, tiles = chunk.moving(footage.motion)
            good = (numbers < count) & usable[np.minimum(numbers, count - 1)]
            keep = good[centres]
            drawn.offer(
                chunk, centres[keep], tiles[keep], owners + numbers[centres[keep]] // block, video
            )
            if known is not None:
                known.add(chunk.centres[centre] for centre in np.unique(centres[keep]))
            if numbers[0] >= count:
                break
        owners += -(-count // block)
    samples, owner, tiles = drawn.taken()
    names, owner = np.unique(owner, return_inverse=True)
    if len(samples) < SMALLEST_SET or len(names) < 4:
        raise DataError(
            f"only {len(samples)} moving tiles in the normal footage, at least {SMALLEST_SET} in "
            "4 stretches are needed; give more footage, or in which more happens"
        )
    log.info(
        "%d moving tiles to learn from, of %d frames", len(samples), sum(footage.counts)
    )  # fmt: skip
    spec = ImageSpec(video.tile, video.tile, video.channels)
    return Samples(samples, spec, owner), tiles


@dataclass
class _Reservoir:
    """A uniform sample of a fixed size: every tile draws a key, the smallest keys stay."""

    size: int
    rng: np.random.Generator
    limit: float = 1.0
    parts: list[tuple[NDArray[np.float64], ...]] = field(default_factory=list)

    def offer(
        self,
        chunk: Chunk,
        centres: NDArray[np.intp],
        tiles: NDArray[np.intp],
        owners: NDArray[np.intp],
        video: VideoConfig,
    ) -> None:
        keys = self.rng.random(len(tiles))
        chosen = keys < self.limit
        if not chosen.any():
            return
        samples = chunk.samples(centres[chosen], tiles[chosen], video, training=True)
        self.parts.append((keys[chosen], samples, owners[chosen], tiles[chosen]))  # type: ignore[arg-type]
        if sum(len(part[0]) for part in self.parts) > 2 * self.size:
            self._prune()

    def _prune(self) -> None:
        columns = [np.concatenate(column) for column in zip(*self.parts, strict=True)]
        smallest = np.sort(np.argsort(columns[0], kind="stable")[: self.size])
        if len(columns[0]) > self.size:
            self.limit = float(columns[0][smallest].max())
        self.parts = [tuple(column[smallest] for column in columns)]

    def taken(self) -> tuple[NDArray[np.uint8], NDArray[np.intp], NDArray[np.intp]]:
        if not self.parts:
            return np.empty((0,), np.uint8), np.empty(0, np.intp), np.empty(0, np.intp)
        self._prune()
        _, samples, owners, tiles = self.parts[0]
        return samples, owners, tiles  # type: ignore[return-value]


def _checked(mask: Mask, clip: Clip, count: int) -> Mask:
    if len(mask) < count:
        raise DataError(f"{clip.name}: {count} frames, but it is told of only {len(mask)}")
    return mask[:count]
