"""``adacl video fit``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from adacl.cli.support import options
from adacl.cli.support.interrupts import ResumeOption, resumable
from adacl.cli.support.outputs import check_output
from adacl.cli.support.progress import epochs, messages, say
from adacl.cli.video import FrameRateOption, clips_of
from adacl.config import Config
from adacl.config.presets import from_tree, parse_settings, read_toml
from adacl.config.sections import build
from adacl.config.sections import settings as section_settings
from adacl.errors import ConfigError


def fit(
    normal: Annotated[
        list[str],
        typer.Argument(metavar="NORMAL...", help="Videos, folders of frames, or folders of those."),
    ],
    output: options.ModelOutput,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="TOML file of settings, with [video]."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.NAME=VALUE",
            help="Change one setting, for example video.stride=15 or training.epochs=20 "
            "(repeatable).",
        ),
    ] = None,
    epoch_count: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Passes over the tiles, at most.")
    ] = None,
    overlap: Annotated[
        bool, typer.Option("--overlap", help="Score overlapping tiles: slower, more careful.")
    ] = False,
    false_alarms: Annotated[
        float, typer.Option(help="False alarms an hour that the threshold may give.")
    ] = 1.0,
    frame_rate: FrameRateOption = None,
    seed: options.Seed = 0,
    resume: ResumeOption = False,
    device: options.Device = "auto",
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Learn from normal footage of one fixed camera and write a model file.

    The network learns from the first four fifths of each clip; the last fifth sets the threshold.
    Tiles in which nothing moves are skipped. See docs/reference/settings.md for the settings.
    """
    check_output(output, "model", [*map(Path, normal), *filter(None, [config_file])])
    from adacl.video.advice import after_fit
    from adacl.video.config import VideoConfig
    from adacl.video.detector import VideoAnomalyDetector

    given = read_toml(config_file) if config_file else {}
    chosen = parse_settings(settings)
    options.check_set_once(chosen, {"--epochs": epoch_count})
    _check_sections([*given, *(address.partition("__")[0] for address in chosen)])
    tree = given.pop("video", {})
    if not isinstance(tree, dict):
        raise ConfigError(f"{config_file}: video: need a table, [video]")
    tree |= {k.removeprefix("video__"): v for k, v in chosen.items() if k.startswith("video__")}
    if overlap:
        if "stride" in tree:
            raise ConfigError("--overlap and video.stride: give one of them")
        tree["stride"] = build(VideoConfig, _with_stride(tree), "video.").tile // 2
    video = build(VideoConfig, _with_stride(tree), "video.")
    config = from_tree(given, "video" if video.frames == 3 else "paper").replace(
        **{k: v for k, v in chosen.items() if not k.startswith("video__")}
    )
    if epoch_count is not None:
        config = config.replace(training__epochs=epoch_count)
    with (
        messages(quiet),
        resumable(output, resume) as checkpoints,
        epochs(config.training.epochs, quiet, networks=1) as display,
    ):
        detector = VideoAnomalyDetector(
            video,
            config,
            false_alarms_per_hour=false_alarms,
            device=device,
            random_state=seed,
            checkpoints=checkpoints,
            on_epoch=display,
        )
        detector.fit(clips_of(normal, frame_rate)).save(output)
    model, header = detector.model_, detector.model_.tiles.header
    area = header.history.best.validation_auroc
    verdict = after_fit(area, model.alarm, str(output))
    if json_output:
        summary = {
            "model": str(output),
            **model.describe(),
            "training": header.training,
            "verdict": verdict.to_dict(),
        }
        typer.echo(json.dumps(summary))
    elif not quiet:
        say(f"wrote {output} ({output.stat().st_size / 1024:.0f} KiB)")
        for line in verdict.lines():
            say(line)


def _check_sections(names: Iterable[str]) -> None:
    known = sorted({"video", *section_settings(Config)})
    for name in names:
        if name not in known:
            raise ConfigError(f"{name}: unknown setting; known are {', '.join(known)}")


def _with_stride(tree: dict[str, Any]) -> dict[str, Any]:
    """Let the stride follow a tile size that is given alone."""
    return {"stride": tree["tile"]} | tree if "tile" in tree else tree
