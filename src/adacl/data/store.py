"""All samples of a training set as one array, memory-mapped when it is large."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.errors import DataError
from adacl.imaging.tiles import Tiling

__all__ = ["MEMORY_LIMIT", "Store", "build_store", "digest"]

MEMORY_LIMIT = 1 << 30
"""Larger stores, in bytes, live in a temporary file instead of memory."""


@dataclass
class Store:
    """Samples (whole images or tiles), and which image each belongs to.

    Parameters
    ----------
    samples
        S x H x W x C.
    owner
        (S,) the number of each sample's image.
    digests
        (N,) a hash of each image's pixels, to recognise it later.
    """

    samples: NDArray[Any]
    owner: NDArray[np.int64]
    digests: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.digests)

    def samples_of(self, images: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of the samples of some images, in ascending order."""
        chosen = np.zeros(len(self), bool)
        chosen[images] = True
        return np.flatnonzero(chosen[self.owner])


def digest(image: NDArray[Any]) -> int:
    """Hash an image's pixels to 64 bits."""
    pixels = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8)
    return int.from_bytes(pixels.digest(), "little")


def build_store(
    images: Iterable[NDArray[Any]],
    shape: tuple[int, int, int],
    dtype: str,
    counts: list[int],
    tiling: Tiling | None,
) -> Store:
    """Copy images, cut into tiles where asked for, into one array.

    Parameters
    ----------
    images
        H x W x C each; fewer than ``counts`` if some are broken.
    shape, dtype
        Form of a sample.
    counts
        Number of samples that each image is expected to give, at most.
    tiling
        How to cut, or None.

    Raises
    ------
    DataError
        If there is no room for the temporary file.
    """
    samples = _allocate((sum(counts), *shape), dtype)
    owner: list[int] = []
    digests: list[int] = []
    for number, image in enumerate(images):
        parts = tiling.cut(image) if tiling else image[None]
        samples[len(owner) : len(owner) + len(parts)] = parts
        owner += [number] * len(parts)
        digests.append(digest(image))
    return Store(samples[: len(owner)], np.array(owner, np.int64), np.array(digests, np.uint64))


def _allocate(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= MEMORY_LIMIT:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="adacl-") as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        except OSError as error:
            raise DataError(
                f"the decoded images need {size / 2**30:.1f} GiB in {tempfile.gettempdir()} "
                f"({error.strerror}); make room, set TMPDIR, or use a smaller --image-size"
            ) from error
        return np.memmap(file, dtype, "r+", shape=shape)
