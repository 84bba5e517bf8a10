"""Measures of detection: AUROC, EER, average precision, rates at a threshold, localisation.

Scores are higher for more anomalous samples; anomalies are the positive class. Functions of scores
raise ``InputError`` where there are none of a kind, some are not finite, or labels are
given in place of scores.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adacl.errors import InputError

__all__ = [
    "Localisation",
    "auroc",
    "auroc_interval",
    "average_precision",
    "equal_error_rate",
    "evaluation",
    "roc",
]


Floats = NDArray[np.float64]


def auroc(normal: ArrayLike, abnormal: ArrayLike) -> float:
    """Return the area under the ROC curve, in [0, 1].

    Parameters
    ----------
    normal, abnormal
        Anomaly scores of the two kinds of sample.
    """
    alarms, hits, _ = _counted(normal, abnormal)
    corner = np.ones(len(hits), bool)
    corner[1:-1] = (np.diff(alarms, 2) != 0) | (np.diff(hits, 2) != 0)
    fpr, tpr = (np.r_[0.0, part[corner]] / part[-1] for part in (alarms, hits))
    return float((np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2.0).sum())


def auroc_interval(
    normal: ArrayLike, abnormal: ArrayLike, confidence: float = 0.95, draws: int = 1000
) -> tuple[float, float]:
    """Return an interval of the AUROC by bootstrap: percentiles over samples drawn again.

    Parameters
    ----------
    normal, abnormal
        As for :func:`auroc`; of each kind as many are drawn, with replacement, as there are. Where
        all anomalies score highest, so they do in every draw, however few they are.
    confidence
        Share of the draws inside the interval.
    draws
        How many; always the same for the same scores.
    """
    normal, abnormal = _checked(normal, abnormal)
    normal = np.sort(normal)
    below = np.searchsorted(normal, abnormal, "left")
    upto = np.searchsorted(normal, abnormal, "right")
    generator = np.random.default_rng(0)
    areas = []
    for _ in range(draws):
        drawn = np.bincount(generator.integers(0, len(normal), len(normal)), minlength=len(normal))
        passed = np.r_[0, np.cumsum(drawn)]
        chosen = generator.integers(0, len(abnormal), len(abnormal))
        areas.append((passed[below[chosen]] + passed[upto[chosen]]).mean() / 2 / len(normal))
    low, high = np.quantile(areas, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def average_precision(normal: ArrayLike, abnormal: ArrayLike) -> float:
    """Return the average precision, in [0, 1]; parameters as for :func:`auroc`."""
    alarms, hits, _ = _counted(normal, abnormal)
    precision, recall = (hits / (hits + alarms))[::-1], np.r_[(hits / hits[-1])[::-1], 0.0]
    return float(max(0.0, -(np.diff(recall) * precision).sum()))


def roc(normal: ArrayLike, abnormal: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return false- and true-positive rates and the thresholds they belong to."""
    alarms, hits, thresholds = _counted(normal, abnormal)
    return (
        np.r_[0.0, alarms] / alarms[-1],
        np.r_[0.0, hits] / hits[-1],
        np.r_[np.inf, thresholds],
    )


