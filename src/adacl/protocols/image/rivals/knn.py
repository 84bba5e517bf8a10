"""Distance to the fifth nearest neighbour in raw pixels: PyOD's defaults."""

from __future__ import annotations

from pyod.models.knn import KNN

from adacl.protocols.image.rivals import Fitted, Images
from adacl.protocols.image.rivals._pyod import fit_pyod

TITLE = "k-NN (PyOD, raw pixels)"


def fit(images: Images, seed: int) -> Fitted:
    """Learn from normal images; it keeps them all."""
    return fit_pyod(lambda features: KNN(), lambda detector: images.size, images, seed)
