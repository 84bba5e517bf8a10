"""The distance of an image from the normal ones in the features of a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SHRINKAGE = 0.01
"""Part of the mean variance that is added to all, lest a direction that hardly varies decides."""
LEAST_VARIANCE = 1e-12


class Distance(nn.Module):
    """Mahalanobis distance of unit-length embeddings, in the unit of the regression.

    It is about 0 at the mean of held-out normal images, and varies as much among them as the
    regression does, times a weight. Until :meth:`fit` it is 0 everywhere.

    Parameters
    ----------
    outputs
        Outputs of the network; the normal images seen in the view of each have a centre of
        their own. The covariance is shared.
    width
        Length D of an embedding.
    components
        Principal components that have a variance of their own; in all other directions it is the
        same. 0 stands for all.

    References
    ----------
    Lee, Lee, Lee, Shin: A simple unified framework for detecting out-of-distribution samples, 2018.
    """

    centres: Tensor
    axes: Tensor
    precisions: Tensor
    rest: Tensor
    offset: Tensor
    scale: Tensor

    def __init__(self, outputs: int, width: int, components: int) -> None:
        super().__init__()
        components = min(components or width, width)
        self.register_buffer("centres", torch.zeros(outputs, width))
        self.register_buffer("axes", torch.zeros(width, components))
        self.register_buffer("precisions", torch.zeros(components))
        self.register_buffer("rest", torch.zeros(()))
        self.register_buffer("offset", torch.zeros(()))
        self.register_buffer("scale", torch.zeros(()))

    def forward(self, embeddings: Tensor, output: int) -> Tensor:
        """Return the distances (N,) of embeddings (N, D) in the view of an output."""
        apart = functional.normalize(embeddings, dim=1) - self.centres[output]
        along = apart @ self.axes
        scaled = along * self.precisions.sqrt()
        if self.axes.shape[0] > self.axes.shape[1]:
            across = apart - along @ self.axes.T
            scaled = torch.cat([scaled, across * self.rest.sqrt()], dim=1)
        distances: Tensor = scaled.norm(dim=1)
        return (distances - self.offset) * self.scale

    @torch.no_grad()
    def fit(self, learnt: Tensor, held_out: Tensor, scores: Tensor, weight: float) -> None:
        """Learn the distance.

        Parameters
        ----------
        learnt
            Embeddings (K, N, D) of normal images in the view of each output: they give centres and
            covariance.
        held_out
            The same (K, M, D) of other normal images: they give offset and scale.
        scores
            The regression (M,) of these, averaged over the views.
        weight
            The distance's standard deviation, in those of the regression.
        """
        unit = functional.normalize(learnt.double(), dim=2)
        self.centres.copy_(unit.mean(1))
        apart = (unit - unit.mean(1, keepdim=True)).flatten(0, 1)
        covariance = apart.T @ apart / max(1, len(apart) - len(unit))
        ridge = SHRINKAGE * covariance.diagonal().mean() + LEAST_VARIANCE
        variances, axes = torch.linalg.eigh(covariance)
        variances = variances.clamp(min=0) + ridge
        others = len(variances) - len(self.precisions)
        self.axes.copy_(axes[:, others:])
        self.precisions.copy_(1 / variances[others:])
        self.rest.copy_(1 / variances[:others].mean() if others else torch.zeros(()))
        self.offset.zero_()
        self.scale.fill_(1)
        distances = torch.stack([self(view, k) for k, view in enumerate(held_out)]).mean(0)
        spread = float(distances.std(correction=0))
        self.offset.copy_(distances.mean())
        self.scale.fill_(weight * float(scores.std(correction=0)) / spread if spread > 0 else 0.0)
