"""Readers of the official file formats: IDX of the MNIST family, and CIFAR-10's binary batches."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adacl.errors import DataError

Pixels = NDArray[np.uint8]


def content_of(path: Path) -> bytes:
    """Read a file, unpacking it if it is gzip; nothing official is larger than 1 GiB."""
    limit = 1 << 30
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content: bytes = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch it again") from error
    if len(content) > limit:
        raise DataError(f"{path}: unpacks to more than 1 GiB; this is not the official file")
    return content


def parse_idx(path: Path, content: bytes, dimensions: int) -> Pixels:
    """Return the bytes of an IDX file as an array of that many dimensions.

    Raises
    ------
    DataError
        If it is damaged or something else; ``path`` is named in the message.
    """
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(f"{path}: not an IDX file of bytes in {dimensions} dimension(s)")
    shape = tuple(np.frombuffer(content, ">u4", dimensions, 4).tolist())
    if len(content) - start != math.prod(shape):
        raise DataError(f"{path}: truncated or too long for its header {shape}; fetch it again")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_cifar(path: Path) -> Pixels:
    """Read a batch of the binary version: records of one label byte and 3,072 pixel bytes."""
    content = content_of(path)
    if not content or len(content) % 3073:
        raise DataError(f"{path}: not whole records of 3,073 bytes; fetch it again")
    return np.frombuffer(content, np.uint8).reshape(-1, 3073)
