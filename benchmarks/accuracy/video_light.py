"""What a change of the camera or its light does to a model of footage.

A model is fitted on the training clips of a protocol, then the test clips are scored as they are
and after each change of :data:`adacl.imaging.changes.CHANGES`, the same in every frame::

    python -m benchmarks.accuracy.video_light ucsd-ped2 DIR

A record of the form of :mod:`benchmarks.accuracy.light`, whose table shows it, is appended to
``benchmarks/results/light.jsonl``: frames take the place of images.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adacl.data.video import Clip, Frame
from adacl.imaging.changes import CHANGES, Change
from adacl.metrics import auroc
from adacl.protocols.video import footage
from adacl.scale import records
from adacl.video.chunks import CHUNK
from adacl.video.detector import VideoAnomalyDetector
from benchmarks.accuracy.light import RECORDS, effect
from benchmarks.common import machine


def main() -> None:
    """Fit, measure, and append the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("protocol", choices=[n for n in footage.NAMES if "two-fold" not in n])
    parser.add_argument("root", type=Path)
    given = parser.parse_args()
    found = footage.load(given.protocol, given.root)
    fold = found.folds[0]
    detector = VideoAnomalyDetector(device="cpu").fit([clip.source for clip in fold.train])
    abnormal = np.concatenate([found.abnormal[clip.name] for clip in fold.test])
    before = scores(detector, fold.test, unchanged)
    good, threshold = before[~abnormal], detector.alarm.threshold
    record = {
        "set": given.protocol,
        "class": None,
        "preset": "video",
        "epochs": len(detector.model_.tiles.header.history.epochs),
        "machine": machine(),
        "good": len(good),
        "bad": int(abnormal.sum()),
        "flagged": float((good > threshold).mean()),
        "auroc": auroc(good, before[abnormal]),
        "changes": {},
    }
    first = next(fold.test[0].frames()).image
    for name, change in CHANGES.items():
        if (change(first) == first).all():
            continue
        after = scores(detector, fold.test, change)
        record["changes"][name] = effect(good, after[~abnormal], after[abnormal], threshold)
        print(name, record["changes"][name], flush=True)
    records.append(RECORDS, record)


def scores(
    detector: VideoAnomalyDetector, clips: list[Clip], change: Change
) -> NDArray[np.float64]:
    """Return the smoothed score of each frame of some clips, in their order, after a change."""
    tallest = detector.model_.config.tallest

    def frames(clip: Clip) -> Iterator[Frame]:
        return (replace(frame, image=change(frame.image)) for frame in clip.frames(1, tallest))

    found = [s.smoothed for clip in clips for s in detector.model_.score(frames(clip), CHUNK)]
    return np.array(found)


def unchanged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image as it is."""
    return image


if __name__ == "__main__":
    main()
