"""From a run of frames to the tiles that move: chunk by chunk, with constant memory.

A gap in the footage, as where a live stream could not keep up, ends a segment: frames on its
two sides are never compared or stacked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from adacl.data.video import Frame
from adacl.data.video_times import GAP
from adacl.errors import DataError
from adacl.video.config import VideoConfig
from adacl.video.motion import Background, FrameDifference, tile_energy

CHUNK = 64
"""Frames that are scored together, when they need not come at once."""
HABIT = 0.1

Energies = NDArray[np.float64]
Places = NDArray[np.intp]
Images = NDArray[np.uint8]


@dataclass
class Chunk:
    """Consecutive frames of a segment, with enough neighbours on both sides to stack them.

    Parameters
    ----------
    frames
        All frames, the neighbours included.
    energies
        (F, T) the motion energy of each tile, NaN where there is nothing to compare with.
    reach
        Number of neighbours on either side.
    """

    frames: list[Frame]
    energies: Energies
    reach: int

    @property
    def centres(self) -> list[Frame]:
        """The frames that are not mere neighbours."""
        return self.frames[self.reach : len(self.frames) - self.reach]

    def moving(self, threshold: float) -> tuple[Places, Places]:
        """Return centre and tile of each tile whose energy exceeds ``threshold``."""
        energies = self.energies[self.reach : len(self.frames) - self.reach]
        centres, tiles = np.nonzero(energies > threshold)
        return centres, tiles

    def samples(
        self, centres: Places, tiles: Places, config: VideoConfig, training: bool
    ) -> Images:
        """Cut tiles out of the stacked frames.

        Parameters
        ----------
        centres, tiles
            (S,) which centre, and which tile of it.
        config
            The layout.
        training
            Whether the frames from which ``skip`` makes anomalies are added.

        Returns
        -------
        ndarray
            S x tile x tile x C, uint8: the frames t - lag, t, t + lag (or t alone); the row of
            the tile, from 0 at the top to 255, if it is asked for; and, for training, a pair
            (t - step, t + step) for each faster speed.
        """
        side, tiling = config.tile, config.tiling
        images = np.stack([frame.image[:, :, 0] for frame in self.frames])
        places = np.array(tiling.corners(*images.shape[1:]))[tiles]
        top, left = places.T
        windows = np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(1, 2))
        steps = [-config.lag, 0, config.lag] if config.frames == 3 else [0]
        hidden = [s * step for step in config.steps for s in (-1, 1)]
        extra = hidden if training and config.frames == 3 else []
        samples = np.empty((len(tiles), side, side, config.channels + len(extra)), np.uint8)
        for channel, step in enumerate(steps):
            samples[..., channel] = windows[centres + self.reach + step, top, left]
        if config.position:
            room = max(1, images.shape[1] - side)
            samples[..., len(steps)] = np.round(255 * top / room)[:, None, None]
        for channel, step in enumerate(extra, start=config.channels):
            samples[..., channel] = windows[centres + self.reach + step, top, left]
        return samples


def segments(frames: Iterable[Frame]) -> Iterator[Iterator[Frame]]:
    """Part frames where one is missing, or where the time leaps or runs backwards."""
    for _, segment in groupby(frames, key=_Continuity()):
        yield segment


def chunks(
    frames: Iterable[Frame],
    config: VideoConfig,
    reach: int,
    size: int = CHUNK,
) -> Iterator[Chunk]:
    """Gather the frames of one segment into overlapping chunks.

    Each frame is a centre of exactly one chunk, but for the first and last ``reach`` frames of
    the segment, which lack neighbours.

    Parameters
    ----------
    frames
        The segment, grey.
    config
        Gate and tiles.
    reach
        Neighbours needed on either side.
    size
        Centres in a chunk, at most.

    Raises
    ------
    DataError
        If the frames are smaller than a tile.
    """
    measure = _Gate(config)
    held: list[Frame] = []
    energies: list[Energies] = []
    for frame in frames:
        held.append(frame)
        energies.append(measure(frame))
        if len(held) == size + 2 * reach:
            yield Chunk(held, np.stack(energies), reach)
            held, energies = held[size:], energies[size:]
    if len(held) > 2 * reach:
        yield Chunk(held, np.stack(energies), reach)


def chunks_of_segments(frames: Iterable[Frame], config: VideoConfig, reach: int) -> Iterator[Chunk]:
    """Gather the frames of each segment of some footage, as :func:`chunks` does."""
    for segment in segments(frames):
        yield from chunks(segment, config, reach)


class _Gate:
    """Measures the motion energy of every tile of successive frames."""

    def __init__(self, config: VideoConfig) -> None:
        self.tiling = config.tiling
        self.difference = {
            "difference": FrameDifference(config.lag).difference,
            "background": Background().difference,
            "none": None,
        }[config.gate]

    def __call__(self, frame: Frame) -> Energies:
        height, width = frame.image.shape[:2]
        if min(height, width) < self.tiling.height:
            raise DataError(
                f"frames of {height}x{width} pixels are smaller than a tile of "
                f"{self.tiling.height}x{self.tiling.width}; use a smaller tile"
            )
        if self.difference is None:
            return np.full(len(self.tiling.corners(height, width)), np.inf)
        difference = self.difference(frame.image)
        if difference is None:
            return np.full(len(self.tiling.corners(height, width)), np.nan)
        return tile_energy(difference, self.tiling)


class _Continuity:
    """Numbers the segments: called with each frame in turn, it returns its segment's number."""

    def __init__(self) -> None:
        self.segment = 0
        self.last: Frame | None = None
        self.usual: float | None = None

    def __call__(self, frame: Frame) -> int:
        if self.last is not None:
            step = frame.time - self.last.time
            usual = step if self.usual is None else self.usual
            if frame.number != self.last.number + 1 or not 0 <= step <= GAP * max(usual, 1e-3):
                self.segment += 1
                self.usual = None
            else:
                self.usual = usual + HABIT * (step - usual)
        self.last = frame
        return self.segment
