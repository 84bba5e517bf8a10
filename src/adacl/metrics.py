"""Measures of detection: AUROC, EER, average precision, rates at a threshold.

Scores are higher for more anomalous samples; anomalies are the positive class.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from adacl.errors import InputError

__all__ = ["auroc", "average_precision", "equal_error_rate", "evaluation", "roc"]


def _labelled(normal: ArrayLike, abnormal: ArrayLike) -> tuple[Any, Any]:
    normal, abnormal = np.asarray(normal, float), np.asarray(abnormal, float)
    if not normal.size or not abnormal.size:
        raise InputError("scores of at least one normal and one abnormal sample are needed")
    labels = np.r_[np.zeros(normal.size), np.ones(abnormal.size)]
    return labels, np.r_[normal.ravel(), abnormal.ravel()]


def auroc(normal: ArrayLike, abnormal: ArrayLike) -> float:
    """Return the area under the ROC curve, in [0, 1].

    Parameters
    ----------
    normal, abnormal
        Anomaly scores of the two kinds of sample.
    """
    return float(roc_auc_score(*_labelled(normal, abnormal)))


def average_precision(normal: ArrayLike, abnormal: ArrayLike) -> float:
    """Return the average precision, in [0, 1]; parameters as for :func:`auroc`."""
    return float(average_precision_score(*_labelled(normal, abnormal)))


def roc(normal: ArrayLike, abnormal: ArrayLike) -> tuple[Any, Any, Any]:
    """Return false- and true-positive rates and the thresholds they belong to."""
    fpr, tpr, thresholds = roc_curve(*_labelled(normal, abnormal), drop_intermediate=False)
    return fpr, tpr, thresholds


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