def _counted(normal: ArrayLike, abnormal: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return how many normal and abnormal scores reach each score that occurs, highest first."""
    normal, abnormal = _checked(normal, abnormal)
    scores = np.r_[normal, abnormal]
    order = np.argsort(scores)[::-1]
    scores = scores[order]
    last = np.r_[np.flatnonzero(np.diff(scores)), len(scores) - 1]
    hits = np.cumsum(order >= len(normal), dtype=float)[last]
    return 1 + last - hits, hits, scores[last]


def _checked(normal: ArrayLike, abnormal: ArrayLike) -> tuple[Floats, Floats]:
    """Return the scores of both kinds as flat arrays of finite numbers."""
    if np.shape(normal) == np.shape(abnormal) and _is_labels(normal) != _is_labels(abnormal):
        raise InputError(
            "scores: got labels and scores; pass the scores of normal and of abnormal samples, "
            "scores[labels == 0] and scores[labels == 1]"
        )
    normal, abnormal = np.ravel(np.asarray(normal, float)), np.ravel(np.asarray(abnormal, float))
    if not normal.size or not abnormal.size:
        raise InputError("scores of at least one normal and one abnormal sample are needed")
    if not (np.isfinite(normal).all() and np.isfinite(abnormal).all()):
        raise InputError("scores: hold values that are not finite")
    return normal, abnormal


def _is_labels(values: ArrayLike) -> bool:
    """Tell labels of two kinds, as scikit-learn takes them, from scores."""
    array = np.asarray(values)
    if array.dtype.kind not in "biu":
        return False
    kinds = set(np.unique(array).tolist())
    return kinds in ({0, 1}, {-1, 1})


def equal_error_rate(normal: ArrayLike, abnormal: ArrayLike) -> float:
    """Return the rate at which misses and false alarms are equally frequent, in [0, 1].

    Between two points of the ROC curve the rates are interpolated linearly.
    """
    fpr, tpr, _ = roc(normal, abnormal)
    gap = fpr - (1 - tpr)
    after = int(np.argmax(gap >= 0))
    before = after - 1
    share = gap[before] / (gap[before] - gap[after])
    return float(fpr[before] + share * (fpr[after] - fpr[before]))


def evaluation(
    normal: ArrayLike,
    abnormal: ArrayLike,
    normal_flagged: ArrayLike,
    abnormal_flagged: ArrayLike,
) -> dict[str, float | int]:
    """Summarise how well normal and abnormal samples are told apart.

    Parameters
    ----------
    normal, abnormal
        Raw anomaly scores.
    normal_flagged, abnormal_flagged
        Whether each sample was called anomalous at the threshold in use.
    """
    return {
        "auroc": auroc(normal, abnormal),
        "eer": equal_error_rate(normal, abnormal),
        "average_precision": average_precision(normal, abnormal),
        "fpr": float(np.asarray(normal_flagged, bool).mean()),
        "tpr": float(np.asarray(abnormal_flagged, bool).mean()),
        "n_normal": int(np.size(normal)),
        "n_abnormal": int(np.size(abnormal)),
    }


class Localisation:
    """Measure how well anomaly maps locate anomalous pixels, given pixel masks.

    Counts, image by image, what the pixel AUROC and the share of peaks are made of.

    Values of maps are counted in half precision, which keeps three digits of them, so that the
    memory does not grow with the images.

    Attributes
    ----------
    n_masked
        Images with an anomalous pixel.
    hits
        Those whose map is highest inside the mask.
    """

    def __init__(self) -> None:
        self.n_masked = self.hits = 0
        self._counts = np.zeros((2, 1 << 16), np.int64)

    def add(self, anomaly_map: NDArray[np.floating[Any]], mask: NDArray[np.bool_] | None) -> None:
        """Count an image.

        Parameters
        ----------
        anomaly_map
            H x W, higher where more anomalous.
        mask
            H x W, True where the image is anomalous; None for a normal image.
        """
        ranks = _ranks(anomaly_map)
        if mask is None:
            self._counts[0] += np.bincount(ranks.ravel(), minlength=1 << 16)
            return
        if mask.shape != anomaly_map.shape:
            raise InputError(f"mask: need {anomaly_map.shape}, the map's form, got {mask.shape}")
        for anomalous in (False, True):
            counted = ranks[mask == anomalous]
            self._counts[int(anomalous)] += np.bincount(counted, minlength=1 << 16)
        if mask.any():
            self.n_masked += 1
            self.hits += bool(mask.flat[int(anomaly_map.argmax())])

    @property
    def peaks_inside(self) -> float:
        """Share of the images with an anomalous pixel whose map is highest inside the mask."""
        return self.hits / self.n_masked if self.n_masked else float("nan")

    @property
    def pixel_auroc(self) -> float:
        """Area under the ROC curve over all pixels of all images, in [0, 1].

        Raises
        ------
        InputError
            If there is no normal or no anomalous pixel.
        """
        normal, anomalous = self._counts
        if not normal.any() or not anomalous.any():
            raise InputError(
                "pixel AUROC: needs at least one normal and one anomalous pixel; are the masks of "
                "these images?"
            )
        below = np.cumsum(normal) - normal / 2
        return float((anomalous / anomalous.sum()) @ (below / normal.sum()))


def _ranks(anomaly_map: NDArray[np.floating[Any]]) -> NDArray[np.uint16]:
    """Return ranks of the values in half precision, as whole numbers."""
    bits = (anomaly_map.astype(np.float16) + np.float16(0)).view(np.uint16)
    ranks: NDArray[np.uint16] = np.where(bits >> 15, ~bits, bits | 0x8000).astype(np.uint16)
    return ranks
