"""From normal footage to a video model.

The footage is read three times, with constant memory: for the gate's threshold, see
:mod:`adacl.video.survey`, for tiles to learn from, see :mod:`adacl.video.training_tiles`, and, its
last fifth, for the rate of false alarms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import dropwhile, groupby
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from adacl.config import Config
from adacl.data.video import Clip
from adacl.errors import DataError
from adacl.files import make_folder
from adacl.model.history import EpochRecord
from adacl.training.fit import fit_model
from adacl.video.alarms import Alarm, from_normal_footage
from adacl.video.config import VideoConfig
from adacl.video.learnt_frames import LearntFrames
from adacl.video.model import VideoModel
from adacl.video.motion import stack_energy
from adacl.video.row_levels import Level, Levels
from adacl.video.survey import Footage, survey
from adacl.video.training_tiles import Mask, training_tiles

HELD_OUT = 0.2


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
        If the footage cannot be read, is a live stream, differs in size, or too little moves; or if
        the folder for checkpoints cannot be made.
    ConfigError, InputError, ModelFileError, TrainingError
        As :func:`adacl.training.loop.train` does.
    """
    for clip in clips:
        if clip.live:
            raise DataError(f"{clip.name}: a stream can be read only once; record it to a file")
    if checkpoints:
        make_folder(checkpoints)
    footage = survey(clips, video.training, HELD_OUT if per_hour is not None else 0.0)
    known = LearntFrames()
    samples, tiles = training_tiles(footage, video.training, normal or {}, seed, known)
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
        footage.frame_rate,
        footage.motion,
        levels_of(model.raw, np.asarray(samples.pixels), tiles, footage, video.training),
        Alarm(0.5),
    )
    if per_hour is not None:
        found.alarm = _alarm(found, footage, per_hour)
    return found


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
