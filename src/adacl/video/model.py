"""A trained video model: scoring frames with it, saving and loading it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.config.sections import finite, plain
from adacl.data.video import Frame
from adacl.deploy.opening import open_model
from adacl.errors import DataError, InputError, ModelFileError
from adacl.model.file import save_model
from adacl.model.scoring import ScoringModel
from adacl.model.tensor_file import UNSOUND
from adacl.video.alarms import Alarm
from adacl.video.chunks import CHUNK, Chunk, chunks, segments
from adacl.video.config import VideoConfig
from adacl.video.frame_scores import FrameScore, carry, smooth
from adacl.video.motion import stack_energy
from adacl.video.row_levels import Levels
from adacl.words import are, plural

log = logging.getLogger("adacl")

Floats = NDArray[np.float64]


@dataclass
class VideoModel:
    """Everything needed to score the frames of one camera.

    Parameters
    ----------
    tiles
        What scores the tiles.
    config
        How frames become tiles.
    height, width
        Size of the frames, after shrinking.
    frame_rate
        Frames per second of the footage it was fitted on.
    motion
        Tiles with more motion energy than this are scored.
    levels
        What is usual in each row of tiles.
    alarm
        Threshold and release level.
    """

    tiles: ScoringModel
    config: VideoConfig
    height: int
    width: int
    frame_rate: float
    motion: float
    levels: Levels
    alarm: Alarm
    _corners: NDArray[np.intp] = field(init=False, repr=False)
    _rows: NDArray[np.intp] = field(init=False, repr=False)
    _grid: tuple[int, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        finite("motion", self.motion)
        finite("frame rate", self.frame_rate, above=0)
        self._corners = np.array(self.config.tiling.corners(self.height, self.width))
        self._rows = self.config.rows(self.height, self.width)
        tops, lefts = (len(np.unique(starts)) for starts in self._corners.T)
        self._grid = tops, lefts

    @property
    def learnt(self) -> frozenset[int]:
        """Hashes of frames that it has learnt from; none of an exported file or an older one."""
        digests: frozenset[int] = getattr(self.tiles, "learnt", frozenset())
        return digests

    def score(self, frames: Iterable[Frame], chunk: int = CHUNK) -> Iterator[FrameScore]:
        """Score grey frames in order, as they come, with bounded memory and delay.

        The first and last ``lag`` frames of a segment, which cannot be stacked, take the score
        of the nearest one that can; those of a segment too short for any take the floor, as do,
        for single frames, the first ones, which the gate has nothing to compare with.

        Parameters
        ----------
        frames
            Grey frames, already shrunk to ``config.tallest`` lines.
        chunk
            Frames scored together; a score waits for at most so many frames, ``config.lag``
            and three times ``config.smoothing``.

        Raises
        ------
        DataError
            If the frames are not of the size that the model was fitted on.
        """
        alone, number = 0, 0
        for number, segment in enumerate(segments(frames)):
            count, stacked = 0, False
            raw = self._raw(segment, number, chunk)
            carried = carry(raw, self._grid, self.config.carry, self.levels.floor)
            for score in smooth(carried, self.config.smoothing):
                count, stacked = count + 1, count >= 2 * self.config.reach
                yield score
            alone += 0 if stacked else count
        if alone and not number:
            log.warning(
                "%s %s too few to see motion, which takes %d; taken for normal",
                plural(alone, "frame"), are(alone), 2 * self.config.reach + 1,
            )  # fmt: skip
        elif alone:
            log.warning(
                "%s %s between gaps in time, too few in a row to see motion; taken for normal",
                plural(alone, "frame"), are(alone),
            )  # fmt: skip

    def _raw(self, frames: Iterator[Frame], number: int, size: int) -> Iterator[FrameScore]:
        waiting: list[Frame] = []
        found: FrameScore | None = None
        for chunk in chunks(self._sized(frames, waiting), self.config, self.config.reach, size):
            for scored in self._chunk(chunk, number):
                while waiting and waiting[0].number <= scored.number:
                    frame = waiting.pop(0)
                    yield _for(frame, scored)
                found = scored
        nothing = np.full(len(self._corners), np.nan)
        lowest = self.levels.floor
        floor = FrameScore(0, 0, lowest, lowest, None, nothing, number)
        for frame in waiting:
            yield _for(frame, found or floor)

    def _sized(self, frames: Iterator[Frame], waiting: list[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if frame.image.shape[:2] != (self.height, self.width):
                height, width = frame.image.shape[:2]
                shrunk = ", shrunk," if height == self.config.tallest else ""
                raise DataError(
                    f"the frames{shrunk} have {height}x{width} pixels, the model was fitted on "
                    f"{self.height}x{self.width}; fit a model for this camera"
                )
            waiting.append(frame)
            yield frame

    def _chunk(self, chunk: Chunk, segment: int) -> Iterator[FrameScore]:
        centres, tiles = chunk.moving(self.motion)
        scores = np.full((len(chunk.centres), len(self._corners)), np.nan)
        if len(tiles):
            scores[centres, tiles] = self.tile_scores(
                chunk.samples(centres, tiles, self.config, training=False), tiles
            )
        for frame, row in zip(chunk.centres, scores, strict=True):
            kept = np.flatnonzero(~np.isnan(row))
            raw, tile = self.levels.floor, None
            if len(kept):
                raw = max(raw, self.config.tiling.aggregate(row[kept]))
                top, left = self._corners[kept[row[kept].argmax()]]
                tile = int(top), int(left)
            yield FrameScore(frame.number, frame.time, raw, raw, tile, row, segment)

    def tile_scores(self, samples: NDArray[np.uint8], tiles: NDArray[np.intp]) -> Floats:
        """Return the scores (S,) of samples, given which tile of the grid each is."""
        energy = stack_energy(samples) if self.levels.motion else None
        return self.levels.apply(self.tiles.raw(samples), energy, self._rows[tiles])

    def describe(self) -> dict[str, Any]:
        """Return what it has beyond the model of its tiles, as plain values."""
        return {
            "config": plain(self.config),
            "height": self.height,
            "width": self.width,
            "frame_rate": self.frame_rate,
            "motion": self.motion,
            "levels": plain(self.levels),
            "alarm": self.alarm.to_dict(),
        }

    def save(self, path: str | Path) -> None:
        """Write the model to one file, see :mod:`adacl.model.file`.

        Raises
        ------
        InputError
            If it was read from an exported file.
        """
        if self.tiles.header.exported:
            raise InputError("an exported model is not saved again; keep the file")
        from adacl.model.model import Model

        assert isinstance(self.tiles, Model)
        save_model(self.tiles, path, self.describe())

    @classmethod
    def load(
        cls, path: str | Path, device: str = "auto", backend: str = "onnxruntime"
    ) -> VideoModel:
        """Read a model file, or what was exported from one.

        Parameters
        ----------
        path
            The file.
        device
            Where PyTorch computes, for a model file.
        backend
            What runs an exported file, see :class:`adacl.runtime.Scorer`.

        Raises
        ------
        MissingDataError, ModelFileError
            If the file is not there, not sound, or a model for images.
        """
        tiles = open_model(path, device=device, backend=backend, video=True)
        try:
            video = dict(tiles.header.video or {})
            config = VideoConfig.of_file(video.pop("config"))
            levels, alarm = Levels.from_dict(video.pop("levels")), Alarm(**video.pop("alarm"))
            found = cls(tiles, config, levels=levels, alarm=alarm, **video)
            if levels.rows != found._rows.max() + 1:
                raise ValueError("as many levels as rows of tiles are needed")
        except UNSOUND as error:
            raise ModelFileError(f"{path}: not a sound model for video ({error})") from error
        return found


def _for(frame: Frame, score: FrameScore) -> FrameScore:
    return replace(score, number=frame.number, time=frame.time, wall=frame.wall)
