"""Three simple scores for the same tiles, as baselines.

Each stands in for the network of a :class:`adacl.video.model.VideoModel`: the same gate, tiles,
levels, aggregation and smoothing go around it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.nn import functional

Samples = NDArray[np.uint8]
Scores = NDArray[np.float64]

AT_ONCE = 1024


class Rival(Protocol):
    """Learns from tiles S x H x W x C of normal footage and scores others."""

    parameters: int

    def fit(self, samples: Samples, seed: int, epochs: int) -> None:
        """Learn."""

    def raw(self, samples: Samples) -> Scores:
        """Return scores (S,), higher for more anomalous tiles."""


class FrameDifferenceEnergy:
    """Mean absolute difference of the stack's frames to its middle one, in grey levels."""

    parameters = 0

    def fit(self, samples: Samples, seed: int, epochs: int) -> None:
        """Learn nothing."""

    def raw(self, samples: Samples) -> Scores:
        """Return scores (S,)."""
        before, centre, after = (samples[..., c].astype(np.int16) for c in range(3))
        energy: Scores = (np.abs(centre - before) + np.abs(after - centre)).mean((1, 2)) / 2
        return energy


class TileGaussian:
    """A Gaussian in the space of the first 64 principal components, and what they leave over."""

    parameters = 0

    def fit(self, samples: Samples, seed: int, epochs: int) -> None:
        """Find the components and the variances."""
        flat = self._flat(samples)
        self.pca = PCA(64, random_state=seed).fit(flat)
        self.rest = float(self._rest(flat).mean())
        self.parameters = int(self.pca.components_.size)

    def raw(self, samples: Samples) -> Scores:
        """Return the negative log-likelihood (S,), up to a constant (probabilistic PCA)."""
        parts = []
        for start in range(0, len(samples), AT_ONCE):
            flat = self._flat(samples[start : start + AT_ONCE])
            inside = (self.pca.transform(flat) ** 2 / self.pca.explained_variance_).sum(1)
            parts.append((inside + self._rest(flat) / self.rest * flat.shape[1]) / flat.shape[1])
        scores: Scores = np.concatenate(parts).astype(np.float64)
        return scores

    def _rest(self, flat: NDArray[np.float32]) -> NDArray[np.float32]:
        back = self.pca.inverse_transform(self.pca.transform(flat))
        return np.asarray(((flat - back) ** 2).mean(1), np.float32)

    @staticmethod
    def _flat(samples: Samples) -> NDArray[np.float32]:
        return np.asarray(samples.reshape(len(samples), -1), np.float32) / np.float32(255)


class Autoencoder:
    """A small convolutional autoencoder; the score is the mean squared error."""

    parameters = 0

    def fit(self, samples: Samples, seed: int, epochs: int) -> None:
        """Train with Adam on batches of 128."""
        channels = samples.shape[3]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = nn.Sequential(
                nn.Conv2d(channels, 16, 3, 2, 1),
                nn.ReLU(),
                nn.Conv2d(16, 32, 3, 2, 1),
                nn.ReLU(),
                nn.Conv2d(32, 16, 3, 2, 1),
                nn.ReLU(),
                nn.ConvTranspose2d(16, 32, 4, 2, 1),
                nn.ReLU(),
                nn.ConvTranspose2d(32, 16, 4, 2, 1),
                nn.ReLU(),
                nn.ConvTranspose2d(16, channels, 4, 2, 1),
            )
            optimizer = torch.optim.Adam(self.network.parameters(), lr=2e-3)
            for _ in range(epochs):
                for batch in torch.split(torch.randperm(len(samples)), 128):
                    images = self._images(samples[np.sort(batch.numpy())])
                    loss = self._error(images).mean()
                    optimizer.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
        self.parameters = sum(p.numel() for p in self.network.parameters())

    @torch.inference_mode()
    def raw(self, samples: Samples) -> Scores:
        """Return scores (S,)."""
        parts = [
            self._error(self._images(samples[start : start + AT_ONCE]))
            for start in range(0, len(samples), AT_ONCE)
        ]
        scores: Scores = torch.cat(parts).double().numpy()
        return scores

    def _error(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        filled = functional.pad(images, (0, -width % 8, 0, -height % 8), mode="replicate")
        back = self.network(filled)[..., :height, :width]
        error: Tensor = ((back - images) ** 2).mean((1, 2, 3))
        return error

    @staticmethod
    def _images(samples: Samples) -> Tensor:
        return torch.from_numpy(samples).permute(0, 3, 1, 2).float() / 255


RIVALS: dict[str, type[Rival]] = {
    "frame-difference": FrameDifferenceEnergy,
    "tile-gaussian": TileGaussian,
    "autoencoder": Autoencoder,
}
"""The rivals by name."""
