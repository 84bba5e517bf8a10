"""Notice footage that is given twice, under whatever name."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from adacl.data.video import Frame
from adacl.video.learnt_frames import MOST, LearntFrames

BATCH = 64
SHARED = 0.5
"""Of the frames of the shorter clip: above this share, both are the same footage."""

log = logging.getLogger("adacl")


class Repeats:
    """Compares clips by the pixels of frames that differ from the one before."""

    def __init__(self) -> None:
        self.repeated = False
        self._clips: list[tuple[str, NDArray[np.uint64]]] = []

    def watch(self, frames: Iterator[Frame], name: str) -> Iterator[Frame]:
        """Pass the frames of a clip on; then ``repeated`` tells whether an earlier one has them.

        If so, it is said that the clip is left out.
        """
        noted, waiting = LearntFrames(), list[Frame]()
        last: Frame | None = None
        for frame in frames:
            if last is None or not np.array_equal(frame.image, last.image):
                waiting.append(frame)
            last = frame
            if len(waiting) == BATCH:
                noted.add(waiting)
                waiting = []
            yield frame
        noted.add(waiting)
        same = [other for other, seen in self._clips if _shared(seen, noted.digests) > SHARED]
        self.repeated = bool(same)
        if same:
            log.warning("%s: the same footage as %s; it counts once", name, same[0])
        else:
            self._clips.append((name, noted.digests))


def _shared(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """Return the share of the shorter clip that both have, from their smallest hashes."""
    full = [hashes[-1] for hashes in (one, other) if len(hashes) == MOST]
    if full:
        one, other = (hashes[hashes <= min(full)] for hashes in (one, other))
    fewer = min(len(one), len(other))
    return len(np.intersect1d(one, other, assume_unique=True)) / fewer if fewer else 0.0
