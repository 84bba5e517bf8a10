"""Readers of the official file formats: IDX of the MNIST family, and the batches of CIFAR-10."""

from __future__ import annotations

import gzip
import io
import math
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.errors import DataError

__all__ = ["Pixels", "content_of", "parse_idx", "read_cifar", "read_idx"]

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


def read_idx(path: Path, dimensions: int) -> Pixels:
    """Read the bytes of an IDX file as an array of that many dimensions.

    Raises
    ------
    DataError
        If it is damaged or something else.
    """
    return parse_idx(path, content_of(path), dimensions)


def parse_idx(path: Path, content: bytes, dimensions: int) -> Pixels:
    """Parse the content of an IDX file; ``path`` names it in messages."""
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(f"{path}: not an IDX file of bytes in {dimensions} dimension(s)")
    shape = tuple(np.frombuffer(content, ">u4", dimensions, 4).tolist())
    if len(content) - start != math.prod(shape):
        raise DataError(f"{path}: truncated or too long for its header {shape}; fetch it again")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles NumPy arrays and plain containers, and refuses everything else."""

    ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"): "numpy._core.multiarray",
        ("numpy._core.multiarray", "_reconstruct"): "numpy._core.multiarray",
        ("numpy", "ndarray"): "numpy",
        ("numpy", "dtype"): "numpy",
        ("_codecs", "encode"): "_codecs",
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed class or function."""
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"refused to load {module}.{name}")
        return super().find_class(self.ALLOWED[module, name], name)


def read_cifar(path: Path) -> Pixels:
    """Read a batch as records of one label byte and 3,072 pixel bytes."""
    content = content_of(path)
    if path.suffix == ".bin":
        if not content or len(content) % 3073:
            raise DataError(f"{path}: not whole records of 3,073 bytes; fetch it again")
        return np.frombuffer(content, np.uint8).reshape(-1, 3073)
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        labels, data = np.asarray(batch[b"labels"], np.uint8), np.asarray(batch[b"data"])
        if data.dtype != np.uint8 or data.shape != (len(labels), 3072):
            raise ValueError(f"its data are {data.dtype} {data.shape}, not uint8 (N, 3072)")
        return np.column_stack([labels, data])
    except Exception as error:
        raise DataError(f"{path}: not a CIFAR-10 batch ({error})") from error
