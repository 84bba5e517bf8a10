"""AnoGAN as PyOD has it, PyOD's defaults but 20 epochs of the 500, which would take hours."""

from __future__ import annotations

from pyod.models.anogan import AnoGAN

from adacl.protocols.image.rivals import Fitted, Images
from adacl.protocols.image.rivals._pyod import count_weights, fit_pyod

TITLE = "AnoGAN (PyOD, dense, 20 epochs)"


def fit(images: Images, seed: int) -> Fitted:
    """Learn from normal images."""
    return fit_pyod(
        lambda features: AnoGAN(epochs=20, device="cpu"),
        lambda detector: count_weights(detector.query_model),
        images,
        seed,
    )
