"""Tensors and JSON in one file: safetensors with a digest over both, written atomically."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from adacl.errors import AdaclError, ModelFileError
from adacl.files import atomic_file, read_whole

Tensors = Mapping[str, NDArray[Any]]

UNSOUND = (
    AdaclError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What is raised where a file holds something else than its reader takes for granted."""


def digest(tensors: Tensors, header: Mapping[str, Any]) -> str:
    """Return the SHA-256, as 64 hexadecimal digits, of everything in a file."""
    sha256 = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name]
        sha256.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha256.update(array.tobytes())
    return sha256.hexdigest()


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, allow_nan=False)


def write(path: Path, tensors: Tensors, header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header to one safetensors file, atomically.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    document = {"header": header, "sha256": digest(arrays, header)}
    metadata = {"adacl": _text(document)}
    with atomic_file(path) as file:
        file.write(save(arrays, metadata=metadata))


def read(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read the tensors and the header back, verifying the digest.

    Raises
    ------
    MissingDataError
        If the file is not there.
    ModelFileError
        If it is not such a file, or damaged.
    """
    content = read_whole(path)
    try:
        tensors: dict[str, NDArray[Any]] = load(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        document = json.loads(metadata["adacl"])
        header, sha256 = document["header"], document["sha256"]
        intact = isinstance(header, dict) and metadata["adacl"] == _text(document)
    except KeyError as error:
        raise ModelFileError(f"{path}: a safetensors file, but not one that adacl wrote") from error
    except (SafetensorError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ModelFileError(
            f"{path}: not an adacl file, or damaged ({error}); fit again or restore a copy"
        ) from error
    if not intact or sha256 != digest(tensors, header):
        raise ModelFileError(f"{path}: damaged, its checksum is wrong; restore a copy")
    return tensors, header
