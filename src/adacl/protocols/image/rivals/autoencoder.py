"""A plain autoencoder as PyOD has it, with PyOD's defaults (64-32-64 units, 10 epochs)."""

from __future__ import annotations

from pyod.models.auto_encoder import AutoEncoder

from adacl.protocols.image.rivals import Fitted, Images
from adacl.protocols.image.rivals._pyod import count_weights, fit_pyod

TITLE = "Autoencoder (PyOD)"


def fit(images: Images, seed: int) -> Fitted:
    """Learn from normal images."""
    return fit_pyod(
        lambda features: AutoEncoder(random_state=seed, verbose=0, device="cpu"),
        lambda detector: count_weights(detector.model),
        images,
        seed,
    )
