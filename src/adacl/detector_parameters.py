"""What a detector is told: its parameters, checked when they are used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from adacl.config import Config
from adacl.config.presets import by_size, check_named, for_tiles, preset
from adacl.data.reading import OnError
from adacl.errors import ConfigError
from adacl.imaging.spec import SMALLEST_SIDE
from adacl.imaging.tiles import Tiling
from adacl.model.history import EpochRecord

Array = NDArray[Any]

OVERRIDDEN = {"training__epochs": "epochs", "threshold__fpr": "fpr"}
"""Settings of the configuration, and the parameters that override them."""


class DetectorParameters:
    """The parameters of a detector, see :class:`~adacl.detector.AnomalyDetector`."""

    def __init__(
        self,
        preset: str = "auto",
        *,
        config: Config | None = None,
        epochs: int | None = None,
        fpr: float | None = None,
        image_shape: tuple[int, ...] | None = None,
        image_size: tuple[int, int] | None = None,
        tile: tuple[int, int] | None = None,
        stride: int | None = None,
        top_k: int = 1,
        white_level: int | None = None,
        contamination: float | Literal["auto"] = "auto",
        mask: str | Path | Array | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        group: str | None = None,
        on_error: OnError = "fail",
        checkpoints: str | Path | None = None,
        on_epoch: Callable[[str, EpochRecord], object] | None = None,
    ) -> None:
        self.preset = preset
        self.config = config
        self.epochs = epochs
        self.fpr = fpr
        self.image_shape = image_shape
        self.image_size = image_size
        self.tile = tile
        self.stride = stride
        self.top_k = top_k
        self.white_level = white_level
        self.contamination = contamination
        self.mask = mask
        self.device = device
        self.random_state = random_state
        self.group = group
        self.on_error = on_error
        self.checkpoints = checkpoints
        self.on_epoch = on_epoch

    def _tiling(self) -> Tiling | None:
        tile = checked_size("tile", self.tile)
        if tile:
            return Tiling(*tile, self.stride, self.top_k)
        if self.stride is not None or self.top_k != 1:
            raise ConfigError("stride and top_k: they go with tile, which is not given")
        return None

    def _config(self, sizes: Sequence[tuple[int, int]]) -> Config:
        """Return the configuration for images of some heights and widths."""
        tiled = self.tile is not None
        if self.config is not None:
            config = checked_config(self.config)
            if self.preset not in ("auto", config.preset):
                raise ConfigError(
                    f"preset {self.preset!r}: the config that is given with it has the preset "
                    f"{config.preset!r}; leave preset out, or start the config from the other"
                )
        elif self.preset == "auto":
            config = for_tiles() if tiled else by_size(sizes)
        else:
            config = preset(self.preset)
        changes = {name: getattr(self, own) for name, own in OVERRIDDEN.items()}
        config = config.replace(
            **{name: value for name, value in changes.items() if value is not None}
        )
        check_view(config, tiled, self.mask is not None)
        return config

    def _contamination(self) -> float | None:
        if isinstance(self.contamination, str):
            if self.contamination != "auto":
                raise ConfigError(
                    f"contamination: need auto or a share, got {self.contamination!r}"
                )
            return None
        if not isinstance(self.contamination, Real) or not 0 <= self.contamination <= 0.5:
            raise ConfigError(f"contamination: need a share in [0, 0.5], got {self.contamination}")
        return float(self.contamination)


def checked_config(config: Any) -> Config:
    """Return a configuration, once it is one, and not in name alone."""
    if not isinstance(config, Config):
        raise ConfigError(
            f"config: need a Config, got {type(config).__name__}; Config.from_dict makes one of a "
            "dictionary"
        )
    check_named(config)
    return config


def check_view(config: Config, tiled: bool, masked: bool) -> None:
    """Check that the network can look at tiles, or at what a mask selects, if it is to.

    Raises
    ------
    ConfigError
        If it cannot.
    """
    if tiled and config.network.output == "map":
        raise ConfigError(
            f"tile: the preset {config.preset} takes whole images of any size; leave tile out, "
            "or use the preset paper"
        )
    if masked and config.network.output != "map":
        raise ConfigError(
            f"mask: the preset {config.preset} sees an image as a whole; use the preset "
            "inspect, or leave the mask out"
        )


def checked_size(name: str, size: Any) -> tuple[int, int] | None:
    """Return a size in pixels, if there is one; ``name`` is that of its parameter."""
    if size is None:
        return None
    if (
        not isinstance(size, Sequence)
        or len(size) != 2
        or not all(isinstance(side, int | np.integer) and side >= SMALLEST_SIDE for side in size)
    ):
        raise ConfigError(
            f"{name}: need height and width, at least {SMALLEST_SIDE} pixels each, got {size!r}"
        )
    return int(size[0]), int(size[1])


def check_on_epoch(value: Any) -> None:
    """Check what is called after every epoch.

    Raises
    ------
    ConfigError
        If it cannot be called.
    """
    if value is not None and not callable(value):
        raise ConfigError(
            "on_epoch: need a function of the name of the training and its record, got "
            f"{type(value).__name__}"
        )


def checked_seed(seed: Any) -> int:
    """Return ``random_state`` as a number that NumPy and PyTorch take as a seed."""
    if not isinstance(seed, int | np.integer):
        from sklearn.utils import check_random_state

        try:
            return int(check_random_state(seed).randint(2**31))
        except ValueError as error:
            raise ConfigError(
                f"random_state: need a whole number, a RandomState of NumPy or None, got {seed!r}"
            ) from error
    if not 0 <= seed < 2**64:
        raise ConfigError(f"random_state: need a whole number from 0 to 2**64 - 1, got {seed}")
    return int(seed)
