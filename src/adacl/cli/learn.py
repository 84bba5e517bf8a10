"""``adacl fit`` and ``adacl demo``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from adacl.cli.interrupts import interruptible
from adacl.cli.options import (
    Device,
    DeviceOption,
    JsonOption,
    OnError,
    OnErrorOption,
    QuietOption,
    parse_setting,
    parse_size,
)
from adacl.cli.plan import announce
from adacl.cli.reporting import ReportOption, check_report, report_fit
from adacl.cli.resuming import ResumeOption, resumable
from adacl.config import Config
from adacl.config.presets import from_toml, preset
from adacl.data.folders import ImageFiles
from adacl.errors import ConfigError
from adacl.files import check_writable
from adacl.imaging.tiles import Tiling
from adacl.progress import epochs, messages, say

__all__ = ["demo", "fit"]


def fit(
    normal_dir: Annotated[
        list[Path], typer.Argument(metavar="NORMAL_DIR...", help="Folders of normal images.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL", help="File to write.")],
    preset_name: Annotated[
        str,
        typer.Option(
            "--preset", help="Named configuration: paper, or accurate, which takes much longer."
        ),
    ] = "paper",
    config_file: Annotated[
        Path | None, typer.Option("--config", help="TOML file, instead of a preset.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SECTION.NAME=VALUE", help="Change one setting (repeatable)."
        ),
    ] = None,
    epoch_count: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Passes over the images.")
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Make a further kind of anomaly, as scar (repeatable)."),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Leave out a kind of made anomaly (repeatable)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal models.")] = 0,
    device: DeviceOption = Device.auto,
    image_size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Resize to this; by default at most 64 pixels."),
    ] = None,
    tile: Annotated[
        str | None, typer.Option(metavar="HxW", help="Cut large images into tiles of this size.")
    ] = None,
    stride: Annotated[
        int | None, typer.Option(help="Pixels between tiles; by default they do not overlap.")
    ] = None,
    top_k: Annotated[int, typer.Option(help="An image scores the mean of its k worst tiles.")] = 1,
    fpr: Annotated[
        float | None, typer.Option(help="False-positive rate of the threshold; by default 0.01.")
    ] = None,
    on_error: OnErrorOption = OnError.skip,
    resume: ResumeOption = False,
    report: ReportOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Learn from folders of normal images and write a model file."""
    check_writable(output)
    if report is not None:
        check_report(report, [output, *normal_dir])
    config = preset(preset_name) if config_file is None else from_toml(config_file)
    config = config.replace(**dict(parse_setting(setting) for setting in settings or []))
    config = _with_kinds(config, add or [], drop or [])
    given = {"training__epochs": epoch_count, "threshold__fpr": fpr}
    config = config.replace(**{name: value for name, value in given.items() if value is not None})
    size, tile_size = parse_size("--image-size", image_size), parse_size("--tile", tile)
    tiling = Tiling(*tile_size, stride, top_k) if tile_size else None
    files = ImageFiles(normal_dir)
    from adacl import AnomalyDetector
    from adacl.anomalies import check_anomaly_config
    from adacl.networks.devices import resolve_device

    check_anomaly_config(config.anomalies)
    resolve_device(device.value)
    with resumable(output, resume) as checkpoints, messages(quiet):
        networks = announce(files, config, tiling, size)
        with epochs(config.training.epochs, quiet, networks) as display:
            detector = AnomalyDetector(
                config=config,
                image_size=size,
                tile=tile_size,
                stride=stride,
                top_k=top_k,
                device=device.value,
                random_state=seed,
                on_error=on_error.value,
                checkpoints=checkpoints,
                on_epoch=display,
            )
            detector.fit(normal_dir).save(output)
    if report is not None:
        with messages(quiet), interruptible([report]):
            report_fit(report, detector, output, list(files), quiet)
    if json_output:
        typer.echo(json.dumps({"model": str(output), **_summary(detector.model_)}))
    elif not quiet:
        say(f"wrote {output} ({output.stat().st_size / 1024:.0f} KiB)")


def _with_kinds(config: Config, added: list[str], dropped: list[str]) -> Config:
    weights = dict(config.anomalies.weights)
    for kind in added:
        weights[kind] = weights.get(kind, 0) or 1.0
    for kind in dropped:
        if kind not in weights:
            raise ConfigError(f"--drop {kind}: not in use; in use are {', '.join(sorted(weights))}")
        del weights[kind]
    return config.replace(anomalies__weights=weights)


def _summary(model: Any) -> dict[str, Any]:
    best = model.history.best
    return {
        "threshold": model.threshold.to_dict(),
        "training": model.training,
        "epochs": len(model.history.epochs),
        "best_epoch": best.epoch,
        "validation_auroc": best.validation_auroc,
        "kind_auroc": best.kind_auroc,
    }


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write.")
    ] = Path("demo"),
    digit: Annotated[int, typer.Option(min=0, max=9, help="The digit that is normal.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal results.")] = 0,
    quiet: QuietOption = False,
) -> None:
    """Learn one handwritten digit and find the others, in under a minute.

    The digits come with scikit-learn. They are written as folders of PNG files; a model is
    fitted on the normal ones; a report shows how well it finds the rest.
    """
    from adacl.demo import run

    with messages(quiet):
        typer.echo(run(output, digit, seed, quiet))
