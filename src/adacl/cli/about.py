"""``adacl info`` and ``adacl doctor``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from adacl.cli.options import JsonOption, ModelArgument
from adacl.errors import AdaclError, ModelFileError
from adacl.exported_file import is_exported
from adacl.model_file import read_header
from adacl.tensor_file import digest

__all__ = ["doctor", "info"]


def info(model: ModelArgument, json_output: JsonOption = False) -> None:
    """Show what a model file holds: input, network, threshold, training."""
    header = _header(model)
    if json_output:
        typer.echo(json.dumps(header))
        return
    try:
        lines = list(_lines(header))
    except (
        AdaclError,
        AssertionError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise ModelFileError(f"{model}: not a sound model file ({error!r})") from error
    for line in lines:
        typer.echo(line)


def _lines(header: dict[str, Any]) -> Iterator[str]:
    from adacl.thresholds import Threshold

    spec, training, tiling = header["spec"], header["training"], header["tiling"]
    epochs, best = header["history"]["epochs"], header["history"]["best_epoch"]
    kinds = epochs[best]["kind_auroc"]
    fitted = f"{training['images']} images"
    if "video" in header:
        fitted = f"{training['frames']} frames in {training['images']} blocks"
    rows = {
        "preset": header["preset"],
        "input": f"{spec['height']} x {spec['width']} pixels, {spec['channels']} channel(s), "
        f"{spec['dtype']} values {spec['low']:g} to {spec['high']:g}",
        "tiles": _tiles(tiling) if tiling else "none, whole images",
        "parameters": f"{training['parameters']:,}",
        "fitted on": f"{fitted} ({training['train']} to learn from, "
        f"{training['validation']} for early stopping, {training['calibration']} for the "
        "threshold)",
        "training": f"epoch {best + 1} of {len(epochs)}, seed {training['seed']}, "
        f"{training['device']}, adacl {training['adacl']}, PyTorch {training['torch']}",
        "validation": f"AUROC {epochs[best]['validation_auroc']:.4f} against made anomalies ("
        + ", ".join(f"{kind} {area:.3f}" for kind, area in kinds.items())
        + ")",
    }
    if "export_version" in header:
        height, width = header["input_size"]
        batch = "any number of images" if header["batch"] is None else "one image"
        rows["exported"] = (
            f"ONNX opset {header['opset']}, {header['precision']}, {batch} of {height} x {width} "
            f"at once, by adacl {header['exported_by']}"
        )
        rows["licence"] = header["licence"]
    rows["fingerprint"] = header["fingerprint"]
    if "video" in header:
        del rows["tiles"]
    for name, value in rows.items():
        yield f"{name:12}{value}"
    if "video" in header:
        from adacl.video.alarms import Alarm

        video = header["video"]
        yield (
            f"video       {video['height']} x {video['width']} at {video['frame_rate']:.3g} frames "
            f"a second, {_tiles(video['config'] | _square(video['config']))}; gate: "
            f"{video['config']['gate']} above {video['motion']:.2f}"
        )
        described = Alarm(**video["alarm"]).describe()
    else:
        described = Threshold(**header["threshold"]).describe()
    yield from described


def _header(model: Path) -> dict[str, Any]:
    if is_exported(model):
        from adacl.runtime import Scorer

        return Scorer(model).header
    header, tensors = read_header(model)
    return header | {"fingerprint": digest(tensors, header)}


def _square(config: dict[str, Any]) -> dict[str, Any]:
    return {"height": config["tile"], "width": config["tile"], "top_k": 1}


def _tiles(tiling: dict[str, Any]) -> str:
    stride = tiling["stride"] or "none"
    aggregate = "maximum" if tiling["top_k"] == 1 else f"mean of the {tiling['top_k']} worst"
    return f"{tiling['height']} x {tiling['width']}, stride {stride}, {aggregate}"


def doctor(json_output: JsonOption = False) -> None:
    """Check this installation and machine: packages, device, speed, data."""
    from adacl.doctor import examine

    findings = examine()
    if json_output:
        typer.echo(json.dumps([vars(finding) for finding in findings]))
        return
    for finding in findings:
        typer.echo(f"{'ok' if finding.ok else '--':4}{finding.topic:20}{finding.found}")
