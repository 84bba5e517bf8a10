"""Show an anomaly map: as a coloured layer, over its image, and as a small PNG.

The scale is fixed, so that colours mean the same in every image, and a normal image stays as it
is.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["SCALE", "colours", "overlay", "to_png"]

SCALE = 0.5
"""Value of an anomaly map that gets the full colour, in units of the raw score."""

STOPS = (0.0, 0.1, 0.5, 1.0)
LAYERS = ((255, 225, 60, 0), (255, 215, 50, 40), (255, 120, 0, 140), (215, 0, 35, 190))
"""Colour and opacity at the stops: yellow, orange, red."""


def _table() -> NDArray[np.uint8]:
    levels = np.linspace(0, 1, 256)
    channels = [np.interp(levels, STOPS, channel) for channel in zip(*LAYERS, strict=True)]
    return np.stack(channels, 1).round().astype(np.uint8)


def _levels(anomaly_map: NDArray[np.floating]) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = (
        (np.clip(anomaly_map, 0, SCALE) * (255 / SCALE)).round().astype(np.uint8)
    )
    return levels


def colours(anomaly_map: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return an anomaly map H x W as a layer H x W x 4 (RGBA), transparent where all is normal."""
    return _table()[_levels(anomaly_map)]


def overlay(image: NDArray[np.uint8], anomaly_map: NDArray[np.floating]) -> NDArray[np.uint8]:
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
    height, width = image.shape[:2]
    if anomaly_map.shape != (height, width):
        floating = Image.fromarray(anomaly_map.astype(np.float32))
        anomaly_map = np.asarray(floating.resize((width, height), Image.Resampling.BICUBIC))
    base = Image.fromarray(image).convert("RGBA")
    base.alpha_composite(Image.fromarray(colours(anomaly_map)))
    return np.asarray(base.convert("RGB"))


def to_png(anomaly_map: NDArray[np.floating]) -> bytes:
    """Return an anomaly map H x W as an 8-bit grey PNG; 255 stands for ``SCALE`` and beyond."""
    file = io.BytesIO()
    Image.fromarray(_levels(anomaly_map)).save(file, "PNG")
    return file.getvalue()
