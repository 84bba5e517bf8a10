"""A threshold on the score, where it comes from, and what it is worth, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adacl.config.sections import finite
from adacl.errors import ConfigError, InputError
from adacl.model.defects import Defects, share_interval
from adacl.words import plural

Method = Literal["hold-out", "cross-fitting", "calibration", "defects", "contamination", "manual"]

CHANCE = 0.01
"""What is less likely than this is taken for impossible."""
MARGIN = 1e-5
"""How far from a score of 1 or less the threshold lies that it sets; the scores of a model and of
its 32-bit export, unless that resizes, differ by less than a tenth of it."""


@dataclass(frozen=True)
class Threshold:
    """A threshold on the score, and where it comes from.

    Parameters
    ----------
    value
        Samples with a higher score are called anomalous. On the scale of the score; compared
        with the raw regression, so that it also works beyond [0, 1], where scores saturate.
    method
        ``hold-out``: normals kept out of training and early stopping; ``cross-fitting``: every
        normal scored by a network that did not see it; ``calibration``: other normals, later;
        ``defects``: labelled defects, later, of which a share is to be found;
        ``contamination``: a share of the training set; ``manual``: given by the user.
    fpr
        The false-positive rate asked for.
    n
        Number of scores of normals that were not learnt from: the bound rests on these.
    upper_bound
        With ``confidence``, the true false-positive rate is at most this.
    curve
        Pairs of a score, and the share of those normals that score higher; the scores rise.
    groups
        Whether ``n`` counts groups of normals, each by its highest score.
    defects
        What labelled defects tell of it, if some were given.
    learnt
        Number of scores of normals learnt from, or of their groups, if these set it, too.
    """

    value: float
    method: Method
    fpr: float | None = None
    n: int = 0
    upper_bound: float | None = None
    confidence: float | None = None
    curve: tuple[tuple[float, float], ...] = ()
    groups: bool = False
    defects: Defects | None = None
    learnt: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.defects, Mapping):
            object.__setattr__(self, "defects", Defects(**self.defects))
        curve = tuple((float(score), float(share)) for score, share in self.curve)
        if not np.isfinite(curve).all():
            raise ConfigError("threshold curve: need finite numbers")
        object.__setattr__(self, "curve", curve)
        if self.method not in get_args(Method):
            raise ConfigError(f"threshold method: unknown, {self.method!r}")
        if isinstance(self.value, str):
            raise ConfigError(f"threshold: need a number, got {self.value!r}")
        object.__setattr__(self, "value", finite("threshold", self.value))
        for name in ("fpr", "upper_bound", "confidence"):
            if getattr(self, name) is not None:
                number = finite(f"threshold {name}", getattr(self, name))
                object.__setattr__(self, name, number)

    @property
    def assured(self) -> bool:
        """Whether so many normals could assure ``fpr`` with ``confidence`` at all."""
        if self.fpr is None or self.confidence is None:
            return False
        return self.n >= normals_needed(self.fpr, self.confidence)

    @property
    def rests_on(self) -> str:
        """The number of normals that it was set from, in words."""
        return f"{plural(self.n, 'group')} of normals" if self.groups else plural(self.n, "normal")

    def moved_to(self, value: float) -> Self:
        """Return a threshold set by hand that keeps the record of how normals score."""
        value = finite("threshold", value)
        return type(self)(value, "manual", n=self.n, curve=self.curve, groups=self.groups)

    def fpr_at(self, value: float) -> float | None:
        """Return the share of normals that score above ``value``, or None if not known."""
        if not self.curve:
            return None
        scores, shares = zip(*self.curve, strict=True)
        return float(np.interp(value, scores, shares, left=1.0))

    def refuted_by(self, flagged: int, n: int) -> bool:
        """Whether it is hardly possible that so many of n normals are above it."""
        if self.upper_bound is None:
            return False
        return chance_of(flagged, n, self.upper_bound) < CHANCE

    def judged_by(self, scores: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Return the threshold with what raw scores (m,) of labelled defects tell of it.

        ``groups`` are as for :func:`adacl.model.threshold_rules.from_normal_scores`.
        """
        defects = by_group(scores, groups)
        n, found = len(defects), int((defects > self.value).sum())
        return replace(self, defects=Defects(n, found, *share_interval(found, n)))

    def notes(self) -> list[str]:
        """Return sentences on how the threshold was set and what it is worth."""
        return [*self._notes(), *(self.defects.notes() if self.defects else ())]

    def _notes(self) -> list[str]:
        if self.method == "manual":
            share = self.fpr_at(self.value)
            number = "the" if self.groups else self.n
            worth = "" if share is None else f"; {share:.1%} of {number} normals scored higher"
            return [f"threshold {self.value:.4f}, given by hand{worth}"]
        if self.method == "contamination":
            assert self.fpr is not None
            return [
                f"threshold {self.value:.4f}, set to flag {_rate(self.fpr)} of the {self.n} "
                "training images (contamination); it says nothing about unseen normals"
            ]
        assert self.upper_bound is not None
        assert self.confidence is not None
        if self.method == "defects":
            assert self.defects
            assert self.defects.wanted is not None
            return [
                f"threshold {self.value:.4f}, set by {plural(self.defects.n, 'labelled defect')} "
                f"to find {100 * self.defects.wanted:.6g}% of such defects; it flags "
                f"{self.defects.flagged} of {self.rests_on}, of all with {self.confidence:.0%} "
                f"confidence at most {self.upper_bound:.1%}"
            ]
        assert self.fpr is not None
        source = {
            "hold-out": "normals kept out of training and early stopping",
            "cross-fitting": "normals, each scored by a network that did not see it,",
            "calibration": "calibration normals",
        }[self.method]
        number = f"{plural(self.n, 'group')} of" if self.groups else self.n
        if self.n == 1 and not self.groups:
            source = source.replace("normals", "normal")
        if self.learnt:
            source += f", and {self.learnt} learnt from,"
        share = self.fpr_at(self.value)
        these = "those kept out" if self.learnt else "these"
        above = "" if share is None else f"{round(share * self.n)} of {these} ({share:.1%}), and "
        if share is not None and self.groups:
            above = (
                f"{share:.1%} of {'the images kept out' if self.learnt else 'their images'}, and "
            )
        lines = [
            f"threshold {self.value:.4f}, set from {number} {source} to flag {_rate(self.fpr)}: it "
            f"flags {above}with {self.confidence:.0%} confidence at most {self.upper_bound:.1%} "
            "of new ones"
        ]
        if not self.assured:
            needed = normals_needed(self.fpr, self.confidence)
            lines.append(
                f"{_rate(self.fpr)} cannot be assured with {self.rests_on}, whatever the "
                f"threshold; that takes at least {needed} untouched ones (adacl calibrate)"
            )
        if not 0 < self.value < 1:
            side = "above 1" if self.value >= 1 else "below 0"
            cause = (
                "These normals score as made anomalies do: are they normal, and like those learnt?"
                if self.method == "calibration" and self.value >= 1
                else "The network hardly distinguishes normals from made anomalies"
            )
            lines.append(
                f"the threshold lies {side}, where the score in [0, 1] saturates; labels use "
                f"the raw regression. {cause}"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary, without ``defects`` and ``learnt`` if unused."""
        fields = asdict(self)
        for name in ("defects", "learnt"):
            if not fields[name]:
                del fields[name]
        return fields


def _rate(rate: float) -> str:
    """Return a rate as a percentage that is not 0 unless it is."""
    return f"{rate:.1%}" if rate >= 0.001 else f"{100 * rate:.2g}%"


def normals_needed(fpr: float, confidence: float) -> int:
    """Return how many normals can assure ``fpr`` with ``confidence``: 299 for 1 % and 95 %."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-fpr))


def chance_of(count: int, n: int, rate: float) -> float:
    """Return the chance that ``count`` or more of ``n`` occur, each with probability ``rate``."""
    if not 0 < rate < 1:
        return float(rate > 0 or count <= 0)

    def exactly(k: int) -> float:
        ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        return math.exp(ways + k * math.log(rate) + (n - k) * math.log1p(-rate))

    return math.fsum(exactly(k) for k in range(max(count, 0), n + 1))


def margin(score: float) -> float:
    """Return how far from a score the threshold lies that it sets.

    An image that set the threshold is then on the same side of it with the exported file, too,
    unless that computes in 8 bits, or resizes images and is run by OpenVINO.
    """
    return MARGIN * max(1.0, abs(score))


def by_group(scores: ArrayLike, groups: ArrayLike | None) -> NDArray[np.float64]:
    """Return scores (n,) in order or, of each group, the highest."""
    found = np.asarray(scores, float)
    if not len(found) or not np.isfinite(found).all():
        raise InputError("a threshold needs at least one score, all of them finite")
    if groups is None:
        return np.sort(found)
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
    highest = np.full(int(numbers.max()) + 1, -np.inf)
    np.maximum.at(highest, numbers, found)
    return np.sort(highest)
