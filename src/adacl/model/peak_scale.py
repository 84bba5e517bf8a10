"""What brings the peak of a map to the unit of its places, so that one threshold serves both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from adacl.config import NetworkConfig
from adacl.config.sections import finite
from adacl.imaging.spec import Array
from adacl.networks.peak import rank_weights, weighted_peak

HIGHEST = 20
"""Places of the map, as the network sees it, whose mean is what the peak is brought to."""
LEAST_SPREAD = 0.01


@dataclass(frozen=True)
class PeakScale:
    """The raw regression of an image is ``offset + factor * peak``.

    The peak, a weighted mean of many places, is lower than the highest places of a normal image,
    and differs less from image to image. Offset and factor give it their mean and their spread, so
    that the threshold for images also tells which places are anomalous. They are fixed at fit.

    Raises
    ------
    ConfigError
        If they are not finite.
    ValueError
        If the factor is not above 0.
    """

    offset: float = 0.0
    factor: float = 1.0

    def __post_init__(self) -> None:
        for name in ("offset", "factor"):
            object.__setattr__(self, name, finite(f"peak_scale {name}", getattr(self, name)))
        if self.factor <= 0:
            raise ValueError(f"peak_scale: need a factor above 0, got {self.factor}")

    @classmethod
    def learnt(cls, images: Iterable[Array], network: NetworkConfig) -> Self:
        """Learn the scale from the places (P,) of the map of each of some normal images."""
        peaks = []
        for places in images:
            weights = rank_weights(network, len(places), enlarged=True)
            few = min(HIGHEST * network.shrunk**2, len(places))
            both = weights, np.full(few, 1 / few)
            peaks.append([float(weighted_peak(places[None], each)[0]) for each in both])
        (peak, highest), spread = np.mean(peaks, 0), np.maximum(np.std(peaks, 0), LEAST_SPREAD)
        factor = float(spread[1] / spread[0])
        return cls(float(highest - factor * peak), factor)

    def peak_of(self, raw: float) -> float:
        """Return the peak that has a raw regression, in the unit of the map."""
        return (raw - self.offset) / self.factor

    def applied(self, peak: Array) -> Array:
        """Return the raw regression for peaks."""
        return self.offset + self.factor * peak
