"""``adacl bench``: the paper's experiments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from adacl.cli.support.streams import escaped
from adacl.config.presets import parse_settings
from adacl.datasets import catalogue
from adacl.errors import ConfigError

if TYPE_CHECKING:
    from adacl.protocols.image.one_vs_rest import Variant

app = typer.Typer(help="Run the experiments of the paper.")

ClassesOption = Annotated[
    str | None, typer.Option(metavar="A,B,...", help="Normal classes; by default all.")
]
DataOption = Annotated[Path | None, typer.Option("--data-dir", help="Data folder, see adacl data.")]


@app.command("one-vs-rest")
def one_vs_rest(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="mnist, fashion-mnist, cifar10, or a folder with one folder of images per class.",
        ),
    ],
    out: OutOption,
    classes: ClassesOption = None,
    seeds: SeedsOption = "0",
    preset_name: Annotated[
        str, typer.Option("--preset", help="Complete set of settings.")
    ] = "paper",
    settings: options.Settings = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="A,B,...", help="adacl, or rivals by name; see docs/evidence/paper.md."
        ),
    ] = "adacl",
    jobs: JobsOption = None,
    address: AddressOption = None,
    data_dir: DataOption = None,
    device: options.Device = "auto",
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """One class is normal, the rest are anomalies: table 1 of the paper.

    Every class, seed and method is a cell with a line of its own in DIR/cells.jsonl. Finished cells
    are not run again, so an interrupted grid is continued by the same command. DIR/results.json
    sums up all cells.
    """
    from adacl.protocols.image.one_vs_rest import Variant, paper_config, rival_variant

    changes = settings or []
    if changes and method != "adacl":
        raise ConfigError("--set: changes adacl alone; leave --method out")
    config = paper_config(source, preset_name).replace(**parse_settings(changes))
    variants = [
        Variant("+".join([preset_name, *changes]), config)
        if name == "adacl"
        else rival_variant(name)
        for name in method.split(",")
    ]
    _run(source, classes, seeds, variants, out, jobs, address, data_dir, device, json_output, quiet)


@app.command()
def ablation(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="loss, labels, intervals, augmentations or accurate."),
    ],
    out: OutOption,
    data: Annotated[
        str | None, typer.Option(help="Data set; by default that of the paper.")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--variants", metavar="A,B,...", help="Variants; by default all.")
    ] = None,
    classes: ClassesOption = None,
    seeds: SeedsOption = "0..9",
    settings: options.Settings = None,
    jobs: JobsOption = None,
    address: AddressOption = None,
    data_dir: DataOption = None,
    device: options.Device = "auto",
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Change one thing at a time: figures 7 to 10 and table 4 of the paper.

    loss: MSE against BCE with the sigmoid head, tested after every epoch. labels: continuous
    against discrete. intervals: three pairs. augmentations: each alone, and all. accurate: that
    preset without each of its parts. Cells are written as by one-vs-rest. With the same DIR and
    the same --set, the unchanged configuration is not run twice.
    """
    from adacl.protocols.image import ablations
    from adacl.protocols.image.one_vs_rest import paper_config

    chosen, changes = ablations.get(name), settings or []
    source = data or chosen.source
    config = paper_config(source, chosen.preset).replace(**parse_settings(changes))
    wanted = None if only is None else only.split(",")
    variants = ablations.variants(chosen, config, changes, wanted)
    _run(source, classes, seeds, variants, out, jobs, address, data_dir, device, json_output, quiet)


def _run(
    source: str,
    classes: str | None,
    seeds: str,
    variants: Sequence[Variant],
    out: Path,
    jobs: int | None,
    address: str | None,
    data_dir: Path | None,
    device: options.Device,
    json_output: bool,
    quiet: bool,
) -> None:
    from adacl.datasets.fetch import fetch
    from adacl.protocols import summary
    from adacl.protocols.image import data
    from adacl.protocols.image import one_vs_rest as protocol

    known = data.classes(source)
    chosen = list(known) if classes is None else list(dict.fromkeys(classes.split(",")))
    unknown = [x for x in chosen if x not in known]
    if unknown:
        raise ConfigError(f"class {unknown[0]!r}: {source} has {', '.join(known)}")
    cells = protocol.cells(source, chosen, parse_seeds(seeds), variants, data_dir, device)
    with messages(quiet):
        if source in catalogue.BENCHMARKS:
            fetch(source, data_dir)
        protocol.check_same_data(cells, out)
        run_grid(protocol.run_cell, cells, out, jobs, address, source, quiet)
        groups = summary.write(out)
    names = {variant.name for variant in variants}
    mine = [
        group
        for group in groups
        if group["data"] == data.short_name(source) and group["variant"] in names
    ]
    typer.echo(json.dumps(mine) if json_output else "\n\n".join(map(_table, mine)))


def _table(group: dict[str, Any]) -> str:
    rows = [*group["per_class"].items(), ("mean", group["mean"])]
    lines = [
        f"{escaped(group['data'])}, {group['variant']}, {group['parameters']:,} parameters",
        f"{'class':12}  AUROC %    sd  seeds",
    ]
    for name, value in rows:
        if value:
            sd = "" if value["sd"] is None else f"{value['sd']:.2f}"
            lines.append(f"{escaped(name):12}  {value['mean']:7.2f}  {sd:>4}  {value['n']:5}")
    return "\n".join(lines)
