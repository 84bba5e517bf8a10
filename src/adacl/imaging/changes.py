"""Small changes of the camera, its light and the file format, which are not defects."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels], Pixels]


def _by_table(curve: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Change:
    """Return a change of each value by a curve of [0, 1]."""
    table = (curve(np.arange(256) / 255).clip(0, 1) * 255).round().astype(np.uint8)

    def change(image: Pixels) -> Pixels:
        changed: Pixels = table[image]
        return changed

    return change


def _balanced(image: Pixels) -> Pixels:
    """Warm a coloured image: red up by a tenth, blue down by one; a grey one stays."""
    if image.shape[2] != 3:
        return image
    warmed: Pixels = (image * np.array([1.1, 1, 0.9])).clip(0, 255).round().astype(np.uint8)
    return warmed


def _shifted(image: Pixels) -> Pixels:
    """Move an image down and to the right by two pixels."""
    return np.pad(image, ((2, 0), (2, 0), (0, 0)), "reflect")[:-2, :-2]


def _turned(image: Pixels) -> Pixels:
    """Turn an image by two degrees, its edge continued."""
    edge = round(max(image.shape[:2]) * 0.05) + 2
    wide = np.pad(image, ((edge, edge), (edge, edge), (0, 0)), "reflect")
    return _through(wide, lambda p: p.rotate(2, Image.Resampling.BILINEAR))[edge:-edge, edge:-edge]


def _through(image: Pixels, change: Callable[[Image.Image], Image.Image]) -> Pixels:
    """Change an image by Pillow."""
    picture = Image.fromarray(image if image.shape[2] == 3 else image[..., 0])
    return np.asarray(change(picture)).reshape(image.shape)


def _blurred(image: Pixels) -> Pixels:
    return _through(image, lambda p: p.filter(ImageFilter.GaussianBlur(1)))


def _noisy(image: Pixels) -> Pixels:
    """Add noise of a standard deviation of five grey levels, the same in every image."""
    noise = np.random.default_rng(0).normal(0, 5, image.shape)
    return (image + noise).clip(0, 255).round().astype(np.uint8)


def _compressed(image: Pixels) -> Pixels:
    def change(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=75)
        return Image.open(file)

    return _through(image, change)


LEVEL: dict[str, Change] = {
    "exposure -10 %": _by_table(lambda x: 0.9 * x),
    "exposure +10 %": _by_table(lambda x: 1.1 * x),
    "exposure -30 %": _by_table(lambda x: 0.7 * x),
    "contrast -10 %": _by_table(lambda x: 0.5 + 0.9 * (x - 0.5)),
    "contrast +10 %": _by_table(lambda x: 0.5 + 1.1 * (x - 0.5)),
    "gamma 0.9": _by_table(lambda x: x**0.9),
    "gamma 1.1": _by_table(lambda x: x**1.1),
    "white balance, 10 %": _balanced,
}
"""Changes of the level of the light, of 8-bit images H x W x C, grey or in colour."""

CHANGES: dict[str, Change] = LEVEL | {
    "shift by 2 pixels": _shifted,
    "turn by 2 degrees": _turned,
    "blur, 1 pixel": _blurred,
    "noise, 5 levels": _noisy,
    "JPEG, quality 75": _compressed,
}
"""All changes by name, in the order of tables."""
