"""How much each of the highest places of a map counts in the score of its image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.config import NetworkConfig


def rank_weights(
    network: NetworkConfig, places: int, enlarged: bool = False
) -> NDArray[np.float64]:
    """Return the weights (k,) of the highest places of a map, the highest first; they add up to 1.

    With ``network.fade`` 0 the ``network.top`` highest count alike. Else the r-th highest weighs
    1 / (r + fade): beyond the first few each doubling of the area counts as much, so a small and
    a large defect are seen with one rule.

    Parameters
    ----------
    network
        The network.
    places
        Of the map; there are no more weights than these.
    enlarged
        Whether the map of shrunk images is as large as that of the images themselves.
    """
    factor = network.shrunk**2 if enlarged else 1
    count = min(network.top * factor, places)
    if not network.fade:
        return np.full(count, 1 / count)
    weights = 1 / (np.arange(1, count + 1) + network.fade * factor)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def highest_places(places: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Return the highest (S, count) of some places (S, P), the highest first."""
    highest = np.partition(places, -count, axis=1)[:, -count:].astype(float)
    highest.sort(axis=1)
    return highest[:, ::-1]
