"""Show an anomaly map: as a coloured layer, over its image, and as a small PNG.

The scale is fixed, so that colours mean the same in every image, and a normal image stays as it
is.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["SCALE", "colours", "overlay", "resized", "side_by_side", "to_png"]

SCALE = 0.3
"""Value of an anomaly map that gets the full colour, in units of the raw score."""

SHOWN = 320
"""Pixels on the longer side, up to which small images are enlarged to be seen."""

STOPS = (0.0, 0.1, 0.5, 1.0)
LAYERS = ((255, 225, 60, 0), (255, 215, 50, 40), (255, 120, 0, 140), (215, 0, 35, 190))
"""Colour and opacity at the stops: yellow, orange, red."""


def _table() -> NDArray[np.uint8]:
    levels = np.linspace(0, 1, 256)
    channels = [np.interp(levels, STOPS, channel) for channel in zip(*LAYERS, strict=True)]
    return np.stack(channels, 1).round().astype(np.uint8)


def _levels(anomaly_map: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = (
        (np.clip(anomaly_map, 0, SCALE) * (255 / SCALE)).round().astype(np.uint8)
    )
    return levels


def colours(anomaly_map: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return an anomaly map H x W as a layer H x W x 4 (RGBA), transparent where all is normal."""
    return _table()[_levels(anomaly_map)]


def resized(anomaly_map: NDArray[np.floating[Any]], height: int, width: int) -> NDArray[np.float32]:
    """Return an anomaly map h x w resized smoothly to height x width."""
    found = anomaly_map.astype(np.float32, copy=False)
    if found.shape != (height, width):
        image = Image.fromarray(found).resize((width, height), Image.Resampling.BICUBIC)
        found = np.asarray(image)
    return found


def overlay(image: NDArray[np.uint8], anomaly_map: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Lay an anomaly map of any size over an image.

    Parameters
    ----------
    image
        H x W x 3, uint8.
    anomaly_map
        h x w; it is resized smoothly to the image.

    Returns
    -------
    ndarray
        H x W x 3, uint8.
    """
    base = Image.fromarray(image).convert("RGBA")
    base.alpha_composite(Image.fromarray(colours(resized(anomaly_map, *image.shape[:2]))))
    return np.asarray(base.convert("RGB"))


def side_by_side(
    image: NDArray[np.uint8], anomaly_map: NDArray[np.floating[Any]]
) -> NDArray[np.uint8]:
    """Return an image H x W x 3 and, right of it, the same under its anomaly map.

    Small images are enlarged by a whole number, so that they can be seen.
    """
    times = max(1, round(SHOWN / max(image.shape[:2])))
    large = image.repeat(times, 0).repeat(times, 1)
    gap = np.full((large.shape[0], max(4, large.shape[1] // 64), 3), 255, np.uint8)
    return np.concatenate([large, gap, overlay(large, anomaly_map)], 1)


def to_png(anomaly_map: NDArray[np.floating[Any]]) -> bytes:
    """Return an anomaly map H x W as an 8-bit grey PNG; 255 stands for ``SCALE`` and beyond."""
    file = io.BytesIO()
    Image.fromarray(_levels(anomaly_map)).save(file, "PNG")
    return file.getvalue()
