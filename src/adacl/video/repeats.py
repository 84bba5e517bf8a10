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
"""Of the frames of a clip: above this share, it shows what an earlier one shows."""

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
        same = [other for other, seen in self._clips if _share(noted.digests, seen) > SHARED]
        self.repeated = bool(same)
        if same:
            log.warning("%s: the same footage as %s; it counts once", name, same[0])
        else:
            self._clips.append((name, noted.digests))


def _share(clip: NDArray[np.uint64], earlier: NDArray[np.uint64]) -> float:
    """Return the share of a clip that an earlier one has, from the smallest hashes of both."""
    full = [hashes[-1] for hashes in (clip, earlier) if len(hashes) == MOST]
    if full:
        clip = clip[clip <= min(full)]
    return float(np.isin(clip, earlier).mean()) if len(clip) else 0.0
