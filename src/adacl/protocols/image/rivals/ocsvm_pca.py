"""One-class SVM on the principal components that hold 95 % of the variance, nu = 0.1."""

from __future__ import annotations

from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.svm import OneClassSVM

from adacl.protocols.image.rivals import Fitted, Images, rows

TITLE = "OCSVM (PCA, 95 %)"


def fit(images: Images, seed: int) -> Fitted:
    """Learn from normal images."""
    components = PCA(0.95, svd_solver="full", random_state=seed)
    machine = OneClassSVM(nu=0.1)
    model = make_pipeline(components, machine).fit(rows(images))
    numbers = components.components_.size + machine.support_vectors_.size
    return Fitted(
        lambda test: -model.decision_function(rows(test)), numbers + machine.dual_coef_.size
    )
