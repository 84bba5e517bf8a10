"""Recognise images, and tell exact copies apart from the first of their kind."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]
log = logging.getLogger("adacl")


def digest(image: NDArray[Any]) -> int:
    """Hash an image's pixels to 64 bits."""
    pixels = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8)
    return int.from_bytes(pixels.digest(), "little")


def distinct(digests: Sequence[int] | NDArray[Any]) -> tuple[Indices, Indices]:
    """Tell exact copies apart from the first image of their kind.

    Parameters
    ----------
    digests
        (N,) from :func:`digest`.

    Returns
    -------
    first, group
        Where the first of each distinct image (D,) stands; and which of them each image (N,) is.
    """
    _, first, group = np.unique(
        np.asarray(digests, np.uint64), return_index=True, return_inverse=True
    )
    order = np.argsort(first)
    return first[order], np.argsort(order)[group]


def without_copies(digests: Sequence[int | None]) -> Indices:
    """Return the index of the first of each distinct image, and warn if there are copies.

    Parameters
    ----------
    digests
        (N,) from :func:`digest`; if one is not known, all images are taken for distinct.
    """
    known = [value for value in digests if value is not None]
    if len(known) < len(digests):
        return np.arange(len(digests))
    first, _ = distinct(known)
    if len(first) < len(known):
        log.warning(
            "%d images, %d distinct: copies count once for the threshold", len(known), len(first)
        )
    return first
