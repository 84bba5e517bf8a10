"""One-class SVM on raw pixels: scikit-learn's defaults but nu = 0.1, as Deep SVDD's authors had."""

from __future__ import annotations

from sklearn.svm import OneClassSVM

from adacl.protocols.image.rivals import Fitted, Images, rows

TITLE = "OCSVM (raw pixels)"


def fit(images: Images, seed: int) -> Fitted:
    """Learn from normal images; nothing in it is random."""
    model = OneClassSVM(nu=0.1).fit(rows(images))
    return Fitted(
        lambda test: -model.decision_function(rows(test)),
        model.support_vectors_.size + model.dual_coef_.size,
    )
