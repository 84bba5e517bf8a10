"""Exported models: ONNX files with the header of the model and a checksum.

Every entry of the header is one of the file's metadata properties, ``adacl.`` and its name, its
value as JSON, so that programs in other languages read the threshold without adacl. The last
property is a SHA-256 of all bytes before it: parsers of Protocol Buffers join the parts of a
message that is written in several pieces, so it can be appended to the finished file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adacl.errors import MissingDataError, ModelFileError
from adacl.files import open_regular, read_whole

EXPORT_VERSION = 1
PREFIX = "adacl."
_SEAL = b"\x72\x50\x0a\x0cadacl.sha256\x12\x40"
"""Field 14 of a model (80 bytes): a property with this key, and a value of 64 bytes."""


def seal(content: bytes) -> bytes:
    """Return a serialised model with its checksum appended."""
    return content + _SEAL + hashlib.sha256(content).hexdigest().encode()


def checksum_of(path: Path) -> bytes:
    """Return the checksum that ends an exported file, without reading it all; b"" of none."""
    try:
        with open_regular(path) as file:
            file.seek(-64, os.SEEK_END)
            return file.read()
    except OSError:
        return b""


def unsealed(path: Path) -> bytes:
    """Read an exported file and verify its checksum.

    Raises
    ------
    MissingDataError
        If it is not there.
    ModelFileError
        If adacl did not export it, or it was changed or cut off since.
    """
    content = read_whole(path)
    body, mark, digest = content[: -64 - len(_SEAL)], content[-64 - len(_SEAL) : -64], content[-64:]
    if mark != _SEAL and content[8:9] == b"{":
        raise ModelFileError(
            f"{path}: a model file, not an exported one; export it first (adacl export), or load "
            "it with PyTorch (AnomalyDetector.load)"
        )
    if mark != _SEAL:
        raise ModelFileError(
            f"{path}: not a file that adacl export made, or cut off or changed since; export the "
            "model file again"
        )
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ModelFileError(f"{path}: damaged, its checksum is wrong; export it again")
    return content


def is_exported(path: Path) -> bool:
    """Tell an ONNX file from a model file by its first bytes; False for what is no file.

    Raises
    ------
    MissingDataError
        If it is a file that cannot be read.
    """
    try:
        if not path.is_file():
            return False
        with open_regular(path) as file:
            start = file.read(9)
    except OSError as error:
        raise MissingDataError(f"{path}: cannot be read ({error.strerror})") from error
    return start[:1] == b"\x08" and start[8:9] != b"{"


def to_properties(header: Mapping[str, Any]) -> dict[str, str]:
    """Return a header as metadata properties."""
    return {
        PREFIX + name: json.dumps(value, sort_keys=True, allow_nan=False)
        for name, value in header.items()
    }


def from_properties(properties: Mapping[str, str]) -> dict[str, Any]:
    """Return the header that metadata properties hold.

    Raises
    ------
    ValueError
        If they hold none, or one of a newer format.
    """
    header = {
        name.removeprefix(PREFIX): json.loads(text)
        for name, text in properties.items()
        if name.startswith(PREFIX) and name != PREFIX + "sha256"
    }
    version = header.get("export_version")
    if not isinstance(version, int):
        raise ValueError("adacl did not export it")
    if version > EXPORT_VERSION:
        raise ValueError(
            f"export format {version} is newer than this adacl knows ({EXPORT_VERSION}); upgrade it"
        )
    return header
