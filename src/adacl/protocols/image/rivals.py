"""Other detectors, run through the same protocol on the same images.

Their settings are fixed beforehand, the same for all data sets, and never chosen by anomalies.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adacl.errors import ConfigError, missing_extra

Images = NDArray[Any]


@dataclass(frozen=True)
class Fitted:
    """A fitted rival: its score of images, higher for more anomalous, and its size.

    ``parameters`` counts the numbers that scoring needs.
    """

    score: Callable[[Images], NDArray[np.float64]]
    parameters: int


@dataclass(frozen=True)
class Rival:
    """A rival: its name in tables, and what fits it to normal images N x H x W x C and a seed."""

    title: str
    fit: Callable[[Images, int], Fitted]


def get(name: str) -> Rival:
    """Return a rival by its name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    MissingExtraError
        If PyOD is not installed.
    """
    if name not in RIVALS:
        raise ConfigError(f"method {name!r}: known are adacl, {', '.join(RIVALS)}")
    if importlib.util.find_spec("pyod") is None:
        raise missing_extra(ModuleNotFoundError(name="pyod"))
    return RIVALS[name]


def rows(images: Images) -> NDArray[np.float32]:
    """Return images as flat rows of numbers in [0, 1]."""
    flat: NDArray[np.float32] = images.reshape(len(images), -1).astype(np.float32)
    return flat / np.float32(np.iinfo(images.dtype).max)


def _anogan(images: Images, seed: int) -> Fitted:
    from pyod.models.anogan import AnoGAN

    return _pyod(images, seed, partial(AnoGAN, epochs=20, device="cpu"), "query_model")


def _autoencoder(images: Images, seed: int) -> Fitted:
    from pyod.models.auto_encoder import AutoEncoder

    make = partial(AutoEncoder, random_state=seed, verbose=0, device="cpu")
    return _pyod(images, seed, make, "model")


def _deep_svdd(images: Images, seed: int) -> Fitted:
    from pyod.models.deep_svdd import DeepSVDD

    make = partial(DeepSVDD, images[0].size, random_state=seed, verbose=0)
    return _pyod(images, seed, make, "model_")


def _vae(images: Images, seed: int) -> Fitted:
    from pyod.models.vae import VAE

    make = partial(VAE, random_state=seed, verbose=0, device="cpu")
    return _pyod(images, seed, make, "model")


def _knn(images: Images, seed: int) -> Fitted:
    from pyod.models.knn import KNN

    return _pyod(images, seed, KNN)


def _pyod(images: Images, seed: int, make: Callable[[], Any], network: str = "") -> Fitted:
    """Fit a detector of PyOD, whose attribute ``network``, if any, holds all that it scores with.

    PyOD draws from the global generators, which are therefore seeded here; a rival runs in a
    process of its own.
    """
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    model = make()
    model.fit(rows(images))
    weights = (
        [w.numel() for w in getattr(model, network).parameters()] if network else [images.size]
    )
    return Fitted(lambda test: model.decision_function(rows(test)), sum(weights))


def _isolation_forest(images: Images, seed: int) -> Fitted:
    from sklearn.ensemble import IsolationForest

    model = IsolationForest(random_state=seed).fit(rows(images))
    nodes = sum(tree.tree_.node_count for tree in model.estimators_)
    return Fitted(lambda test: -model.score_samples(rows(test)), 4 * nodes)


def _ocsvm(images: Images, seed: int) -> Fitted:
    from sklearn.svm import OneClassSVM

    model = OneClassSVM(nu=0.1).fit(rows(images))
    numbers = model.support_vectors_.size + model.dual_coef_.size
    return Fitted(lambda test: -model.decision_function(rows(test)), numbers)


def _ocsvm_pca(images: Images, seed: int) -> Fitted:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import OneClassSVM

    components, machine = PCA(0.95, svd_solver="full", random_state=seed), OneClassSVM(nu=0.1)
    model = make_pipeline(components, machine).fit(rows(images))
    numbers = components.components_.size + machine.support_vectors_.size + machine.dual_coef_.size
    return Fitted(lambda test: -model.decision_function(rows(test)), numbers)


RIVALS = {
    "anogan": Rival("AnoGAN (PyOD, dense, 20 epochs)", _anogan),
    "autoencoder": Rival("Autoencoder (PyOD)", _autoencoder),
    "deep_svdd": Rival("Deep SVDD (PyOD, dense)", _deep_svdd),
    "isolation_forest": Rival("Isolation Forest", _isolation_forest),
    "knn": Rival("k-NN (PyOD, raw pixels)", _knn),
    "ocsvm": Rival("OCSVM (raw pixels)", _ocsvm),
    "ocsvm_pca": Rival("OCSVM (PCA, 95 %)", _ocsvm_pca),
    "vae": Rival("VAE (PyOD)", _vae),
}
"""By the name that the command line uses. PyOD's have its defaults: dense layers of 64 and 32 units
(autoencoder, Deep SVDD), a latent size of 2 (VAE), the fifth neighbour (k-NN); but AnoGAN has 20
epochs of the 500, which would take hours. scikit-learn's have its defaults, but nu is 0.1 for
one-class SVMs, as Deep SVDD's authors had; with PCA on the components with 95 % of the variance."""
