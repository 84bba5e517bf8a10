"""Arrays of pixels in memory, or in a temporary file when they are large."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.errors import DataError

MEMORY_LIMIT = 1 << 29
"""Larger arrays, in bytes, live in a temporary file instead of memory."""


class TemporaryMap(mmap.mmap):
    """A temporary file as memory, which no one else changes."""


def allocate(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Return an array whose values are not set.

    Raises
    ------
    DataError
        If there is no room for the temporary file.
    """
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
        return np.ndarray(shape, dtype, buffer=TemporaryMap(file.fileno(), size))


def release(pixels: NDArray[Any]) -> None:
    """Let go of the memory that holds what was read of a temporary file, or written to it.

    The file keeps all. Else the whole file would lie in memory once each image has been read.
    """
    owner: Any = pixels
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, TemporaryMap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
