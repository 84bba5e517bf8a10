"""``adacl info``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from adacl.cli.support.options import JsonOption, ModelArgument
from adacl.errors import AdaclError, ModelFileError
from adacl.model.card import describe_tiles, lines
from adacl.model.exported_file import is_exported
from adacl.model.file import read_header
from adacl.model.tensor_file import digest
from adacl.model.thresholds import Threshold

__all__ = ["info"]


def info(model: ModelArgument, json_output: JsonOption = False) -> None:
    """Show what a model file holds: input, network, threshold, training."""
    header = _header(model)
    if json_output:
        typer.echo(json.dumps(header))
        return
    try:
        shown = list(_lines(header))
    except (
        AdaclError,
        AssertionError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise ModelFileError(f"{model}: not a sound model file ({error!r})") from error
    for line in shown:
        typer.echo(line)


def _lines(header: dict[str, Any]) -> Iterator[str]:
    yield from lines(header)
    if "video" in header:
        yield from _video_lines(header["video"])
    else:
        yield from Threshold(**header["threshold"]).describe()


def _video_lines(video: dict[str, Any]) -> Iterator[str]:
    from adacl.video.alarms import Alarm

    yield (
        f"video       {video['height']} x {video['width']} at {video['frame_rate']:.3g} frames "
        f"a second, {describe_tiles(video['config'] | _square(video['config']))}; gate: "
        f"{video['config']['gate']} above {video['motion']:.2f}"
    )
    yield from Alarm(**video["alarm"]).describe()


def _header(model: Path) -> dict[str, Any]:
    if is_exported(model):
        from adacl.deploy.scorer import Scorer

        return Scorer(model).header
    header, tensors = read_header(model)
    return header | {"fingerprint": digest(tensors, header)}


def _square(config: dict[str, Any]) -> dict[str, Any]:
    return {"height": config["tile"], "width": config["tile"], "top_k": 1}
