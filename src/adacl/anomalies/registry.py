"""The registry of kinds of anomaly."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Changed(NamedTuple):
    """Made images (N, C, H, W) in [0, 1], and the mask (N, 1, H, W) of where each was changed."""

    images: Tensor
    mask: Tensor


Kind = Callable[..., tuple[Tensor, Tensor] | Tensor]

KINDS: dict[str, Kind] = {}
"""Registered kinds of anomaly, by name."""


def register(name: str) -> Callable[[Kind], Kind]:
    """Register a function as the kind of anomaly called ``name``."""

    def add(function: Kind) -> Kind:
        KINDS[name] = function
        return function

    return add
