"""What brings two means of a map's highest places to one unit, for one threshold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from adacl.config import NetworkConfig
from adacl.config.sections import finite
from adacl.imaging.spec import Array
from adacl.networks.peak import highest_places, rank_weights

HIGHEST = 20
"""Places that the peak is brought to the unit of if the network has no ``few``."""
UPPER = 0.9
"""Share of the normal images whose means lie below what spans the unit."""
LEAST_SPREAD = 0.01


@dataclass(frozen=True)
class PeakScale:
    """The raw regression of an image is ``offset + factor * peak``, or a mean of fewer places.

    The peak, a mean of ``network.top`` places, sees anomalies that are faint and large. It is lower
    than the mean of the ``network.few`` highest places, which sees small ones, and differs less
    from normal image to normal image. Offset and factor, fixed at fit, give it the same median and
    the same upper tail among normal images; then the larger of the two counts.

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
        few = network.few or HIGHEST
        means = []
        for places in images:
            weights = rank_weights(network, len(places), enlarged=True)
            count = min(few * network.shrunk**2, len(places))
            highest = highest_places(places[None], max(len(weights), count))[0]
            means.append([highest[: len(weights)] @ weights, highest[:count].mean()])
        middle, upper = np.quantile(means, [0.5, UPPER], axis=0)
        spread = np.maximum(upper - middle, LEAST_SPREAD)
        factor = float(spread[1] / spread[0])
        return cls(float(middle[1] - factor * middle[0]), factor)

    def raw(self, places: Array, network: NetworkConfig) -> Array:
        """Return the raw regression (S,) of images from the places (S, P) of their maps."""
        weights = rank_weights(network, places.shape[1], enlarged=True)
        highest = highest_places(places, len(weights))
        raw: Array = self.offset + self.factor * (highest @ weights)
        if not network.few:
            return raw
        few: Array = highest[:, : network.few * network.shrunk**2].mean(1)
        return np.maximum(raw, few)

    def peak_of(self, raw: float) -> float:
        """Return the peak that has a raw regression, in the unit of the map."""
        return (raw - self.offset) / self.factor
