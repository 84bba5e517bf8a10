"""Isolation Forest on raw pixels: scikit-learn's defaults (100 trees)."""

from __future__ import annotations

from sklearn.ensemble import IsolationForest

from adacl.protocols.image.rivals import Fitted, Images, rows

TITLE = "Isolation Forest"


def fit(images: Images, seed: int) -> Fitted:
    """Learn from normal images."""
    model = IsolationForest(random_state=seed).fit(rows(images))
    nodes = sum(tree.tree_.node_count for tree in model.estimators_)
    return Fitted(lambda test: -model.score_samples(rows(test)), 4 * nodes)
