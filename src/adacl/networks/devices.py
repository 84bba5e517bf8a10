"""The device on which a network is trained and scores."""

from __future__ import annotations

import torch

from adacl.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    ConfigError
        If CUDA is asked for and not there, or the name is none of the three.
    """
    if name not in {"auto", "cpu", "cuda"}:
        raise ConfigError(f"device {name!r}: need auto, cpu or cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError("device 'cuda': PyTorch sees no CUDA device here; use cpu or auto")
    return torch.device("cuda" if available and name != "cpu" else "cpu")
