"""``adacl info``."""

from __future__ import annotations

import json
from collections.abc import Iterator

import typer

from adacl.cli.support import options
from adacl.cli.support.streams import escaped
from adacl.errors import AdaclError, ModelFileError
from adacl.model.header import ModelHeader
from adacl.model.info import describe_tiles, facts


def info(model: options.Model, json_output: options.Json = False) -> None:
    """Show what a model file holds: input, network, threshold, training."""
    from adacl.deploy.opening import read_header

    header = read_header(model)
    if json_output:
        typer.echo(json.dumps(header.to_dict() | {"fingerprint": header.fingerprint}))
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
        typer.echo(escaped(line).replace("×", "x"))


def _lines(header: ModelHeader) -> Iterator[str]:
    rows = facts(header)
    if header.video is None:
        how = header.threshold.notes()
    else:
        from adacl.video.alarms import Alarm
        from adacl.video.config import VideoConfig

        video, config = header.video, VideoConfig.of_file(header.video["config"])
        frames = (
            f"{video['height']} × {video['width']} at {video['frame_rate']:.3g} frames a second, "
            f"{describe_tiles(config.tiling)}; gate: {config.gate} above {video['motion']:.2f}"
        )
        rows.append(("Video", frames))
        how = Alarm(**video["alarm"]).notes()
    yield from (f"{term.lower():16}{words}" for term, words in rows)
    yield from how
