"""From normal footage to a video model.

The footage is read three times, with constant memory: for the gate's threshold, for tiles to
learn from, and, its last fifth, for the rate of false alarms. Frames near each other are alike,
so the split for early stopping is by blocks of frames.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile, groupby
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from adacl.config import Config
from adacl.data.samples import Samples
from adacl.data.video import Clip, Frame
from adacl.errors import DataError
from adacl.imaging.spec import ImageSpec
from adacl.model.history import EpochRecord
from adacl.model.learnt import Learnt
from adacl.training.fit import fit_model
from adacl.video.alarms import Alarm, from_normal_footage
from adacl.video.chunks import Chunk, chunks, segments
from adacl.video.config import VideoConfig
from adacl.video.learnt_frames import LearntFrames
from adacl.video.light import EVERY, measure_frame
from adacl.video.model import VideoModel
from adacl.video.motion import motion_threshold, stack_energy
from adacl.video.repeats import Repeats
from adacl.video.row_levels import Level, Levels

HELD_OUT = 0.2
LONGEST_BLOCK = 50
BLOCKS = 20
SMALLEST_SET = 100
MOST_ENERGIES = 4000

Mask = NDArray[np.bool_]
log = logging.getLogger("adacl")


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


def fit_video(
    clips: Sequence[Clip],
    video: VideoConfig,
    config: Config,
    *,
    normal: Mapping[str, Mask] | None = None,
    per_hour: float | None = 1.0,
    seed: int = 0,
    device: torch.device | None = None,
    checkpoints: Path | None = None,
    on_epoch: Callable[[str, EpochRecord], object] | None = None,
) -> VideoModel:
    """Train a model on clips of normal footage.

    Parameters
    ----------
    clips
        Files or folders of frames; all of one size.
    video, config
        How frames become tiles, and the method.
    normal
        For clips that are not normal throughout, by name: which of their frames (F,) are. Only
        stacks that lie wholly in normal frames are learned from.
    per_hour
        False alarms in an hour that are accepted; the last fifth of each clip is held out for
        this threshold. None learns from all frames and leaves the threshold at 0.5.
    seed
        Decides everything random.
    device
        Where to train; the CPU by default.
    checkpoints
        Folder for checkpoints; a training that is found there is continued.
    on_epoch
        Called after every epoch; ends the training by returning True.

    Raises
    ------
    DataError
        If the footage cannot be read, is a live stream, differs in size, or too little moves.
    """
    for clip in clips:
        if clip.live:
            raise DataError(f"{clip.name}: a stream can be read only once; record it to a file")
    footage = survey(clips, video.training, HELD_OUT if per_hour is not None else 0.0)
    known = LearntFrames()
    samples, tiles = training_tiles(footage, video.training, normal or {}, seed, known)
    if checkpoints:
        checkpoints.mkdir(parents=True, exist_ok=True)
    model = fit_model(
        samples, config, contamination=config.threshold.fpr, seed=seed, device=device,
        checkpoints=checkpoints, on_epoch=on_epoch,
    )  # fmt: skip
    model.digests = known.digests
    model.header.training["clips"] = len(footage.clips)
    model.header.training["frames"] = sum(footage.counts)
    model.header.training["learnt"] = footage.learnt.to_dict()
    found = VideoModel(
        model,
        video,
        footage.height,
        footage.width,
        1 / footage.seconds,
        footage.motion,
        levels_of(model.raw, np.asarray(samples.pixels), tiles, footage, video.training),
        Alarm(0.5),
    )
    if per_hour is not None:
        found.alarm = _alarm(found, footage, per_hour)
    return found


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
        count = 0
        frames = repeats.watch(clip.frames(1, video.tallest), clip.name)
        for chunk in _chunks(frames, video, 0):
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
        if not repeats.repeated:
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
        for chunk in _chunks(clip.frames(1, video.tallest), video, reach):
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


def _chunks(frames: Iterator[Frame], video: VideoConfig, reach: int) -> Iterator[Chunk]:
    for segment in segments(frames):
        yield from chunks(segment, video, reach)


def _interval(frames: list[Frame]) -> list[float]:
    if len(frames) < 2:
        return []
    return [(frames[-1].time - frames[0].time) / (len(frames) - 1)]


def _checked(mask: Mask, clip: Clip, count: int) -> Mask:
    if len(mask) < count:
        raise DataError(f"{clip.name}: {count} frames, but it is told of only {len(mask)}")
    return mask[:count]


def levels_of(
    raw: Callable[[NDArray[np.uint8]], NDArray[np.float64]],
    samples: NDArray[np.uint8],
    tiles: NDArray[np.intp],
    footage: Footage,
    video: VideoConfig,
) -> Levels:
    """Measure what is usual in the tiles (S,) that were learned from, by the scores of ``raw``."""
    rows = video.rows(footage.height, footage.width)

    def measure(values: NDArray[np.float64]) -> Level:
        return Level.measure(values, rows[tiles], int(rows.max()) + 1, video.levels == "row")

    network = measure(raw(samples[..., : video.channels]))
    if video.frames == 1 or not video.motion_weight:
        return Levels(network)
    return Levels(network, measure(stack_energy(samples)), video.motion_weight)


def _alarm(model: VideoModel, footage: Footage, per_hour: float) -> Alarm:
    """Score the frames that were held out and set the threshold from them."""
    stretches: list[NDArray[np.float64]] = []
    for clip, count in zip(footage.clips, footage.counts, strict=True):
        held_out = dropwhile(
            lambda frame, count=count: frame.number < count,  # type: ignore[misc]
            clip.frames(1, model.config.tallest),
        )
        for _, scores in groupby(model.score(held_out), key=lambda score: score.segment):
            stretches.append(np.fromiter((score.smoothed for score in scores), float))
    frames = sum(map(len, stretches))
    return from_normal_footage(stretches, frames * footage.seconds / 3600, per_hour)
