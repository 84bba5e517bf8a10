"""Set the threshold of a trained model anew, from normal images and perhaps a few defects."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, NamedTuple

from numpy.typing import NDArray

from adacl.config import ThresholdConfig
from adacl.data.copies import without_copies
from adacl.errors import ConfigError, DataError
from adacl.model import threshold_rules
from adacl.model.threshold import Threshold
from adacl.words import are, were

log = logging.getLogger("adacl")


class Scored(NamedTuple):
    """Images of one kind, scored.

    Parameters
    ----------
    raw
        Their raw scores (n,).
    digests
        Hashes of their pixels (n,), None where not known.
    groups
        A label (n,) for each, or None if each is by itself.
    """

    raw: Sequence[float]
    digests: Sequence[int | None]
    groups: NDArray[Any] | None = None

    def distinct(self) -> Scored:
        """Return the first of each distinct image."""
        return self._of(without_copies(self.digests))

    def unlearnt(self, learnt: Sequence[bool | None]) -> Scored:
        """Return the images that the model was not fitted on, and warn of the others.

        Parameters
        ----------
        learnt
            Whether it was fitted on each (n,), None where that is not known.

        Raises
        ------
        DataError
            If it was fitted on all of them.
        """
        kept = [number for number, seen in enumerate(learnt) if not seen]
        if learnt and not kept:
            raise DataError(
                "all of these images were used in fitting, so they say nothing about new ones; "
                "calibrate with images that the model has not seen"
            )
        if seen := len(learnt) - len(kept):
            what = "it is" if seen == 1 else "they are"
            log.warning(
                "%d of these images %s used in fitting; %s left out", seen, were(seen), what
            )
        return self._of(kept)

    def _of(self, numbers: Iterable[int]) -> Scored:
        numbers = [*numbers]
        return Scored(
            [self.raw[number] for number in numbers],
            [self.digests[number] for number in numbers],
            None if self.groups is None else self.groups[numbers],
        )


def calibrated(
    normals: Scored,
    defects: Scored | None,
    rule: ThresholdConfig,
    fpr: float | None = None,
    find: float | None = None,
) -> Threshold:
    """Return a threshold from normal images, or from defects with ``find``; copies count once.

    Parameters
    ----------
    normals
        They set the threshold, or with ``find`` judge it.
    defects
        They judge the threshold, or with ``find`` set it.
    rule
        The confidence, and the false-positive rate unless ``fpr`` is given.
    fpr
        Share of normal images that may be flagged.
    find
        Share of the defects that is to be found.

    Raises
    ------
    ConfigError
        If both rates are given, one of them is out of range, or ``find`` without defects.
    DataError
        If an image is both normal and a defect.
    InputError
        If there is no image of a kind.
    """
    check_rates(fpr, find, defects is not None)
    normals = normals.distinct()
    if defects is None:
        return threshold_rules.from_normal_scores(
            normals.raw,
            rule.fpr if fpr is None else fpr,
            rule.confidence,
            "calibration",
            groups=normals.groups,
        )
    defects = defects.distinct()
    known = {digest for digest in defects.digests if digest is not None}
    if both := sum(digest in known for digest in normals.digests):
        raise DataError(
            f"{both} of the defects {are(both)} also among the normal images; name folders of "
            "which each image lies in one"
        )
    if find is not None:
        return threshold_rules.from_defects(
            defects.raw, normals.raw, find, rule.confidence, defects.groups, normals.groups
        )
    threshold = calibrated(normals, None, rule, fpr)
    return threshold.judged_by(defects.raw, defects.groups)


def setting_digests(normals: Scored, defects: Scored | None, find: float | None) -> frozenset[int]:
    """Return the digests of those images that set the threshold, where they are known."""
    setting = normals if find is None or defects is None else defects
    return frozenset(digest for digest in setting.digests if digest is not None)


def promises_less(before: Threshold, after: Threshold) -> str:
    """Say that fewer normal images set a threshold than the one before, if it promises less so.

    "" if not, and also where a higher rate was asked for.
    """
    if before.upper_bound is None or after.upper_bound is None:
        return ""
    asked_more = (after.fpr or 1) > (before.fpr or 1)
    if after.n >= before.n or after.upper_bound <= before.upper_bound or asked_more:
        return ""
    return (
        f"the new threshold rests on {after.rests_on}, the old one on {before.rests_on}: with "
        f"{after.confidence:.0%} confidence at most {after.upper_bound:.1%} of new normal images "
        f"are flagged, before {before.upper_bound:.1%}; the images from before do not count again, "
        "so give all further normal images together"
    )


def tell_learnt_defects(count: int) -> None:
    """Warn if so many of the defects, not 0, were learnt as normal images."""
    if count:
        log.warning("%d of these defects %s used in fitting; fit again without", count, were(count))


def check_rates(fpr: float | None, find: float | None, defects: bool, sign: str = "") -> None:
    """Check the rates that :func:`calibrated` is given, before any image is scored.

    ``sign`` stands before their names in messages.

    Raises
    ------
    ConfigError
        If one is out of range, both are given, or ``find`` without defects.
    """
    for name, rate in (("fpr", fpr), ("find", find)):
        if rate is not None and not (isinstance(rate, Real) and 0 < rate < 1):
            raise ConfigError(f"{sign}{name}: need a rate between 0 and 1, got {rate!r}")
    if find is not None and not defects:
        raise ConfigError(f"{sign}find: defects set that threshold; give some ({sign}defects)")
    if find is not None and fpr is not None:
        raise ConfigError(
            f"{sign}find and {sign}fpr: the threshold can keep one rate only; leave one out; the "
            "output says what the other becomes"
        )
