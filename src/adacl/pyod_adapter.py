"""The detector with PyOD's names and signs: higher is more anomalous, labels are 0 and 1."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from adacl.data.arrays import listed
from adacl.detector import AnomalyDetector

__all__ = ["PyODDetector"]

Array = NDArray[Any]


class PyODDetector:
    """A PyOD-style detector around :class:`~adacl.detector.AnomalyDetector`.

    Parameters
    ----------
    contamination
        Share of outliers in the training data, as in PyOD, but from 0 up.
    **parameters
        Further parameters of ``AnomalyDetector``.

    Attributes
    ----------
    decision_scores_ : ndarray
        Raw scores of the training images (N,), higher for more anomalous ones.
    labels_ : ndarray
        0 for training images below the threshold, 1 for those above it.
    threshold_ : float
        The threshold on ``decision_scores_``.
    """

    def __init__(self, contamination: float = 0.1, **parameters: Any) -> None:
        self.detector = AnomalyDetector(contamination=contamination, **parameters)

    @property
    def contamination(self) -> Any:
        """Share of outliers in the training data, for the next ``fit``."""
        return self.detector.contamination

    @contamination.setter
    def contamination(self, share: float) -> None:
        self.detector.contamination = share

    def fit(self, X: Any, y: object = None) -> Self:
        """Learn from images, see :meth:`AnomalyDetector.fit`."""
        X = listed(X)
        self.detector.fit(X, y)
        self.decision_scores_ = self.decision_function(X)
        self.threshold_ = self.detector.threshold_
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        return self

    def decision_function(self, X: Any) -> Array:
        """Return raw anomaly scores (N,)."""
        scores: Array = -self.detector.score_samples(X)
        return scores

    def predict(self, X: Any) -> Array:
        """Return 0 for normal and 1 for anomalous images (N,)."""
        return (self.decision_function(X) > self.threshold_).astype(int)

    def predict_proba(self, X: Any) -> Array:
        """Return the anomaly score and its complement, N x 2, normal first.

        The score is the regression clipped to [0, 1]; it is not a calibrated probability.
        """
        score = self.detector.anomaly_score(X)
        return np.column_stack([1 - score, score])

    def fit_predict(self, X: Any, y: object = None) -> Array:
        """Learn from images and return their labels (N,)."""
        return self.fit(X, y).labels_
