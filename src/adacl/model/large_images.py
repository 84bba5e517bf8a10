"""Maps of images: whole, or very large ones window by window, without seams.

Windows overlap by what a place of the map depends on, and begin where the coarsest layer has a
pixel, and local contrast a cell. So the map is that of the whole image, to rounding, and memory
stays bounded. Where a network sees parts upright, images of any size are looked at whole: the part
has to be found first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from adacl.config import NetworkConfig
from adacl.imaging.spec import Array
from adacl.networks.architecture import CELL, reach

WHOLE = 1 << 21
"""Pixels that an image may have to be looked at whole."""
CORE = 1024
"""Side in pixels of what a window adds to the map."""

Window = tuple[int, int, int, int]
"""Where in the image the pixels come from: first row, first column, and the image's size."""
Look = Callable[[Array, Window | None], Array]
"""Returns the maps (S, ceil(h / 2), ceil(w / 2)) of pixels S x h x w x C from a window of images;
None: they are whole images."""


def maps_of(images: Array, look: Look, config: NetworkConfig) -> Array:
    """Return the maps (S, ceil(H / 2), ceil(W / 2)) of images S x H x W x C."""
    height, width = images.shape[1:3]
    if height * width <= WHOLE or config.upright == "yes":
        return look(images, None)
    return np.stack([_joined(image, look, config) for image in images])


def _joined(image: Array, look: Look, config: NetworkConfig) -> NDArray[np.float32]:
    height, width = image.shape[:2]
    whole = np.empty(((height + 1) // 2, (width + 1) // 2), np.float32)
    step = max(2 ** len(config.channels), CELL * config.local_contrast) * config.shrunk
    margin = -(-reach(config) // step) * step
    for top in range(0, height, CORE):
        for left in range(0, width, CORE):
            first_row, first_column = max(0, top - margin), max(0, left - margin)
            seen = image[first_row : top + CORE + margin, first_column : left + CORE + margin]
            part = look(seen[None], (first_row, first_column, height, width))[0]
            core = whole[top // 2 : (top + CORE) // 2, left // 2 : (left + CORE) // 2]
            down, right = (top - first_row) // 2, (left - first_column) // 2
            core[:] = part[down : down + core.shape[0], right : right + core.shape[1]]
    return whole
