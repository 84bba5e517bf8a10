"""``adacl fit``."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from adacl.cli.support import options
from adacl.cli.support.announcement import announce
from adacl.cli.support.interrupts import ResumeOption, interruptible, resumable
from adacl.cli.support.outputs import check_output
from adacl.cli.support.progress import epochs, messages, say
from adacl.cli.support.reports import ReportOption, check_report, report_fit
from adacl.config import Config
from adacl.config.hints import DEFECTS, with_hints
from adacl.config.presets import by_size, for_tiles, from_toml, parse_settings, preset_of_images
from adacl.data.folders import list_images
from adacl.data.groups import check_rule, groups_of
from adacl.data.masks import region_of_interest
from adacl.data.reading import reading_by
from adacl.data.training_set import ProbedFiles, probe_files
from adacl.data.video_words import is_video
from adacl.errors import ConfigError, DataError
from adacl.imaging.spec import check_white
from adacl.imaging.tiles import Tiling
from adacl.model.advice import advice
from adacl.model.header import ModelHeader

log = logging.getLogger("adacl")


def fit(
    normal_dir: Annotated[
        list[Path],
        typer.Argument(
            metavar="NORMAL_DIR...",
            help="Folders of normal images, or lists of them: Parquet or CSV with a column path, "
            "or text with one path per line.",
        ),
    ],
    output: options.ModelOutput,
    preset_name: Annotated[
        str,
        typer.Option(
            "--preset",
            help="Complete set of settings: auto, paper, inspect, accurate, aligned or varied. "
            "auto takes paper for tiles and for images whose shorter side has at most 64 pixels, "
            "else inspect.",
        ),
    ] = "auto",
    config_file: Annotated[
        Path | None, typer.Option("--config", help="TOML file of settings, instead of a preset.")
    ] = None,
    settings: options.Settings = None,
    epoch_count: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Passes over the images.")
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND", help="Also make this kind of anomaly, for example scar (repeatable)."
        ),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Do not make this kind of anomaly (repeatable)."),
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DEFECT",
            help="With inspect: make more anomalies that are like this kind of defect: "
            f"{', '.join(DEFECTS)} (repeatable).",
        ),
    ] = None,
    light: Annotated[
        str | None,
        typer.Option(
            help="With inspect: fixed if the brightness itself shows a defect, as in thermal "
            "images; varies if good images may be a tenth darker or brighter than those learnt.",
        ),
    ] = None,
    turned: Annotated[
        str | None,
        typer.Option(
            help="With inspect: yes if good parts lie at any angle, no if a turned part is a "
            "defect; auto, the default, decides from the images.",
        ),
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW",
            help="Resize images to this size; by default, the longer side to at most 64 pixels. "
            "inspect keeps their size, and sees large ones shrunk.",
        ),
    ] = None,
    tile: Annotated[
        str | None, typer.Option(metavar="HxW", help="Cut large images into tiles of this size.")
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(help="Pixels from one tile to the next; by default, tiles do not overlap."),
    ] = None,
    top_k: Annotated[
        int, typer.Option(help="The score of an image is the mean of its k worst tiles.")
    ] = 1,
    white_level: Annotated[
        int | None,
        typer.Option(
            metavar="VALUE",
            help="White of 16-bit images, for example 4095 for a 12-bit camera; by default, the "
            "range of the values in the training images counts.",
        ),
    ] = None,
    fpr: Annotated[
        float | None,
        typer.Option(help="Share of normal images that may be flagged; by default 0.01."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With inspect: picture with the layout of all images; its white places count, "
            "its black ones are ignored.",
        ),
    ] = None,
    group: options.Group = None,
    on_error: options.OnError = "skip",
    readers: options.Readers = None,
    resume: ResumeOption = False,
    report: ReportOption = None,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Learn from folders of normal images and write a model file."""
    check_output(output, "model", [*normal_dir, *filter(None, (config_file, mask))])
    if report is not None:
        check_report(report, [output, *normal_dir])
    if white_level is not None:
        check_white(white_level)
    look = region_of_interest(mask)
    if group is not None:
        check_rule(group)
    size = options.parse_size("--image-size", image_size)
    tile_size = options.parse_size("--tile", tile)
    tiling = Tiling(*tile_size, stride, top_k) if tile_size else None
    paths = _listed(normal_dir)
    from adacl.anomalies import check_anomaly_config
    from adacl.anomalies.local import check_local_config
    from adacl.detector_parameters import check_view
    from adacl.image_detector import ImageDetector
    from adacl.networks.devices import resolve_device

    files: ProbedFiles | None = None
    if config_file is not None:
        if preset_name != "auto":
            raise ConfigError("--config and --preset: give one of them; a file names its preset")
        config = from_toml(config_file)
    elif preset_name == "auto":
        with messages(quiet), reading_by(readers):
            files = probe_files(paths, on_error)
            config = for_tiles() if tiling else by_size(files.sizes(size))
    else:
        config = preset_of_images(preset_name)
    chosen = parse_settings(settings)
    options.check_set_once(
        chosen, {"--epochs": epoch_count, "--fpr": fpr, "--light": light, "--turned": turned}
    )
    config = config.replace(**chosen)
    config = _with_kinds(config, add or [], drop or [])
    config = with_hints(config, expect or [], light, turned)
    config = _with_values(config, training__epochs=epoch_count, threshold__fpr=fpr)
    check_anomaly_config(config.anomalies)
    check_local_config(config.local)
    check_view(config, tiling is not None, look is not None)
    resolve_device(device)
    with messages(quiet), resumable(output, resume) as checkpoints, reading_by(readers):
        files = files or probe_files(paths, on_error)
        units = len(set(groups_of(files.paths, group))) if group else len(files.paths)
        if look:
            log.info("the mask selects %.0f%% of each image", 100 * look.share)
        networks = announce(files, units, config, tiling, size)
        with epochs(config.training.epochs, quiet, networks) as display:
            detector = ImageDetector(
                config=config,
                image_size=size,
                tile=tile_size,
                stride=stride,
                top_k=top_k,
                white_level=white_level,
                mask=mask,
                device=device,
                random_state=seed,
                group=group,
                on_error=on_error,
                checkpoints=checkpoints,
                on_epoch=display,
            )
            detector.fit(files).save(output)
    if report is not None:
        with messages(quiet), interruptible([report]), reading_by(readers):
            report_fit(report, detector, output, paths, quiet)
    named = None if preset_name == "auto" else preset_name
    if named is None and config_file is None and config.preset != "inspect":
        named = config.preset
    same = _repeated(
        {
            "--preset": named,
            "--config": config_file,
            "--set": [text for text in settings or [] if not text.startswith("training.epochs=")],
            "--add": add,
            "--drop": drop,
            "--expect": expect,
            "--light": light,
            "--turned": turned,
            "--image-size": image_size,
            "--tile": tile,
            "--stride": stride,
            "--top-k": None if top_k == 1 else top_k,
            "--white-level": white_level,
            "--fpr": fpr,
            "--mask": mask,
            "--epochs": epoch_count or chosen.get("training__epochs"),
        }
    )
    verdict = advice(detector.header, None, str(output), [*map(str, normal_dir)], same=same)
    if json_output:
        summary = {**_summary(detector.header), "verdict": verdict.to_dict()}
        typer.echo(json.dumps({"model": str(output), **summary}))
    elif not quiet:
        say(f"wrote {output} ({output.stat().st_size / 1024:.0f} KiB)")
        for line in verdict.lines():
            say(line)


