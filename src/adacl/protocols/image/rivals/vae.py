"""A variational autoencoder as PyOD has it, with PyOD's defaults (latent size 2, 30 epochs)."""

from __future__ import annotations

from pyod.models.vae import VAE

from adacl.protocols.image.rivals import Fitted, Images
from adacl.protocols.image.rivals._pyod import count_weights, fit_pyod

TITLE = "VAE (PyOD)"


def fit(images: Images, seed: int) -> Fitted:
    """Learn from normal images."""
    return fit_pyod(
        lambda features: VAE(random_state=seed, verbose=0, device="cpu"),
        lambda detector: count_weights(detector.model),
        images,
        seed,
    )
