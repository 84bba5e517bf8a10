"""Extend rows of pixels by reflection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def reflected(extent: int, least: int) -> NDArray[np.int64]:
    """Return the indices of the pixels of a row that reflection extends to ``least`` pixels.

    The outermost pixels are not repeated, unless there is only one. Rows that are long enough stay
    as they are.
    """
    period = max(1, 2 * (extent - 1))
    index = np.arange(max(extent, least)) % period
    return np.minimum(index, period - index)
