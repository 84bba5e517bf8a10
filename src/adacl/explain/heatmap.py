"""Show an anomaly map: as a coloured layer, over its image in grey, and as a small PNG.

The colours are those of the model's :class:`~adacl.model.map_scale.MapScale`, so that they mean the
same in every image: none up to the usual score, orange at the threshold, red far above it.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adacl.model.map_scale import MapScale

STOPS = (0.0, 0.25, 0.5, 1.0)
LAYERS = ((255, 235, 60, 0), (255, 225, 50, 45), (255, 140, 0, 150), (220, 0, 40, 205))
"""Colour and opacity at the stops: yellow, at the threshold orange, red."""

THIN = 320
"""Pixels of the longer side for each pixel of the outline's width."""

Map = NDArray[np.floating[Any]]
Picture = NDArray[np.uint8]


def _table() -> Picture:
    levels = np.linspace(0, 1, 256)
    channels = [np.interp(levels, STOPS, channel) for channel in zip(*LAYERS, strict=True)]
    return np.stack(channels, 1).round().astype(np.uint8)


def _levels(anomaly_map: Map, scale: MapScale) -> Picture:
    shares = np.clip(anomaly_map / (scale.far - scale.usual), 0, 1)
    levels: Picture = (255 * shares).round().astype(np.uint8)
    return levels


def colours(anomaly_map: Map, scale: MapScale) -> Picture:
    """Return an anomaly map H x W as a layer H x W x 4 (RGBA), transparent where all is usual."""
    return _table()[_levels(anomaly_map, scale)]


def resized(anomaly_map: Map, height: int, width: int) -> NDArray[np.float32]:
    """Return an anomaly map h x w resized smoothly to height x width."""
    values = anomaly_map.astype(np.float32, copy=False)
    if values.shape != (height, width):
        image = Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)
        values = np.asarray(image)
    return values


def overlay(
    image: Picture, anomaly_map: Map, scale: MapScale, threshold: float | None = None
) -> Picture:
    """Lay an anomaly map of any size over an image in grey.

    Parameters
    ----------
    image
        H x W x 3, uint8.
    anomaly_map
        h x w; it is resized smoothly to the image.
    scale
        That of the model which made the map.
    threshold
        Raw score; what lies above it is outlined, unless it is where colours begin. None for an
        image that is not anomalous.

    Returns
    -------
    ndarray
        H x W x 3, uint8.
    """
    values = resized(anomaly_map, *image.shape[:2])
    base = Image.fromarray(image).convert("L").convert("RGBA")
    base.alpha_composite(Image.fromarray(colours(values, scale)))
    shown = np.array(base.convert("RGB"))
    if threshold is None or threshold <= scale.usual:
        return shown
    return outlined(shown, values > threshold - scale.usual)


def outlined(picture: Picture, inside: NDArray[np.bool_]) -> Picture:
    """Draw a white line with a dark rim around places H x W of a picture H x W x 3, in place."""
    width = max(1, round(max(inside.shape) / THIN))
    white = _widened(inside, width)
    picture[_widened(white, width) & ~white] = 30
    picture[white & ~inside] = 255
    return picture


def _widened(inside: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """Return places H x W and all that are at most ``by`` rows and columns from one."""
    wide = inside.copy()
    reached = 0
    while reached < by:
        step = min(2 * reached + 1, by - reached)
        for axis in (0, 1):
            lines = wide.swapaxes(0, axis)
            before = lines.copy()
            lines[step:] |= before[:-step]
            lines[:-step] |= before[step:]
        reached += step
    return wide


def to_png(anomaly_map: Map, scale: MapScale) -> bytes:
    """Return an anomaly map H x W as an 8-bit grey PNG; 0 is the usual score, 255 far above."""
    file = io.BytesIO()
    Image.fromarray(_levels(anomaly_map, scale)).save(file, "PNG")
    return file.getvalue()
