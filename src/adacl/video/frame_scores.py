"""The score of a frame: that of its worst tile, followed from frame to frame and smoothed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray


@dataclass(frozen=True)
class FrameScore:
    """The score of one frame.

    Parameters
    ----------
    number, time, wall
        As in :class:`adacl.data.video.Frame`.
    raw
        The score of the worst tile of this frame alone; the floor of the levels where no tile is
        kept.
    smoothed
        After :func:`carry` and :func:`smooth`; rank by this.
    tile
        Top-left corner of the worst tile, in pixels of the frame as it is scored, or None.
    tiles
        (T,) the score of each tile, NaN where nothing moves.
    segment
        Frames with different numbers have a gap between them.
    last
        Whether it ends its segment.
    """

    number: int
    time: float
    raw: float
    smoothed: float
    tile: tuple[int, int] | None
    tiles: NDArray[np.float64]
    segment: int = 0
    wall: float | None = None
    last: bool = False

    @property
    def score(self) -> float:
        """The anomaly score: ``smoothed``, clipped to [0, 1]."""
        return min(1.0, max(0.0, self.smoothed))


def carry(
    scores: Iterable[FrameScore], shape: tuple[int, int], share: float, floor: float
) -> Iterator[FrameScore]:
    """Follow the scores of tiles from frame to frame of one segment, as they come in.

    What moves oddly does so for some time, and moves on. So each tile takes a share of the score
    of the frame before, the highest there of the tile itself and those next to it; the rest is its
    own. The highest of these sums stands for the frame. At the segment's start the weights are
    those of the frames that are there.

    Parameters
    ----------
    scores
        Scores of successive frames.
    shape
        Rows and columns of tiles.
    share
        The share; with 0, a frame has the score of its worst tile.
    floor
        The score of a still tile, and the lowest of any.
    """
    numbers = np.arange(math.prod(shape)).reshape(shape)
    around = sliding_window_view(np.pad(numbers, 1, mode="edge"), (3, 3)).reshape(-1, 9)
    sums, weight = np.zeros(len(around)), 0.0
    for score in scores:
        sums = (1 - share) * np.fmax(score.tiles, floor) + share * sums[around].max(1)
        weight = 1 - share + share * weight
        yield replace(score, smoothed=float(sums.max() / weight))


def smooth(scores: Iterable[FrameScore], sigma: float) -> Iterator[FrameScore]:
    """Smooth the scores of one segment by a Gaussian, as they come in.

    The Gaussian ends at three standard deviations, which is how many frames a score waits; at
    the segment's ends its weights are those of the frames that are there.

    Parameters
    ----------
    scores
        Scores of successive frames.
    sigma
        Standard deviation in frames; 0 for none.
    """
    radius = math.ceil(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-9)) ** 2)
    held: deque[FrameScore] = deque()
    carried: deque[float] = deque()

    def next_one() -> FrameScore:
        offset = radius - (len(carried) - len(held))
        weights = kernel[offset : offset + len(carried)]
        value = float(weights @ np.array(carried) / weights.sum())
        score = replace(held.popleft(), smoothed=value)
        if len(carried) - len(held) > radius:
            carried.popleft()
        return score

    for score in scores:
        held.append(score)
        carried.append(score.smoothed)
        if len(held) > radius:
            yield next_one()
    while held:
        score = next_one()
        yield score if held else replace(score, last=True)
