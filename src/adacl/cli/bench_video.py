"""``adacl bench ucsd`` and ``adacl bench avenue``: the video protocols."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from adacl.cli.support import options
from adacl.cli.support.grids import (
    AddressOption,
    JobsOption,
    OutOption,
    SeedsOption,
    parse_seeds,
    run_grid,
)
from adacl.cli.support.progress import messages

FootageOption = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="Folder of the unpacked archive.")
]
VariantsOption = Annotated[
    str,
    typer.Option(
        metavar="A,B,...",
        help="default, overlap, settings joined by +, and rivals; see docs/evidence/video.md.",
    ),
]


def ucsd(
    subset: Annotated[Literal["ped1", "ped2"], typer.Argument(help="Scene.")],
    data: FootageOption,
    out: OutOption,
    protocol: Annotated[
        Literal["standard", "two-fold"],
        typer.Option(help="standard: learn from Train; two-fold: from half of the test clips."),
    ] = "standard",
    seeds: SeedsOption = "0..4",
    variants: VariantsOption = "default,overlap",
    jobs: JobsOption = None,
    address: AddressOption = None,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """UCSD pedestrians, frame level: table 3 of the paper.

    Every variant and seed is a cell with a line of its own in DIR/cells.jsonl; finished cells are
    not run again. DIR/table3.md and curves of each clip are written from all of them. Whether the
    frames are the published ones is checked by their SHA-256.
    """
    name = f"ucsd-{subset}" + ("-two-fold" if protocol == "two-fold" else "")
    _run(name, data, out, seeds, variants, jobs, address, json_output, quiet)


def avenue(
    data: FootageOption,
    out: OutOption,
    seeds: SeedsOption = "0..4",
    variants: VariantsOption = "default,overlap",
    jobs: JobsOption = None,
    address: AddressOption = None,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """CUHK Avenue, frame level, with the clips that are there.

    DIR has train and test with videos, and test_mask with a folder of masks for each test video.
    """
    _run("avenue", data, out, seeds, variants, jobs, address, json_output, quiet)


def _run(
    name: str,
    data: Path,
    out: Path,
    seeds: str,
    variants: str,
    jobs: int | None,
    address: str | None,
    json_output: bool,
    quiet: bool,
) -> None:
    from adacl.protocols.video import footage, runs, tables

    cells = runs.cells(
        name, data.resolve(), variants.split(","), parse_seeds(seeds), out.resolve() / "checkpoints"
    )
    with messages(quiet):
        footage.load(name, data)
        run_grid(runs.run_cell, cells, out, jobs, address, name, quiet)
        groups = tables.write(out)
    if json_output:
        typer.echo(json.dumps([group for group in groups if group["data"] == name]))
    else:
        typer.echo((out / "table3.md").read_text(encoding="utf-8"))
