"""How many normal frames a change of the camera or its light raises above the threshold.

    python -m benchmarks.accuracy.light_video avenue ROOT

Learns with the default settings from the first fold of a protocol of ``adacl bench``, and scores
all of its test clips, every frame changed alike. The record joins those of
:mod:`benchmarks.accuracy.light`, whose ``--table`` prints it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.config.presets import preset
from adacl.data.video import Clip, Frame
from adacl.imaging.changes import CHANGES, Pixels
from adacl.metrics import auroc
from adacl.protocols.video.footage import Fold, load
from adacl.scale import records
from adacl.video.config import VideoConfig
from adacl.video.fit import fit_video
from adacl.video.model import VideoModel
from benchmarks.accuracy.light import RECORDS
from benchmarks.common import machine

NOISE = "noise, 5 levels"


def main() -> None:
    """Learn, measure, and append the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("protocol")
    parser.add_argument("root", type=Path)
    given = parser.parse_args()
    footage = load(given.protocol, given.root)
    fold, config = footage.folds[0], preset("video")
    model = fit_video(fold.train, VideoConfig(), config, normal=fold.normal, per_hour=1.0, seed=0)
    abnormal = np.concatenate([footage.abnormal[clip.name] for clip in fold.test])
    before = scores(model, fold, None)
    record: dict[str, Any] = {
        "set": given.protocol,
        "class": None,
        "preset": config.preset,
        "epochs": config.training.epochs,
        "machine": machine(),
        "good": int((~abnormal).sum()),
        "bad": int(abnormal.sum()),
        "flagged": float((before[~abnormal] > model.alarm.threshold).mean()),
        "auroc": auroc(before[~abnormal], before[abnormal]),
        "changes": {},
    }
    for name in CHANGES:
        if name == "white balance, 10 %":
            continue
        after = scores(model, fold, name)
        moved = np.abs(after - before)[~abnormal] / before[~abnormal].std()
        record["changes"][name] = {
            "flagged": float((after[~abnormal] > model.alarm.threshold).mean()),
            "auroc": auroc(after[~abnormal], after[abnormal]),
            "median": float(np.median(moved)),
            "95 %": float(np.quantile(moved, 0.95)),
        }
        print(name, record["changes"][name], flush=True)
    records.append(RECORDS, record)


def scores(model: VideoModel, fold: Fold, change: str | None) -> NDArray[np.float64]:
    """Return the smoothed score of every frame of all test clips, in order."""
    found = [
        score.smoothed
        for clip in fold.test
        for score in model.score(changed(clip, model.config.tallest, change))
    ]
    return np.array(found)


def changed(clip: Clip, tallest: int, change: str | None) -> Iterator[Frame]:
    """Yield the frames of a clip, changed alike; noise differs from frame to frame."""
    for frame in clip.frames(1, tallest):
        if change == NOISE:
            yield replace(frame, image=noisy(frame.image, frame.number))
        elif change:
            yield replace(frame, image=CHANGES[change](frame.image))
        else:
            yield frame


def noisy(image: Pixels, seed: int) -> Pixels:
    """Add noise of a standard deviation of five grey levels."""
    noise = np.random.default_rng(seed).normal(0, 5, image.shape)
    noised: Pixels = (image + noise).clip(0, 255).round().astype(np.uint8)
    return noised


if __name__ == "__main__":
    main()
