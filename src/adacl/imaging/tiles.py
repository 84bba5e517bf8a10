"""Cut large images into tiles, and turn the scores of tiles into one per image."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from adacl.errors import ConfigError
from adacl.imaging.spec import Array


@dataclass(frozen=True)
class Tiling:
    """A grid of equal tiles.

    Parameters
    ----------
    height, width
        Size of a tile in pixels.
    stride
        Pixels from one tile to the next; None for tiles that do not overlap.
    top_k
        The score of an image is the mean of its ``top_k`` highest tile scores; 1 is the
        maximum.

    Raises
    ------
    ConfigError
        If they are no whole numbers, a tile has less than 8 x 8 pixels, or tiles would leave gaps.
    """

    height: int
    width: int
    stride: int | None = None
    top_k: int = 1

    def __post_init__(self) -> None:
        for name in ("height", "width", "stride", "top_k"):
            size = getattr(self, name)
            if name == "stride" and size is None:
                continue
            if not isinstance(size, Integral) or isinstance(size, bool):
                raise ConfigError(f"{name}: need a whole number, got {size!r}")
            object.__setattr__(self, name, int(size))
        if min(self.height, self.width) < 8:
            raise ConfigError(f"tile: at least 8x8 pixels, got {self.height}x{self.width}")
        if self.stride is not None and not 1 <= self.stride <= min(self.height, self.width):
            raise ConfigError(
                f"stride: between 1 and the tile's shorter side, so that no pixel is left out, "
                f"got {self.stride}"
            )
        if self.top_k < 1:
            raise ConfigError(f"top_k: at least 1, got {self.top_k}")

    def corners(self, height: int, width: int) -> list[tuple[int, int]]:
        """Return the top-left corners of the tiles of an image, row by row.

        Where the stride does not divide the image, the last row and column of tiles are moved
        back to its edge, so that every pixel is covered and none is invented. An image smaller
        than a tile gets a single one.
        """
        return [
            (top, left)
            for top in starts(height, self.height, self.stride or self.height)
            for left in starts(width, self.width, self.stride or self.width)
        ]

    def count(self, height: int, width: int) -> int:
        """Return the number of tiles of an image."""
        down = starts(height, self.height, self.stride or self.height)
        return len(down) * len(starts(width, self.width, self.stride or self.width))

    def cut(self, image: Array) -> Array:
        """Cut an image H x W x C into tiles T x height x width x C.

        An image smaller than a tile is first extended by repeating its edge pixels.
        """
        short = (max(0, self.height - image.shape[0]), max(0, self.width - image.shape[1]))
        if any(short):
            image = np.pad(image, ((0, short[0]), (0, short[1]), (0, 0)), mode="edge")
        return np.stack(
            [
                image[top : top + self.height, left : left + self.width]
                for top, left in self.corners(*image.shape[:2])
            ]
        )

    def aggregate(self, scores: Array) -> float:
        """Turn the scores of an image's tiles (T,) into the image's score."""
        k = min(self.top_k, len(scores))
        return float(np.partition(scores, -k)[-k:].mean())


def starts(length: int, tile: int, stride: int) -> list[int]:
    """Return where tiles begin along one side; the last is moved back to the edge."""
    last = max(0, length - tile)
    return sorted({*range(0, last, stride), last})
