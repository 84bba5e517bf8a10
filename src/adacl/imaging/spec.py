"""Convert stored pixels N x H x W x C of any type to network input in [0, 1]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adacl.errors import InputError
from adacl.imaging.mapped import release

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]
ROUNDING = 1e-3
"""How far floats may lie outside [0, 1] and still be taken for such."""
SCANNED = 1 << 24
"""Values that are looked at together."""
SMALLEST_SIDE = 8
"""Pixels of the shorter side of an image, at least, from which anomalies are made."""
MAX_PIXELS = 1 << 27
"""Larger images are refused: a small file can unpack to any size."""


@dataclass(frozen=True)
class ImageSpec:
    """Form of the images a network sees.

    Parameters
    ----------
    height, width
        In pixels.
    channels
        Number of channels.
    dtype
        ``uint8``, ``uint16`` or ``float32``: how the pixels are stored before conversion.
    low, high
        Stored values that become 0 and 1; values beyond are clipped.
    white
        Full scale of 16-bit values: what white is, and what 255 of 8-bit images becomes.
    """

    height: int
    width: int
    channels: int
    dtype: str = "uint8"
    low: float = 0.0
    high: float = 255.0
    white: int = 65535

    def __post_init__(self) -> None:
        sizes = (self.height, self.width, self.channels)
        if not all(type(size) is int and size > 0 for size in sizes):
            raise InputError(f"image form: need positive whole numbers, got {sizes}")
        if self.dtype not in {"uint8", "uint16", "float32"}:
            raise InputError(f"image form: need uint8, uint16 or float32, got {self.dtype!r}")
        values = (self.low, self.high)
        if any(isinstance(v, bool) for v in values) or not all(
            isinstance(v, int | float) and math.isfinite(v) for v in values
        ):
            raise InputError(f"image form: the range of values must be numbers, got {values}")
        if self.low >= self.high:
            raise InputError(f"image form: the range of values is empty, {values}")
        check_white(self.white)

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest value that count as learnt; floats in [0, 1] are rounded."""
        slack = ROUNDING if (self.dtype, self.low, self.high) == ("float32", 0, 1) else 0.0
        return self.low - slack, self.high + slack

    def visible(self, pixels: Array) -> NDArray[np.uint8]:
        """Return stored pixels for display: uint8, over the range that the network sees."""
        if pixels.dtype == np.uint8:
            return pixels
        shown = (pixels.astype(np.float32) - self.low) / (self.high - self.low)
        return (shown.clip(0, 1) * 255).round().astype(np.uint8)

    def to_tensor(self, images: Array, device: torch.device) -> torch.Tensor:
        """Convert a batch N x H x W x C to float N x C x H x W in [0, 1] (channels last)."""
        import torch

        if images.dtype == np.uint16:
            images = images.astype(np.float32)
        pixels = np.require(images, requirements=["C", "W"])
        batch = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)
        return ((batch.float() - self.low) / (self.high - self.low)).clamp_(0, 1)


def to_depth(pixels: Array, dtype: str, white: int) -> Array:
    """Convert 8- and 16-bit values from full scale to full scale, which is ``white`` of 16 bits."""
    if pixels.dtype.name == dtype:
        return pixels
    if dtype == "uint8":
        scaled: Array = (pixels / (white / 255)).round()
        return scaled.clip(0, 255).astype(np.uint8)
    if white == 65535:
        return pixels * np.uint16(257)
    return (pixels * (white / 255)).round().astype(np.uint16)


def check_white(white: object) -> None:
    """Check the full scale of 16-bit values.

    Raises
    ------
    InputError
        If it is no whole number from 255 to 65535.
    """
    if (
        not isinstance(white, int | np.integer)
        or isinstance(white, bool)
        or not 255 <= white <= 65535
    ):
        raise InputError(f"white level: need a whole number from 255 to 65535, got {white!r}")


def in_unit_range(low: float, high: float) -> bool:
    """Tell whether values from ``low`` to ``high`` lie in [0, 1], rounding aside."""
    return low >= -ROUNDING and high <= 1 + ROUNDING


def value_range(images: Array) -> tuple[float, float]:
    """Choose the stored values that become 0 and 1.

    8-bit images use their full scale. Floats within [0, 1], as far as they are rounded well
    (``ROUNDING``), stay as they are, unless all are as small as that and some below 0. Anything
    else, such as 16-bit images of a 12-bit camera, uses the smallest and largest value present.

    Parameters
    ----------
    images
        N x H x W x C, or their values (P,), non-empty and finite.
    """
    if images.dtype == np.uint8:
        return 0.0, 255.0
    low, high = math.inf, -math.inf
    step = max(1, SCANNED // max(1, images[0].size))
    for first in range(0, len(images), step):
        part = images[first : first + step]
        low, high = min(low, float(part.min())), max(high, float(part.max()))
        release(images)
    rounded = low >= 0 or high > ROUNDING
    if images.dtype.kind == "f" and in_unit_range(low, high) and rounded:
        return 0.0, 1.0
    return low, high if high > low else low + 1.0
