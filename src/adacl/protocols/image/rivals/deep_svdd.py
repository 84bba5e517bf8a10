"""Deep SVDD as PyOD has it, with PyOD's defaults: dense layers of 64 and 32 units, 100 epochs."""

from __future__ import annotations

from pyod.models.deep_svdd import DeepSVDD

from adacl.protocols.image.rivals import Fitted, Images
from adacl.protocols.image.rivals._pyod import count_weights, fit_pyod

TITLE = "Deep SVDD (PyOD, dense)"


def fit(images: Images, seed: int) -> Fitted:
    """Learn from normal images."""
    return fit_pyod(
        lambda features: DeepSVDD(features, random_state=seed, verbose=0),
        lambda detector: count_weights(detector.model_),
        images,
        seed,
    )
