"""Thresholds from the scores of normal images alone, with an honest statement of their worth.

The threshold is a conformal quantile: of n scores of normals that the network never saw, the
k-th smallest with k = ceil((n + 1)(1 - fpr)). The true share of normals above it then follows
a Beta(n - k + 1, k) distribution, whatever the scores look like, which gives the upper bound
(Vovk 2012, "Conditional validity of inductive conformal predictors", proposition 2a). The threshold
lies a hair above it, so that the image that sets it is not flagged by an exported file of 32 bits
either.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adacl.errors import ConfigError
from adacl.model.defects import TAILS, Defects
from adacl.model.threshold import CHANCE, Method, Threshold, by_group, chance_of, margin

CURVE_POINTS = 100
ROUNDING = 1e-9
ENOUGH = 20
"""Held-out normals for each score that is set aside, at least."""
HELD_OUT, ABOVE = 30, 1.5
"""Held-out normals, at least, for those learnt to set the threshold, too, and how many of n + 1 are
to lie above it then: the highest of n has 1, the second highest 2."""
FAR_OFF = 0.1
"""Share of the held-out normals that is set aside for scoring far above the others, at most."""
BETWEEN = 0.5
"""Half-way between the labels of normal images and of anomalies."""


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
    every, ordered = by_group(scores, None), by_group(scores, groups)
    n = len(ordered)
    odd = set_aside if n >= ENOUGH * set_aside else 0
    usual = min(n - odd, math.ceil((n + 1) * (1 - fpr)))
    k = min(usual, n - _far_off(ordered)) if set_aside else usual
    bound = _bound(n - k + (k < usual), n, confidence)
    value, grouped = _just_above(ordered[k - 1]), groups is not None
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
    every, ordered = by_group(scores, None), by_group(scores, groups)
    known, n = by_group(learnt, learnt_groups), len(ordered)
    if n < HELD_OUT or threshold.assured:
        return threshold
    raised = known + max(0.0, float(np.median(ordered) - np.median(known)))
    both = np.sort(np.concatenate([ordered, raised]))
    share = max(threshold.fpr, ABOVE / (n + 1))
    usual = math.ceil((len(both) + 1) * (1 - share))
    k = min(usual, len(both) - _far_off(both))
    value = _just_above(both[k - 1])
    flagged = int((ordered > value).sum())
    if chance_of(flagged, n, share) < CHANCE:
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
    from scipy.special import betaincinv

    return float(betaincinv(flagged + 1, n - flagged, confidence)) if flagged < n else 1.0


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
    from scipy.special import betaincinv

    if not 0 < share < 1:
        raise ConfigError(f"find: need a share between 0 and 1, got {share}")
    ordered, usual = by_group(defects, defect_groups), by_group(normals, groups)
    m, n = len(ordered), len(usual)
    k = min(m, max(1, math.floor((m + 1) * (1 - share) + ROUNDING)))
    value = float(ordered[k - 1]) - margin(ordered[k - 1])
    low, high = (float(betaincinv(m - k + 1, k, tail)) for tail in TAILS)
    flagged = int((usual > value).sum())
    bound = _bound(flagged, n, confidence)
    told = Defects(m, int((ordered > value).sum()), low, high, share, flagged)
    curve = _curve(by_group(normals, None), value)
    return Threshold(value, "defects", None, n, bound, confidence, curve, groups is not None, told)


def from_contamination(scores: ArrayLike, contamination: float) -> Threshold:
    """Set the threshold that flags the share ``contamination`` of the given raw scores (n,)."""
    ordered = np.sort(np.asarray(scores, float))[::-1]
    flagged = min(round(contamination * len(ordered)), len(ordered) - 1)
    value = _just_above(ordered[flagged])
    return Threshold(value, "contamination", contamination, len(ordered))


def _just_above(score: float) -> float:
    return float(score + margin(score))


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
