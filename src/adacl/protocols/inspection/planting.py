"""Defects of known size and contrast in normal images, drawn as no training draws them.

Training cuts, blurs and blends soft shapes in PyTorch (:mod:`adacl.anomalies`). Here are discs and
bent lines of one pixel's softness, darker or brighter than the image by a given share of its scale.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Shape = Literal["spot", "scratch"]
Floats = NDArray[np.float64]

SIDE = 35.0
STEP = (0.4, 0.4)
"""A scratch has two or three steps of this part of ``SIDE``: it is 28 or 42 pixels long."""
SQUARE = 8
"""Side of the squares in which the variation of images is measured."""


def bent_line(
    generator: np.random.Generator, shape: tuple[int, int], side: float, steps: tuple[float, float]
) -> list[tuple[float, float]]:
    """Return the points (column, row) of a line of two or three steps that turns a little.

    Parameters
    ----------
    generator
        Decides where it starts, and how it turns.
    shape
        Height and width of the image, which it does not leave.
    side
        Length in pixels that steps are parts of.
    steps
        The shortest and the longest step.
    """
    height, width = shape
    point = generator.uniform(0.2, 0.8, 2) * (width, height)
    angle = generator.uniform(0, 2 * np.pi)
    points = [(float(point[0]), float(point[1]))]
    for _ in range(generator.integers(2, 4)):
        angle += generator.uniform(-0.7, 0.7)
        step = generator.uniform(*steps) * side * np.array([np.cos(angle), np.sin(angle)])
        point = np.clip(point + step, 0, (width - 1, height - 1))
        points.append((float(point[0]), float(point[1])))
    return points


def cover(
    generator: np.random.Generator, shape: tuple[int, int], kind: Shape, size: int
) -> tuple[tuple[slice, slice], Floats]:
    """Return the box of a defect, and the share of each pixel in it that the defect covers.

    Parameters
    ----------
    generator
        Decides on the place: anywhere but close to the image's border.
    shape
        Height and width of the image.
    kind, size
        A spot, ``size`` pixels across, or a scratch, ``size`` pixels wide.
    """
    if kind == "spot":
        row, column = generator.uniform(0.15, 0.85, 2) * shape
        points = [(float(column), float(row))]
    else:
        points = bent_line(generator, shape, min(SIDE, 0.5 * min(shape)), STEP)
    nodes = np.array(points)
    first = np.floor(nodes.min(0) - size).clip(0).astype(int)
    last = np.ceil(nodes.max(0) + size + 1).astype(int)
    box = np.s_[first[1] : min(last[1], shape[0]), first[0] : min(last[0], shape[1])]
    rows, columns = np.mgrid[box]
    pixels = np.stack([columns, rows], -1).astype(float)
    pairs = zip(nodes, nodes[1:] if len(nodes) > 1 else nodes, strict=False)
    away = np.min([_distance(pixels, start, end) for start, end in pairs], 0)
    return box, (size / 2 + 0.5 - away).clip(0, 1)


def _distance(pixels: Floats, start: Floats, end: Floats) -> Floats:
    """Return how far pixels H x W x 2 are from the line between two points."""
    along = end - start
    length = float(along @ along)
    part = ((pixels - start) @ along / length).clip(0, 1) if length else np.zeros(pixels.shape[:2])
    distance: Floats = np.linalg.norm(pixels - start - part[..., None] * along, axis=-1)
    return distance


def plant(
    image: NDArray[np.generic],
    box: tuple[slice, slice],
    covered: Floats,
    change: float,
    scale: tuple[float, float],
) -> NDArray[np.generic]:
    """Return a copy of an image H x W x C with a brighter or darker defect.

    Parameters
    ----------
    image
        Stored pixels.
    box, covered
        What :func:`cover` returned.
    change
        In stored values; negative for a darker defect. It is turned round where the image is too
        dark or too bright for it.
    scale
        The lowest and the highest stored value.
    """
    before = image[box].astype(float)
    mean = float(np.average(before.mean(2), weights=covered))
    if not scale[0] <= mean + change <= scale[1]:
        change = -change
    after = (before + change * covered[..., None]).round().clip(*scale)
    changed = image.copy()
    changed[box] = np.where(covered[..., None] > 0, after, before).astype(image.dtype)
    return changed


def local_variation(image: NDArray[np.generic]) -> float:
    """Return how much an image H x W x C varies within 8 x 8 pixels, in stored values.

    That is the median, over the squares, of the standard deviation of the mean of the channels.
    """
    grey = image.astype(float).mean(2)
    height, width = (max(1, side // SQUARE) for side in grey.shape)
    tall, wide = min(SQUARE, grey.shape[0]), min(SQUARE, grey.shape[1])
    squares = grey[: height * tall, : width * wide].reshape(height, tall, width, wide)
    return float(np.median(squares.std((1, 3))))
