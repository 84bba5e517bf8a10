"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = [
    "Backend",
    "BackendOption",
    "Device",
    "DeviceOption",
    "JsonOption",
    "ModelArgument",
    "OnError",
    "OnErrorOption",
    "QuietOption",
    "ThresholdOption",
    "parse_setting",
    "parse_size",
]


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Backend(StrEnum):
    """What runs an exported file."""

    onnxruntime = "onnxruntime"
    openvino = "openvino"


class OnError(StrEnum):
    """What to do with a broken image file."""

    skip = "skip"
    fail = "fail"


ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="Model file.")]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]
BackendOption = Annotated[Backend, typer.Option(help="What runs an exported file.")]
OnErrorOption = Annotated[OnError, typer.Option(help="Skip broken images, or fail at the first.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ThresholdOption = Annotated[
    float | None, typer.Option(help="Use this threshold instead of the model's own.")
]


def parse_size(option: str, text: str | None) -> tuple[int, int] | None:
    """Read HEIGHTxWIDTH, or one number for both, from the text given for an option.

    Raises
    ------
    typer.BadParameter
        If it is neither.
    """
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) >= 8 for part in parts):
        words = f"{text!r}: need HEIGHTxWIDTH in pixels, at least 8x8"
        raise typer.BadParameter(words, param_hint=option)
    return int(parts[0]), int(parts[-1])


def parse_setting(text: str) -> tuple[str, Any]:
    """Read ``section.name=value``, the value as in TOML; bare words are strings.

    Raises
    ------
    typer.BadParameter
        If there is no ``=``.
    """
    address, equals, value = text.partition("=")
    if not equals or address.count(".") != 1:
        raise typer.BadParameter(f"{text!r}: need section.name=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    return address.replace(".", "__"), parsed
