"""Plant defects of known place into normal images."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from adacl.protocols.inspection.planting import bent_line

KINDS = ("scar", "faint scar", "blob", "cut-paste", "foreign", "blur", "missing", "turned")
TRIES = 60
SEEN = {"faint scar": 12.0}
"""Mean change, in grey levels of 255, that a defect has at least; 25 for the other kinds."""


def plant(
    kind: str,
    image: np.ndarray,
    other: np.ndarray,
    generator: np.random.Generator,
    part: float = 1.0,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return an image H x W x C with a defect, and where it is, or None if none would be seen.

    Parameters
    ----------
    kind
        ``scar`` and ``faint scar``: a bent line; ``blob``: a brighter or darker spot;
        ``cut-paste``: a piece of another place; ``foreign``: a piece of another image upside
        down; ``blur``: a blurred place; ``missing``: the colour of the image's edge; ``turned``:
        a place turned upside down.
    image, other
        uint8, H x W x C: the image, and another normal one.
    generator
        Decides place, form and contrast.
    part
        Size of the defects, 1 for those of 0.12 to 0.4 of the image's side.
    """
    before = image.astype(np.float32)
    for _ in range(TRIES):
        if "scar" in kind:
            mask = _line(generator, image.shape[:2], part)
        else:
            large = kind not in {"blob", "cut-paste"}
            mask = _ellipse(generator, image.shape[:2], part * (0.4 if large else 0.3))
        changed = np.where(mask[..., None], _changed(kind, before, other, mask, generator), before)
        change = np.abs(changed - before).mean(2)
        if kind not in {"scar", "faint scar", "blob"}:
            mask &= ndimage.binary_closing(change > 8)
        if mask.sum() > 2 and change[mask].mean() > SEEN.get(kind, 25.0):
            return changed.round().astype(np.uint8), mask
    return None


def _changed(
    kind: str,
    image: np.ndarray,
    other: np.ndarray,
    mask: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    height, width, channels = image.shape
    if "scar" in kind:
        opacity = 1.0 if kind == "scar" else 0.4
        return image + opacity * (generator.uniform(0, 255, channels) - image)
    if kind == "blob":
        return np.clip(image + generator.choice([-1, 1]) * generator.uniform(60, 160), 0, 255)
    if kind == "cut-paste":
        far = generator.integers([height // 5, width // 5], [4 * height // 5, 4 * width // 5])
        return np.roll(image, far, (0, 1))
    if kind == "foreign":
        near = generator.integers([-height // 3, -width // 3], [height // 3, width // 3])
        return np.roll(other[::-1].astype(np.float32), near, (0, 1))
    if kind == "blur":
        deviation = 0.08 * min(height, width)
        return ndimage.gaussian_filter(image, (deviation, deviation, 0))
    if kind == "missing":
        rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        return np.broadcast_to(np.median(rim, 0), image.shape)
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    turned = image.copy()
    turned[box] = image[box][::-1, ::-1]
    return turned


def _ellipse(generator: np.random.Generator, shape: tuple[int, int], largest: float) -> np.ndarray:
    height, width = shape
    axes = generator.uniform(largest / 2, largest, 2) * min(shape) / 2
    angle = generator.uniform(0, np.pi)
    rows, columns = np.indices(shape)
    rows = rows - generator.uniform(0.15, 0.85) * height
    columns = columns - generator.uniform(0.15, 0.85) * width
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    return (along / axes[0]) ** 2 + (across / axes[1]) ** 2 <= 1


def _line(generator: np.random.Generator, shape: tuple[int, int], part: float) -> np.ndarray:
    height, width = shape
    side = part * min(shape)
    points = bent_line(generator, shape, side, (0.1, 0.25))
    image = Image.new("L", (width, height))
    thickness = max(1, round(side * generator.uniform(0.03, 0.08)))
    ImageDraw.Draw(image).line(points, fill=255, width=thickness)
    return np.asarray(image) > 0
