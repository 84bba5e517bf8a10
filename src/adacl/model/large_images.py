"""Maps of very large images: window by window, without seams and with bounded memory.

Windows overlap by what a place of the map depends on, and begin where the coarsest layer has a
pixel. So the map is that of the whole image, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from adacl.config import NetworkConfig
from adacl.imaging.spec import Array
from adacl.networks.layers import reach

__all__ = ["WHOLE", "Look", "Window", "highest_mean", "joined"]

WHOLE = 1 << 21
"""Pixels that an image may have to be looked at whole."""
CORE = 1024
"""Side in pixels of what a window adds to the map."""

Window = tuple[int, int, int, int]
"""Where in the image the pixels come from: first row, first column, and the image's size."""
Look = Callable[[Array, Window | None], Array]
"""Returns the map (ceil(h / 2), ceil(w / 2)) of pixels h x w x C from a window; None: the whole."""


def joined(image: Array, look: Look, config: NetworkConfig) -> NDArray[np.float32]:
    """Return the map (ceil(H / 2), ceil(W / 2)) of an image H x W x C."""
    height, width = image.shape[:2]
    found = np.empty(((height + 1) // 2, (width + 1) // 2), np.float32)
    for place, part in _parts(image, look, config):
        found[place] = part
    return found


def highest_mean(image: Array, look: Look, config: NetworkConfig) -> float:
    """Return the mean of the ``config.top`` highest places of the map of an image H x W x C."""
    highest = np.empty(0, np.float32)
    for _, part in _parts(image, look, config):
        highest = np.concatenate([highest, part.ravel()])
        if len(highest) > config.top:
            highest = np.partition(highest, -config.top)[-config.top :]
    return float(highest.mean())


def _parts(
    image: Array, look: Look, config: NetworkConfig
) -> Iterator[tuple[tuple[slice, slice], Array]]:
    """Yield the parts of the map of an image, and where each belongs."""
    height, width = image.shape[:2]
    if height * width <= WHOLE:
        yield (slice(None), slice(None)), look(image, None)
        return
    step = 2 ** len(config.channels)
    margin = -(-reach(config) // step) * step
    for top in range(0, height, CORE):
        for left in range(0, width, CORE):
            ends = min(top + CORE, height), min(left + CORE, width)
            first_row, first_column = max(0, top - margin), max(0, left - margin)
            seen = image[first_row : ends[0] + margin, first_column : ends[1] + margin]
            found = look(seen, (first_row, first_column, height, width))
            rows, columns = (
                slice(start // 2, (end + 1) // 2)
                for start, end in zip((top, left), ends, strict=True)
            )
            down, right = first_row // 2, first_column // 2
            yield (
                (rows, columns),
                found[
                    rows.start - down : rows.stop - down,
                    columns.start - right : columns.stop - right,
                ],
            )
