"""Notice when the scores of a model have moved away from those of its held-out normals.

The two-sample Kolmogorov-Smirnov test, on the latest ``WINDOW`` scores at every ``STEP``-th one:
the largest difference between the shares of both samples above a score is compared with
c = sqrt(-ln(p / 2) / 2 * (1 / n + 1 / m)), which is exceeded by chance with probability p at most,
about. With p = STEP / ANSWERS_A_FALSE_ALARM, a stream of independent normals raises, on average,
at most one false alarm in that many answers. ``benchmarks/accuracy/drift.py`` measures the rate.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any, Literal

import numpy as np

from adacl.model.threshold import Threshold

WINDOW = 200
STEP = 50
ANSWERS_A_FALSE_ALARM = 100_000
FEWEST = 20
"""Held-out normals to compare with, at least."""

State = Literal["off", "collecting", "steady", "moved"]


class DriftWatch:
    """Compares the latest scores of one model with those of its held-out normals.

    Parameters
    ----------
    threshold
        The model's, which holds the distribution of the normals' scores.

    Attributes
    ----------
    state : str
        ``off`` (see ``reason``), ``collecting`` until the first test, ``steady`` or ``moved``, as
        the last test found.
    reason : str
        Why scores are not watched, or how they have moved.
    distance : float
        Of the last test: the largest difference of shares.
    limit : float
        The distance above which scores have moved.
    """

    def __init__(self, threshold: Threshold) -> None:
        self.reason = _unfit(threshold)
        self.state: State = "off" if self.reason else "collecting"
        self.distance = 0.0
        self.limit = limit(threshold.n) if threshold.n else math.inf
        self._curve = np.array(threshold.curve, float).reshape(-1, 2)
        self._recent: deque[tuple[float, bytes | None]] = deque(maxlen=WINDOW)
        self._digests: set[bytes] = set()
        self._untested = 0

    def add(self, raw: float, digest: bytes | None = None) -> bool:
        """Take the score of an image, and say whether the state has changed.

        An image of the window that comes again, as its ``digest`` tells, counts once.
        """
        if self.state == "off" or digest in self._digests:
            return False
        if len(self._recent) == WINDOW:
            self._digests.discard(self._recent[0][1] or b"")
        self._recent.append((raw, digest))
        if digest:
            self._digests.add(digest)
        self._untested += 1
        if len(self._recent) < WINDOW or self._untested < STEP:
            return False
        self._untested = 0
        before = self.state
        self._test()
        return before != self.state

    def _test(self) -> None:
        scores = np.sort([raw for raw, _ in self._recent])
        above = 1 - np.searchsorted(scores, self._curve[:, 0], "right") / len(scores)
        differences = above - self._curve[:, 1]
        place = int(np.abs(differences).argmax())
        self.distance = float(abs(differences[place]))
        self.state = "moved" if self.distance > self.limit else "steady"
        self.reason = ""
        if self.state == "moved":
            score, usual = self._curve[place]
            self.reason = (
                f"{above[place]:.0%} of the last {WINDOW} scores lie above {score:.4g}, but only "
                f"{usual:.0%} of those of normal images that it did not learn from"
                if above[place] > usual
                else f"only {above[place]:.0%} of the last {WINDOW} scores lie above {score:.4g}, "
                f"but {usual:.0%} of those of normal images that it did not learn from"
            )

    def describe(self) -> dict[str, Any]:
        """Return the fields that clients see."""
        return {
            "state": self.state,
            "reason": self.reason,
            "distance": round(self.distance, 4),
            "limit": round(self.limit, 4) if math.isfinite(self.limit) else None,
            "scores": len(self._recent),
            "window": WINDOW,
        }


def limit(normals: int) -> float:
    """Return the distance that a window keeps to but for chance, with this many normals."""
    chance = STEP / ANSWERS_A_FALSE_ALARM
    return math.sqrt(-math.log(chance / 2) / 2 * (1 / normals + 1 / WINDOW))


def _unfit(threshold: Threshold) -> str:
    """Say why a threshold's normals cannot be compared with new scores, or "" if they can."""
    if threshold.method == "cross-fitting":
        return (
            "the normal images behind its threshold were scored by other networks than its own; "
            "calibrate it with new normal images to have its scores watched"
        )
    if threshold.method not in ("hold-out", "calibration") or not threshold.curve:
        return (
            "its threshold does not rest on normal images that it did not learn from; calibrate it"
        )
    if threshold.n < FEWEST:
        return (
            f"its threshold rests on {threshold.n} normal images, and at least {FEWEST} are "
            "needed to compare with; calibrate it with more"
        )
    return ""
