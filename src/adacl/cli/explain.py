"""``adacl explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import typer

from adacl.cli.support import options
from adacl.cli.support.heatmaps import (
    ENDING,
    check_outside,
    free_name,
    has_foreign_values,
    is_ours,
    layout,
    mark_of,
    tell_beside,
    values_beside,
    write_picture,
)
from adacl.cli.support.opened import check_skipped, open_scorer
from adacl.cli.support.outputs import check_folder
from adacl.cli.support.progress import count, messages
from adacl.cli.support.streams import escaped
from adacl.data.folders import list_images, without_repeats
from adacl.data.lists import is_list
from adacl.data.reading import Skipped
from adacl.errors import ConfigError
from adacl.files import atomic_file, check_writable, resolved

if TYPE_CHECKING:
    from adacl.explain.picture import Shown


def explain(
    model: options.Model,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="Images, folders of images, and lists of images."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="PNG file to write or, for several images, folder; by default "
            f"NAME{ENDING} in the current folder.",
        ),
    ] = None,
    method: Annotated[
        Literal["occlusion", "gradient"],
        typer.Option(
            help="How to make the map: cover parts of the image, or follow the gradient (PyTorch)."
        ),
    ] = "occlusion",
    npy: Annotated[
        bool,
        typer.Option("--npy", help="Also write the values, as a NumPy file beside the picture."),
    ] = False,
    threshold: options.Threshold = None,
    device: options.Device = "auto",
    backend: options.Backend = "onnxruntime",
    on_error: options.OnError = "skip",
    quiet: options.Quiet = False,
) -> None:
    """Show why an image was flagged: the image beside a heat map of what is anomalous in it.

    Yellow is above the usual, orange at the threshold, red far above; see docs/how-to/explain.md.
    """
    from adacl.explain.picture import Shown, explained

    with messages(quiet):
        scorer, in_use, _ = open_scorer(model, device, backend, on_error, threshold)
        paths = list_images(without_repeats(images))
        targets = _targets(model, images, paths, output, npy)
        for path, target in targets.items():
            if tell_beside(path, target):
                break
        skipped: list[Skipped] = []
        maps = scorer.explain_files(paths, skipped, method)
        scale = scorer.header.map_scale
        for score, anomaly_map, image in count(maps, "maps", len(paths), quiet):
            mark, target = mark_of(score.path), targets[score.path]
            if target != output:
                target = free_name(target, mark, npy)
            written = "no map is written"
            name = escaped(score.path.name)
            shown = Shown(name, image, anomaly_map, score.raw, in_use.value)
            if write_picture(target, explained(shown, scale), mark):
                written = f"wrote {target}"
                if npy:
                    with atomic_file(values_beside(target)) as file:
                        np.save(file, anomaly_map)
            typer.echo(escaped(f"{_verdict(score.path, shown)}; {written}"))
        check_skipped(skipped, len(paths), len(paths) - len(skipped))


def _targets(
    model: Path, roots: list[Path], paths: list[Path], output: Path | None, npy: bool
) -> dict[Path, Path]:
    """Return the path to write for the heat map of each image."""
    alone = len(paths) == 1 and not (roots[0].is_dir() or is_list(roots[0]))
    if output is None or output.is_dir() or not alone:
        if output is not None:
            check_folder(output, "maps")
        folder = output or Path()
        check_outside(folder, roots)
        target_of = layout(roots, folder)
        return {path: target_of(path) for path in paths}
    if output.suffix.lower() != ".png":
        raise ConfigError(f"{output}: is no folder, and a picture's name ends in .png")
    check_writable(output)
    if resolved(output) in {resolved(path) for path in (model, *paths)}:
        raise ConfigError(f"{output}: is the model or the image; name another output")
    if output.exists() and not is_ours(output):
        raise ConfigError(
            f"{output}: is there, and is no picture that adacl wrote; name another output, or "
            "remove it"
        )
    if npy and has_foreign_values(output):
        raise ConfigError(
            f"{values_beside(output)}: is there, and is no map that explain wrote beside "
            f"{output.name}; name another output, or remove it"
        )
    return {paths[0]: output}


def _verdict(path: Path, shown: Shown) -> str:
    """Return the label and, for an anomalous image, the place with the highest value."""
    from adacl.explain.picture import peak_of

    limit = f"(threshold {shown.threshold:.4f})"
    if not shown.anomalous:
        return f"{path}: {shown.score} normal {limit}"
    peak, (height, width) = peak_of(shown.anomaly_map), shown.anomaly_map.shape
    place = "no place stands out"
    if peak:
        place = f"most at row {peak[0]}, column {peak[1]} of {height}x{width}"
    return f"{path}: {shown.score} ANOMALOUS {limit}, {place}"
