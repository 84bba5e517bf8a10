"""The first reading of normal footage: its size, its length, and the threshold of the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adacl.data.video import Clip, Frame
from adacl.errors import DataError
from adacl.model.learnt import Learnt
from adacl.video.chunks import chunks_of_segments
from adacl.video.config import VideoConfig
from adacl.video.light import EVERY, measure_frame
from adacl.video.motion import motion_threshold
from adacl.video.repeats import Repeats

MOST_ENERGIES = 4000


@dataclass
class Footage:
    """What the first reading finds out.

    Parameters
    ----------
    clips, counts
        The clips, and the number of frames to learn from in each.
    height, width
        Size of the frames, after shrinking.
    seconds
        From one frame to the next, the median.
    motion
        Threshold of the gate.
    learnt
        Light of the frames.
    """

    clips: Sequence[Clip]
    counts: list[int]
    height: int
    width: int
    seconds: float
    motion: float
    learnt: Learnt = field(default_factory=Learnt)

    @property
    def frame_rate(self) -> float:
        """Frames a second, to nine digits; the last ones come from rounding."""
        return float(f"{1 / self.seconds:.9g}")


def survey(clips: Sequence[Clip], video: VideoConfig, held_out: float) -> Footage:
    """Read the footage once: its size, its length, and the threshold of the gate.

    The gate is set on all of the footage, whatever is normal in it or held out: it needs no label.
    A clip that shows what an earlier one shows is left out.

    Raises
    ------
    DataError
        If clips differ in size, or nothing moves.
    """
    energies: list[NDArray[np.float64]] = []
    every, seen = 1, 0
    lengths: list[int] = []
    size: tuple[int, int] | None = None
    seconds: list[float] = []
    measured: list[NDArray[np.float64]] = []
    repeats, distinct = Repeats(), list[Clip]()
    for clip in clips:
        count, before = 0, ([*energies], every, seen, len(seconds), len(measured))
        frames = repeats.watch(clip.frames(1, video.tallest), clip.name)
        for chunk in chunks_of_segments(frames, video, 0):
            height, width = chunk.frames[0].image.shape[:2]
            size = size or (height, width)
            if size != (height, width):
                raise DataError(
                    f"{clip.name}: frames of {height}x{width} pixels, those of {clips[0].name} "
                    f"have {size[0]}x{size[1]}; fit one model for each camera"
                )
            count += len(chunk.frames)
            seconds += _interval(chunk.frames)
            measured += [measure_frame(frame) for frame in chunk.frames[::EVERY]]
            for row in chunk.energies:
                if not np.isnan(row).any():
                    seen += 1
                    if seen % every == 0:
                        energies.append(row)
            if len(energies) > MOST_ENERGIES:
                energies, every = energies[1::2], every * 2
        if repeats.repeated:
            energies, every, seen = before[:3]
            del seconds[before[3] :], measured[before[4] :]
            continue
        distinct.append(clip)
        lengths.append(count)
    if size is None:
        raise DataError("there is no footage to learn from")
    if not energies:
        raise DataError(f"{clips[0].name}: too few frames, the gate compares {video.lag} apart")
    motion = 0.0 if video.gate == "none" else motion_threshold(np.concatenate(energies))
    counts = [round(length * (1 - held_out)) for length in lengths]
    interval = float(np.median(seconds)) if seconds else 1.0
    learnt = Learnt.of_measures(np.array(measured))
    return Footage(distinct, counts, *size, max(interval, 1e-3), motion, learnt)


def _interval(frames: list[Frame]) -> list[float]:
    if len(frames) < 2:
        return []
    return [(frames[-1].time - frames[0].time) / (len(frames) - 1)]
