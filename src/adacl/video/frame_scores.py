"""The score of a frame, and its smoothing over time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FrameScore:
    """The score of one frame.

    Parameters
    ----------
    number, time, wall
        As in :class:`adacl.data.video.Frame`.
    raw
        Before clipping and smoothing; the floor of the levels where no tile is kept.
    smoothed
        ``raw`` smoothed over time; rank by this.
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
    raw: deque[float] = deque()

    def next_one() -> FrameScore:
        offset = radius - (len(raw) - len(held))
        weights = kernel[offset : offset + len(raw)]
        value = float(weights @ np.array(raw) / weights.sum())
        score = replace(held.popleft(), smoothed=value)
        if len(raw) - len(held) > radius:
            raw.popleft()
        return score

    for score in scores:
        held.append(score)
        raw.append(score.raw)
        if len(held) > radius:
            yield next_one()
    while held:
        score = next_one()
        yield score if held else replace(score, last=True)
