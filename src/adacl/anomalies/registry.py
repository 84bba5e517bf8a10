"""The registry of kinds of anomaly."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

__all__ = ["KINDS", "Kind", "register"]

Kind = Callable[..., Tensor]

KINDS: dict[str, Kind] = {}
"""Registered kinds of anomaly, by name."""


def register(name: str) -> Callable[[Kind], Kind]:
    """Register a function as the kind of anomaly called ``name``."""

    def add(function: Kind) -> Kind:
        KINDS[name] = function
        return function

    return add