def _repeated(given: Mapping[str, Any]) -> list[str]:
    """Return the words of options and their values."""
    return [
        word
        for option, value in given.items()
        for each in (value if isinstance(value, list) else [value])
        if each is not None
        for word in (option, str(each))
    ]


def _listed(roots: list[Path]) -> list[Path]:
    """List the images; videos named instead are pointed to the command that takes them."""
    if named := next((path for path in roots if is_video(path) and path.is_file()), None):
        raise DataError(f"{named}: a video; learn from videos with adacl video fit")
    return list_images(roots)


def _with_values(config: Config, **values: Any) -> Config:
    """Return the configuration with the values that are not None."""
    return config.replace(**{name: value for name, value in values.items() if value is not None})


def _with_kinds(config: Config, added: list[str], dropped: list[str]) -> Config:
    if not (added or dropped):
        return config
    if config.network.output == "map":
        raise ConfigError(
            f"--add and --drop name kinds of whole images, which the preset {config.preset} does "
            "not make; use --preset paper, or --set local.fillings"
        )
    weights = dict(config.anomalies.weights)
    for kind in added:
        weights[kind] = weights.get(kind, 0) or 1.0
    for kind in dropped:
        if kind not in weights:
            raise ConfigError(f"--drop {kind}: not in use; in use are {', '.join(sorted(weights))}")
        del weights[kind]
    return config.replace(anomalies__weights=weights)


def _summary(header: ModelHeader) -> dict[str, Any]:
    best = header.history.best
    return {
        "threshold": header.threshold.to_dict(),
        "training": header.training,
        "epochs": len(header.history.epochs),
        "best_epoch": best.epoch,
        "validation_auroc": best.validation_auroc,
        "kind_auroc": best.kind_auroc,
    }
