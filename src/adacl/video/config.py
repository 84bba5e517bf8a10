"""How video is turned into samples and scores: the settings of a ``VideoAnomalyDetector``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from adacl.config.sections import (
    SOME,
    Count,
    Section,
    Share,
    above,
    at_least,
    at_most,
    build,
    require,
)
from adacl.imaging.tiles import Tiling


@dataclass(frozen=True)
class VideoConfig(Section, name="video"):
    """Everything about video that is not the method itself.

    Parameters
    ----------
    tile
        Side of the square tiles in pixels (30 in the paper, 4.2).
    stride
        Pixels from one tile to the next; equal to ``tile`` for tiles that do not overlap. Tiles to
        learn from overlap by half in any case.
    frames
        3 stacks the frames t - lag, t, t + lag as channels, so that motion is seen; 1 is the
        single frame of the paper.
    lag
        Frames from one frame of a stack to the next.
    speeds
        How many times faster a stack is played to make an anomaly of it (kind ``skip``).
    position
        Whether the row of the tile is a further channel, because far things are small and slow.
    gate
        Which tiles are kept: ``difference`` to the frame ``lag`` earlier, ``background``, or
        all of them (``none``). The gate's threshold comes from the training footage alone.
    motion_weight
        Weight of a tile's motion energy relative to the network's score, both in standard
        deviations of the training footage. The network's output saturates where everything is fast,
        the energy does not. 0 means the network alone, as for single frames.
    levels
        ``row`` gives the scores of each row of tiles the same mean and spread on the training
        footage; ``all`` leaves the rows as they are.
    carry
        Share of a tile's score that comes from the frame before, from itself or a tile next to it:
        what moves oddly does so for some time. 0 takes each frame alone.
    smoothing
        Standard deviation, in frames, of the Gaussian that smooths the frames' scores.
    tallest
        Frames with more lines than this are shrunk to this number of lines; at least ``tile``.
    max_samples
        Tiles to learn from, drawn at random if there are more.
    """

    tile: Annotated[int, at_least(8)] = 30
    stride: Count = 30
    frames: Literal[1, 3] = 3
    lag: Count = 2
    speeds: Annotated[tuple[Annotated[float, above(1), at_most(10)], ...], SOME] = (2.0,)
    position: bool = True
    gate: Literal["difference", "background", "none"] = "difference"
    motion_weight: Annotated[float, at_least(0)] = 1.0
    levels: Literal["row", "all"] = "row"
    carry: Share = 0.8
    smoothing: Annotated[float, at_least(0)] = 6.0
    tallest: int = 240
    max_samples: Annotated[int, at_least(100)] = 16_000

    def _check(self) -> None:
        _ = self.tiling
        require(
            len(set(self.steps)) == len(self.speeds) and self.lag not in self.steps,
            f"video.speeds: with lag {self.lag} they are steps of {list(self.steps)} frames, "
            "which must differ from it and from each other",
        )
        require(
            self.tallest >= self.tile,
            f"video.tallest: need at least a tile ({self.tile} lines), got {self.tallest}",
        )

    @classmethod
    def of_file(cls, tree: Mapping[str, Any]) -> Self:
        """Build from what a model file says; what older files do not say is as it was then.

        Raises
        ------
        ConfigError
            If a setting is not valid.
        """
        return build(cls, {"carry": 0.0, **tree})

    @property
    def tiling(self) -> Tiling:
        """The grid of tiles."""
        return Tiling(self.tile, self.tile, self.stride)

    @property
    def training(self) -> VideoConfig:
        """The same with tiles that overlap by half at least: there is more to learn from them."""
        return replace(self, stride=min(self.stride, self.tile // 2))

    def rows(self, height: int, width: int) -> NDArray[np.intp]:
        """Return for each tile (T,) the nearest row of the tiles that are learned from."""
        tops, learned = (
            np.array([top for top, _ in tiling.corners(height, width)])
            for tiling in (self.tiling, self.training.tiling)
        )
        nearest: NDArray[np.intp] = np.abs(tops[:, None] - np.unique(learned)).argmin(1)
        return nearest

    @property
    def channels(self) -> int:
        """Channels that the network sees."""
        return self.frames + self.position

    @property
    def steps(self) -> tuple[int, ...]:
        """Frames between those of the faster stacks."""
        return tuple(round(speed * self.lag) for speed in self.speeds)

    @property
    def reach(self) -> int:
        """Frames on either side that a sample to score needs."""
        return self.lag if self.frames == 3 else 0

    @property
    def training_reach(self) -> int:
        """Frames on either side that a sample to learn from needs."""
        return max(self.steps) if self.frames == 3 else 0
