"""Why a frame was flagged: its worst tiles, what they show, and what is unusual about them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adacl.data.video import Clip, Frame
from adacl.video.chunks import Chunk
from adacl.video.frame_scores import FrameScore
from adacl.video.model import VideoModel
from adacl.video.motion import stack_energy

MOST = 3
"""Tiles that are told of."""

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Reason:
    """A tile that raises the score of its frame.

    Parameters
    ----------
    corner
        Its top-left corner, in pixels of the frame as it is scored.
    score
        Of the tile.
    network, motion
        The network's output and the energy of the motion, each in standard deviations above what
        is usual in its row of tiles; ``motion`` is None where it does not count.
    pictures
        What the network saw: the tile in the frames before, at and after, H x W each.
    """

    corner: tuple[int, int]
    score: float
    network: float
    motion: float | None
    pictures: list[Picture]

    def words(self) -> str:
        """Say what is unusual."""
        motion = "" if self.motion is None else f", motion {self.motion:+.1f}"
        return f"network {self.network:+.1f}{motion} standard deviations"


@dataclass(frozen=True)
class Seen:
    """A frame as it can be shown and explained.

    Parameters
    ----------
    image
        H x W x 3, as large as it is.
    window
        The frames around it, grey, as they were scored.
    """

    image: Picture
    window: list[Frame]


def look(clip: Clip, numbers: Iterable[int], model: VideoModel) -> Iterator[tuple[int, Seen]]:
    """Read a clip once more, and give some of its frames, by number, in their order."""
    reach, tallest = model.config.reach, model.config.tallest
    pending = sorted(set(numbers))
    images: dict[int, Picture] = {}
    window: deque[Frame] = deque(maxlen=2 * reach + 1)
    for frame, colour in zip(clip.frames(1, tallest), clip.frames(3), strict=False):
        window.append(frame)
        if frame.number in pending:
            images[frame.number] = colour.image
        while pending and len(window) == window.maxlen and pending[0] + reach <= frame.number:
            number = pending.pop(0)
            yield number, Seen(images.pop(number), list(window))
        if not pending:
            return
    for number in pending:
        if number in images:
            yield number, Seen(images[number], list(window))


def reasons(model: VideoModel, seen: Seen, score: FrameScore) -> list[Reason]:
    """Return the tiles that score highest in a frame, the highest first, at most ``MOST``.

    None are returned of a frame that stands next to a gap, whose score comes from other frames.
    """
    reach, config = model.config.reach, model.config
    scored = np.flatnonzero(~np.isnan(score.tiles))
    tiles = scored[np.argsort(-score.tiles[scored], kind="stable")][:MOST]
    if not len(tiles) or len(seen.window) <= 2 * reach:
        return []
    chunk = Chunk(seen.window, np.zeros((len(seen.window), len(score.tiles))), reach)
    samples = chunk.samples(np.zeros(len(tiles), np.intp), tiles, config, training=False)
    if not np.allclose(model.tile_scores(samples, tiles), score.tiles[tiles], atol=1e-3):
        return []
    rows = config.rows(model.height, model.width)[tiles]
    corners = np.array(config.tiling.corners(model.height, model.width))[tiles]
    network = model.levels.network.deviation(model.tiles.raw(samples), rows)
    level = model.levels.motion
    motion = level.deviation(stack_energy(samples), rows) if level else None
    return [
        Reason(
            (int(corners[n, 0]), int(corners[n, 1])),
            float(score.tiles[tile]),
            float(network[n]),
            None if motion is None else float(motion[n]),
            [samples[n, :, :, channel] for channel in range(config.frames)],
        )
        for n, tile in enumerate(tiles)
    ]
