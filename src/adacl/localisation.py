"""How well anomaly maps point at what is anomalous, where pixel masks tell: in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.errors import InputError

__all__ = ["Localisation"]


class Localisation:
    """Counts, image by image, what the pixel AUROC and the share of peaks are made of.

    Values of maps are counted in half precision, which keeps three digits of them, so that the
    memory does not grow with the images.

    Attributes
    ----------
    n_masked
        Images with an anomalous pixel.
    hits
        Those whose map is highest inside the mask.
    """

    def __init__(self) -> None:
        self.n_masked = self.hits = 0
        self._counts = np.zeros((2, 1 << 16), np.int64)

    def add(self, anomaly_map: NDArray[np.floating[Any]], mask: NDArray[np.bool_] | None) -> None:
        """Count an image.

        Parameters
        ----------
        anomaly_map
            H x W, higher where more anomalous.
        mask
            H x W, True where the image is anomalous; None for a normal image.
        """
        places = _places(anomaly_map)
        if mask is None:
            self._counts[0] += np.bincount(places.ravel(), minlength=1 << 16)
            return
        if mask.shape != anomaly_map.shape:
            raise InputError(f"mask: need {anomaly_map.shape}, the map's form, got {mask.shape}")
        for anomalous in (False, True):
            found = places[mask == anomalous]
            self._counts[int(anomalous)] += np.bincount(found, minlength=1 << 16)
        if mask.any():
            self.n_masked += 1
            self.hits += bool(mask.flat[int(anomaly_map.argmax())])

    @property
    def peaks_inside(self) -> float:
        """Share of the images with an anomalous pixel whose map is highest inside the mask."""
        return self.hits / self.n_masked if self.n_masked else float("nan")

    @property
    def pixel_auroc(self) -> float:
        """Area under the ROC curve over all pixels of all images, in [0, 1].

        Raises
        ------
        InputError
            If there is no normal or no anomalous pixel.
        """
        normal, anomalous = self._counts
        if not normal.any() or not anomalous.any():
            raise InputError(
                "pixel AUROC: needs at least one normal and one anomalous pixel; are the masks of "
                "these images?"
            )
        below = np.cumsum(normal) - normal / 2
        return float((anomalous / anomalous.sum()) @ (below / normal.sum()))


def _places(anomaly_map: NDArray[np.floating[Any]]) -> NDArray[np.uint16]:
    """Return whole numbers in the order of the values, as half precision knows them."""
    bits = (anomaly_map.astype(np.float16) + np.float16(0)).view(np.uint16)
    places: NDArray[np.uint16] = np.where(bits >> 15, ~bits, bits | 0x8000).astype(np.uint16)
    return places
