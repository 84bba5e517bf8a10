"""Recognise frames that a model has learnt from."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import numpy as np

from adacl.data.copies import digest
from adacl.data.video import Frame
from adacl.errors import DataError

MOST = 4096
"""Frames that are remembered."""

log = logging.getLogger("adacl")


class LearntFrames:
    """Remembers frames by the hashes of their pixels: those with the smallest hashes.

    Which ones these are depends on their pixels alone, so that a part of the footage is
    recognised wherever it begins.

    Attributes
    ----------
    digests : ndarray
        (N,) the hashes, sorted.
    """

    def __init__(self) -> None:
        self.digests = np.empty(0, np.uint64)

    def add(self, frames: Iterable[Frame]) -> None:
        """Take note of frames."""
        further = np.array([digest(frame.image) for frame in frames], np.uint64)
        self.digests = np.union1d(self.digests, further)[:MOST]


def unlearnt(frames: Iterator[Frame], learnt: frozenset[int], name: str) -> Iterator[Frame]:
    """Pass frames on that a model has not learnt from.

    Raises
    ------
    DataError
        At the first frame whose hash is one of ``learnt``.
    """
    for frame in frames:
        if learnt and digest(frame.image) in learnt:
            raise DataError(
                f"{name}: the model learnt from the frame at {frame.time:.2f} s; give footage that "
                "it was not fitted on"
            )
        yield frame


def told(frames: Iterator[Frame], learnt: frozenset[int], name: str) -> Iterator[Frame]:
    """Pass frames on, and warn at the first one that a model has learnt from."""
    said = not learnt
    for frame in frames:
        if not said and digest(frame.image) in learnt:
            said = True
            log.warning(
                "%s: the model learnt from the frame at %.2f s, so false alarms are fewer than in "
                "new footage; evaluate with footage that it was not fitted on",
                name,
                frame.time,
            )
        yield frame
