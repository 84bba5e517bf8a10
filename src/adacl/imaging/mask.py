"""Which part of images of one layout is looked at: a region of interest."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adacl.errors import InputError
from adacl.imaging.spec import MAX_PIXELS

if TYPE_CHECKING:
    from torch import Tensor

FILL = 0.5
"""What networks see, on the scale from 0 to 1, where a mask does not look."""
Range = tuple[int, int]


@dataclass(frozen=True)
class Mask:
    """Which pixels of an image are looked at; what the others show changes no score.

    It is for images of one layout. For images of another size, but the same aspect ratio, each
    pixel or place takes the value of the nearest pixel of the mask.

    Parameters
    ----------
    png
        A PNG file of one bit a pixel: 1 (white) is looked at.
    """

    png: bytes

    @classmethod
    def of(cls, pixels: NDArray[Any], name: str = "mask") -> Self:
        """Return the mask of pixels H x W, True where they are looked at.

        Parameters
        ----------
        pixels
            The pixels.
        name
            What it is called in messages.

        Raises
        ------
        InputError
            If they have not two dimensions, or none is True.
        """
        if pixels.ndim != 2:
            raise InputError(f"{name}: need H x W, got {pixels.shape}")
        if not pixels.any():
            raise InputError(f"{name}: is black; need some white, because only white places count")
        file = io.BytesIO()
        Image.fromarray(pixels.astype(bool)).save(file, "PNG")
        return cls(file.getvalue())

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the mask that :meth:`to_text` wrote.

        Raises
        ------
        ValueError
            If it is none.
        """
        found = cls(base64.b64decode(text, validate=True))
        try:
            with Image.open(io.BytesIO(found.png), formats=["PNG"]) as image:
                small = image.width * image.height <= MAX_PIXELS
                sound = image.mode == "1" and small and found.pixels.any()
        except Exception as error:  # Pillow raises many
            raise ValueError("mask: not a PNG file") from error
        if not sound:
            raise ValueError("mask: need a PNG file of one bit a pixel, some of them white")
        return found

    def to_text(self) -> str:
        """Return it in Base64."""
        return base64.b64encode(self.png).decode()

    @cached_property
    def pixels(self) -> NDArray[np.bool_]:
        """Which pixels (H, W) are looked at; they cannot be changed."""
        with Image.open(io.BytesIO(self.png), formats=["PNG"]) as image:
            found = np.array(image, bool)
        found.setflags(write=False)
        return found

    @property
    def share(self) -> float:
        """Share of the pixels that are looked at."""
        return float(self.pixels.mean())

    def check(
        self, height: int, width: int, name: str, resize: tuple[int, int] | None = None
    ) -> None:
        """Check that it is for images of such a height and width.

        ``resize`` are those that they are resized to before they are looked at, if they are.

        Raises
        ------
        InputError
            If their aspect ratio differs from that of the mask by more than a pixel, or too little
            of it is white; ``name`` is what the message calls the image.
        """
        own, other = self.pixels.shape
        if abs(height * other - width * own) >= max(own, other, height, width):
            raise InputError(
                f"{name}: {height}x{width} pixels, the mask has {own}x{other}, another aspect "
                "ratio; it holds for images of one layout"
            )
        height, width = resize or (height, width)
        places = self.resized(-(-height // 2), -(-width // 2))
        if not (places.any() and self.resized(height, width).any()):
            raise InputError(
                f"{name}: nothing of the mask is left at {height}x{width} pixels; widen what is "
                "white, or use larger images"
            )

    def at(
        self, size: tuple[int, int], rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return the nearest pixels (h, w) of the mask to some rows and columns of an image.

        Parameters
        ----------
        size
            Height and width of the image, or of its map.
        rows, columns
            Their numbers (h,) and (w,).
        """
        extents = zip((rows, columns), self.pixels.shape, size, strict=True)
        nearest = [(2 * numbers + 1) * own // (2 * other) for numbers, own, other in extents]
        found: NDArray[np.bool_] = self.pixels[np.ix_(*nearest)]
        return found

    def filled(self, images: Tensor, window: tuple[int, int, int, int] | None = None) -> Tensor:
        """Return images N x C x H x W in [0, 1] with ``FILL`` where they are not looked at.

        With a ``window`` they are parts of larger images: first row, first column, and their size.
        """
        height, width = images.shape[-2:]
        top, left, *size = window or (0, 0, height, width)
        rows, columns = np.arange(top, top + height), np.arange(left, left + width)
        look = images.new_tensor(self.at((size[0], size[1]), rows, columns).astype(np.float32))
        return images * look + FILL * (1 - look)

    def resized(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the nearest pixels of the mask to each of an image, or of its map."""
        return self.at((height, width), np.arange(height), np.arange(width))

    def looked_at(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return the pixels (S, 1, P, C) of images S x H x W x C that are looked at."""
        return images[:, self.resized(*images.shape[1:3])][:, None]

    def box(self, height: int, width: int) -> tuple[Range, Range]:
        """Return first and last + 1 row and column of what is looked at in an image."""
        found = []
        for axis, extent in enumerate((height, width)):
            own = self.pixels.shape[axis]
            used = np.flatnonzero(self.pixels.any(1 - axis))
            first, last = int(used[0]) * extent // own, -(-(int(used[-1]) + 1) * extent // own)
            found.append((first, last))
        return found[0], found[1]

    def spot(self, height: int, width: int, rng: np.random.Generator) -> tuple[Range, Range]:
        """Return first and last + 1 row and column of one of its white pixels in an image."""
        own_height, own_width = self.pixels.shape
        row, column = divmod(int(rng.choice(np.flatnonzero(self.pixels))), own_width)
        return (
            (row * height // own_height, -(-(row + 1) * height // own_height)),
            (column * width // own_width, -(-(column + 1) * width // own_width)),
        )
