"""Other detectors, run through the same protocol on the same images.

A rival is one module of this package. It has a ``TITLE``, and a function ``fit`` that takes
normal images (N, H, W, C) as uint8 and a seed, and returns a :class:`Fitted`. Its settings are
fixed beforehand, the same for all data sets, and never chosen by anomalies. Its first line says
where they come from.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from adacl.errors import ConfigError, missing_extra

__all__ = ["Fitted", "Rival", "get", "names", "rows"]

Images = NDArray[Any]


@dataclass(frozen=True)
class Fitted:
    """A fitted rival: its score of images, higher for more anomalous, and its size.

    ``parameters`` counts the numbers that scoring needs.
    """

    score: Callable[[Images], NDArray[np.float64]]
    parameters: int


class Rival(Protocol):
    """What a module of this package offers."""

    TITLE: str

    def fit(self, images: Images, seed: int) -> Fitted:
        """Learn from normal images."""


def names() -> list[str]:
    """Return the names of all rivals."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in modules if not name.startswith("_"))


def get(name: str) -> Rival:
    """Return a rival by its name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    MissingExtraError
        If the package that it needs is not installed.
    """
    if name not in names():
        raise ConfigError(f"method {name!r}: known are adacl, {', '.join(names())}")
    try:
        return cast("Rival", importlib.import_module(f"{__name__}.{name}"))
    except ModuleNotFoundError as error:
        raise missing_extra(error, "bench") from error


def rows(images: Images) -> NDArray[np.float32]:
    """Return images as flat rows of numbers in [0, 1]."""
    flat: NDArray[np.float32] = images.reshape(len(images), -1).astype(np.float32)
    return flat / np.float32(np.iinfo(images.dtype).max)
