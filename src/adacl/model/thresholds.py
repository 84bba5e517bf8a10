"""Thresholds from the scores of normal images alone, with an honest statement of their worth.

The threshold is a conformal quantile: of n scores of normals that the network never saw, the
k-th smallest with k = ceil((n + 1)(1 - fpr)). The true share of normals above it then follows
a Beta(n - k + 1, k) distribution, whatever the scores look like, which gives the upper bound
(Vovk 2012, "Conditional validity of inductive conformal predictors", proposition 2a).
"""

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

Method = Literal["hold-out", "cross-fitting", "calibration", "defects", "contamination", "manual"]

CURVE_POINTS = 100
CHANCE = 0.01
ROUNDING = 1e-9
BELOW = 1e-5
"""How far a threshold lies below the defect that sets it: more than the scores of a model and of
its 32-bit export differ."""
ENOUGH = 20
"""Held-out normals for each score that is set aside, at least."""
HELD_OUT, ABOVE = 30, 1.5
"""Held-out normals, at least, for those learnt to set the threshold, too, and how many of n + 1 are
to lie above it then: the highest of n has 1, the second highest 2."""
FAR_OFF = 0.1
"""Share of the held-out normals that is set aside for scoring far above the others, at most."""
BETWEEN = 0.5
"""Half-way between the labels of normal images and of anomalies."""


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
        finite("threshold", self.value)
        for name in ("fpr", "upper_bound", "confidence"):
            if getattr(self, name) is not None:
                finite(f"threshold {name}", getattr(self, name))

    @property
    def assured(self) -> bool:
        """Whether so many normals could assure ``fpr`` with ``confidence`` at all."""
        if self.fpr is None or self.confidence is None:
            return False
        return self.n >= normals_needed(self.fpr, self.confidence)

    @property
    def rests_on(self) -> str:
        """The number of normals that it was set from, in words."""
        if self.groups:
            return f"{self.n} {'group' if self.n == 1 else 'groups'} of normals"
        return f"{self.n} {'normal' if self.n == 1 else 'normals'}"

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
        return _at_least(flagged, n, self.upper_bound) < CHANCE

    def judged_by(self, scores: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Return the threshold with what raw scores (m,) of labelled defects tell of it.

        ``groups`` are as for :func:`from_normal_scores`.
        """
        defects = _by_group(scores, groups)
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
            return [
                f"threshold {self.value:.4f}: flags {self.fpr:.1%} of the {self.n} training "
                "images (contamination); it says nothing of unseen normals"
            ]
        assert self.upper_bound is not None
        assert self.confidence is not None
        if self.method == "defects":
            assert self.defects
            assert self.defects.wanted is not None
            return [
                f"threshold {self.value:.4f}, set by {self.defects.n} labelled defects to find "
                f"{self.defects.wanted:.0%} of such defects; it flags {self.defects.flagged} of "
                f"{self.rests_on}, of all with {self.confidence:.0%} confidence at most "
                f"{self.upper_bound:.1%}"
            ]
        assert self.fpr is not None
        source = {
            "hold-out": "normals kept out of training and early stopping",
            "cross-fitting": "normals, each scored by a network that did not see it,",
            "calibration": "calibration normals",
        }[self.method]
        number = f"{self.n} {'group' if self.n == 1 else 'groups'} of" if self.groups else self.n
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
            lines.append(
                f"the threshold lies {side}, where the score in [0, 1] saturates; labels use "
                "the raw regression. The normals are hardly told from made anomalies"
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


def from_normal_scores(
    scores: ArrayLike,
    fpr: float,
    confidence: float,
    method: Method,
    set_aside: int = 0,
    groups: ArrayLike | None = None,
) -> Threshold:
    """Set a threshold from raw scores (n,) of normals that were not trained on.

    The highest ``set_aside`` of them do not set it, unless there are fewer than 20 normals for
    each: one odd part must not hide defects. Nor do further ones, up to a tenth, that score above
    0.5, nearer to anomalies, if the gap below them is wider than the distance from there down to
    the median: they may be defects. The bound counts all of these as flagged, and one more if the
    gap decides.

    Images of one part resemble each other, and more of them tell little more. With ``groups``
    (n,), a label for each score, a group counts once, by its highest score. The bound then holds
    for the share of groups with a flagged image, and so for that of images.

    Raises
    ------
    InputError
        If there is no score, or one is not finite.
    ConfigError
        If ``fpr`` does not lie between 0 and 1.
    """
    if not 0 < fpr < 1:
        raise ConfigError(f"fpr: need a rate between 0 and 1, got {fpr}")
    every, ordered = _by_group(scores, None), _by_group(scores, groups)
    n = len(ordered)
    odd = set_aside if n >= ENOUGH * set_aside else 0
    usual = min(n - odd, math.ceil((n + 1) * (1 - fpr)))
    k = min(usual, n - _far_off(ordered)) if set_aside else usual
    bound = _bound(n - k + (k < usual), n, confidence)
    value, grouped = float(ordered[k - 1]), groups is not None
    return Threshold(value, method, fpr, n, bound, confidence, _curve(every, value), grouped)


def with_learnt(
    threshold: Threshold,
    scores: ArrayLike,
    learnt: ArrayLike,
    groups: ArrayLike | None = None,
    learnt_groups: ArrayLike | None = None,
) -> Threshold:
    """Set a threshold by the normals learnt from (m,), too, where those held out (n,) are few.

    The highest scores of 40 normals vary much with the 40. A network with a map, which hardly
    remembers its images, scores those learnt nearly as those held out. So all are ranked together,
    once those learnt are raised until their median is not below that of the others, and a share of
    1.5 / (n + 1), or ``fpr`` if that is more, lies above the threshold: between the highest and the
    second highest of n. Scores above 0.5 that a gap parts from the rest do not set it, as in
    :func:`from_normal_scores`. The bound counts the held-out ones above it.

    Nothing is changed with fewer than 30 held out, where they are enough to assure the rate, or
    where so many of them would be flagged that they cannot be like those learnt.

    Parameters
    ----------
    threshold
        From :func:`from_normal_scores`.
    scores, groups
        From which it was set.
    learnt, learnt_groups
        The same of the normals learnt from.
    """
    assert threshold.fpr is not None
    assert threshold.confidence is not None
    every, ordered = _by_group(scores, None), _by_group(scores, groups)
    known, n = _by_group(learnt, learnt_groups), len(ordered)
    if n < HELD_OUT or threshold.assured:
        return threshold
    raised = known + max(0.0, float(np.median(ordered) - np.median(known)))
    both = np.sort(np.concatenate([ordered, raised]))
    share = max(threshold.fpr, ABOVE / (n + 1))
    usual = math.ceil((len(both) + 1) * (1 - share))
    k = min(usual, len(both) - _far_off(both))
    value = float(both[k - 1])
    flagged = int((ordered > value).sum())
    if _at_least(flagged, n, share) < CHANCE:
        return threshold
    return replace(
        threshold,
        value=value,
        upper_bound=_bound(flagged + (k < usual), n, threshold.confidence),
        curve=_curve(every, value),
        learnt=len(known),
    )


def _bound(flagged: int, n: int, confidence: float) -> float:
    """Return which rate is not exceeded if so many of n are flagged."""
    from scipy.stats import beta

    return float(beta.ppf(confidence, flagged + 1, n - flagged)) if flagged < n else 1.0


def from_defects(
    defects: ArrayLike,
    normals: ArrayLike,
    share: float,
    confidence: float,
    defect_groups: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> Threshold:
    """Set a threshold from raw scores (m,) of labelled defects, and judge it by normals (n,).

    It lies just below the k-th lowest of the defects, k = floor((m + 1)(1 - share)), 1 to m:
    so at least ``share`` of such defects is expected to be found, if m defects can assure so much.
    Neither the defects nor the normals were trained on; groups are as for
    :func:`from_normal_scores`.

    Raises
    ------
    InputError
        If there is no score of either kind, or one is not finite.
    ConfigError
        If ``share`` does not lie between 0 and 1.
    """
    from scipy.stats import beta

    if not 0 < share < 1:
        raise ConfigError(f"find: need a share between 0 and 1, got {share}")
    ordered, usual = _by_group(defects, defect_groups), _by_group(normals, groups)
    m, n = len(ordered), len(usual)
    k = min(m, max(1, math.floor((m + 1) * (1 - share) + ROUNDING)))
    value = float(ordered[k - 1]) - BELOW
    low, high = (float(beta.ppf(tail, m - k + 1, k)) for tail in (0.025, 0.975))
    flagged = int((usual > value).sum())
    bound = _bound(flagged, n, confidence)
    told = Defects(m, int((ordered > value).sum()), low, high, share, flagged)
    curve = _curve(_by_group(normals, None), value)
    return Threshold(value, "defects", None, n, bound, confidence, curve, groups is not None, told)


def from_contamination(scores: ArrayLike, contamination: float) -> Threshold:
    """Set the threshold that flags the share ``contamination`` of the given raw scores (n,)."""
    ordered = np.sort(np.asarray(scores, float))[::-1]
    flagged = min(round(contamination * len(ordered)), len(ordered) - 1)
    return Threshold(float(ordered[flagged]), "contamination", contamination, len(ordered))


def _at_least(count: int, n: int, rate: float) -> float:
    """Return the chance that ``count`` or more of ``n`` occur, each with probability ``rate``."""
    if not 0 < rate < 1:
        return float(rate > 0 or count <= 0)

    def exactly(k: int) -> float:
        ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        return math.exp(ways + k * math.log(rate) + (n - k) * math.log1p(-rate))

    return math.fsum(exactly(k) for k in range(max(count, 0), n + 1))


def _by_group(scores: ArrayLike, groups: ArrayLike | None) -> NDArray[np.float64]:
    """Return scores (n,) in order or, of each group, the highest."""
    found = np.asarray(scores, float)
    if not len(found) or not np.isfinite(found).all():
        raise InputError("a threshold needs at least one score, all of them finite")
    if groups is None:
        return np.sort(found)
    labels = np.asarray(groups)
    return np.sort([found[labels == group].max() for group in np.unique(labels)])


def _far_off(ordered: NDArray[np.float64]) -> int:
    """Return how many of rising scores (n,) are anomalies by their gap, up to a tenth of them."""
    n, middle = len(ordered), np.median(ordered)
    for count in range(int(FAR_OFF * n), 0, -1):
        below, above = ordered[n - count - 1], ordered[n - count]
        if above > BETWEEN and above - below > below - middle > 0:
            return count
    return 0


def _curve(ordered: NDArray[np.float64], value: float) -> tuple[tuple[float, float], ...]:
    """Return the share of scores above ``value``, and above some, more of them where few are."""
    n = len(ordered)
    ranks = np.unique(np.geomspace(1, n, CURVE_POINTS - 1).round().astype(int))
    scores = np.unique([*ordered[n - ranks], value])
    above = n - np.searchsorted(ordered, scores, "right")
    return tuple(zip(scores.tolist(), (above / n).tolist(), strict=True))
