"""A new threshold for a video model, from normal footage that it was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from adacl.data.video import Clip
from adacl.errors import DataError
from adacl.video.alarms import Alarm, from_normal_footage
from adacl.video.learnt_frames import unlearnt
from adacl.video.model import VideoModel


def alarm_from(model: VideoModel, clips: Sequence[Clip], per_hour: float) -> Alarm:
    """Score normal clips and set the threshold for so many false alarms an hour.

    Raises
    ------
    DataError
        If a clip is a live stream, its frames have another size than those fitted on, or the
        model has learnt from one of them.
    ConfigError
        If ``per_hour`` is not a finite number above 0.
    """
    stretches, seconds = [], 0.0
    for clip in clips:
        if clip.live:
            raise DataError(f"{clip.name}: a stream has no end; record it to a file")
        frames = unlearnt(clip.frames(1, model.config.tallest), model.learnt, clip.name)
        for _, scores in groupby(model.score(frames), key=lambda score: score.segment):
            pairs = np.array([(score.time, score.smoothed) for score in scores])
            stretches.append(pairs[:, 1])
            seconds += float(pairs[-1, 0] - pairs[0, 0]) + 1 / model.frame_rate
    return replace(from_normal_footage(stretches, seconds / 3600, per_hour), calibrated=True)
