"""The weights by which Pillow resizes (bilinear, with antialiasing), as matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PRECISION = 22
"""Binary digits of the weights by which 8-bit images are resized."""


def weights(before: int, after: int, whole: bool) -> NDArray[np.float64]:
    """Return the weights (before, after) of old pixels in new ones; each column adds up to 1.

    Parameters
    ----------
    before, after
        Number of pixels along one side.
    whole
        Whether they are rounded to ``PRECISION`` binary digits, as for 8-bit images.
    """
    scale = before / after
    reach = max(scale, 1.0)
    centre = (np.arange(after) + 0.5) * scale
    first = np.maximum((centre - reach + 0.5).astype(int), 0)
    last = np.minimum((centre + reach + 0.5).astype(int), before)
    index = np.arange(before)[:, None]
    shares: NDArray[np.float64] = np.maximum(0, 1 - np.abs((index - centre + 0.5) * (1 / reach)))
    shares[(index < first) | (index >= last)] = 0
    shares /= shares.sum(0)
    if whole:
        shares = np.floor(0.5 + shares * 2**PRECISION) / 2**PRECISION
    return shares


def rows_first(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Tell whether Pillow resizes rows before columns; that is asked of the one installed.

    It makes a difference, because 8-bit images are rounded in between. Pillow 13 chooses by the
    two sizes (height and width), its predecessors always began with the rows.
    """
    pixels = np.random.default_rng(0).integers(0, 256, before, np.uint8)
    resized = Image.fromarray(pixels).resize(after[::-1], Image.Resampling.BILINEAR)
    rows = np.floor(pixels @ weights(before[1], after[1], whole=True) + 0.5)
    both = np.floor(weights(before[0], after[0], whole=True).T @ rows + 0.5)
    return bool((both == np.asarray(resized)).all())
