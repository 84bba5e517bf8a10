"""Compare the light of frames with that of the training footage."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from adacl.data.video import Frame
from adacl.imaging.spec import ImageSpec
from adacl.model.header import ModelHeader
from adacl.model.learnt import measure
from adacl.model.watch import Watch
from adacl.video.changes import Change, OnChange

EVERY = 16
"""Of so many frames one is measured."""
BLOCK = 10
"""Frames measured before something is said of them."""

log = logging.getLogger("adacl")


def measure_frame(frame: Frame) -> NDArray[np.float64]:
    """Measure a frame as :func:`~adacl.model.learnt.measure` does images."""
    image = frame.image[..., :1]
    row: NDArray[np.float64] = measure(image[None], ImageSpec(*image.shape))[0]
    return row


def compared(
    frames: Iterator[Frame], header: ModelHeader, name: str, on_change: OnChange
) -> Iterator[Frame]:
    """Pass frames on, and tell when they become darker or brighter than those learnt."""
    watch, told = Watch(header, "frames"), 0
    for number, frame in enumerate(frames):
        if number % EVERY == 0:
            watch.see(frame.number, "", float(measure_frame(frame)[0]))
            if watch.count == BLOCK:
                told = _tell(watch, name, frame, told, on_change)
                watch = Watch(header, "frames")
        yield frame
    if watch.count and not told:
        _tell(watch, name, frame, told, on_change)


def _tell(watch: Watch, name: str, frame: Frame, told: int, on_change: OnChange) -> int:
    """Tell what is worse than was told; return that: 0 nothing, 1 other light, 2 far off."""
    drift = watch.drift()
    found = 1 + watch.far_off if drift else 0
    if found > told:
        log.warning("%s, at %.0f s: %s", name, frame.time, drift)
        change = Change("light", frame.wall, 0.0, frame.time, drift, far_off=watch.far_off)
        on_change(change)
    return max(found, told) if drift else 0
