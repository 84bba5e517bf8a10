"""``adacl bench``: the paper's experiments."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from adacl.cli.options import Device, DeviceOption, JsonOption, QuietOption
from adacl.data import benchmarks
from adacl.errors import ConfigError, DataError
from adacl.files import atomic_file
from adacl.progress import console, count, messages

__all__ = ["app"]

log = logging.getLogger("adacl")

app = typer.Typer(help="Run the experiments of the paper.")


@app.callback()
def _bench() -> None:
    pass


@app.command("one-vs-rest")
def one_vs_rest(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="mnist, fashion-mnist, cifar10.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")],
    classes: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Normal classes; by default all.")
    ] = None,
    seeds: Annotated[str, typer.Option(metavar="A..B", help="Seeds, as 0..4 or 0,2.")] = "0",
    preset_name: Annotated[str, typer.Option("--preset", help="Named configuration.")] = "paper",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes at a time; by default one a core.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Data folder, see adacl data.")
    ] = None,
    device: DeviceOption = Device.auto,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """One class is normal, the rest are anomalies: table 1 of the paper.

    Every class and seed is a cell with a file of its own in DIR/cells. Finished cells are not run
    again, so an interrupted grid is continued by the same command. DIR/DATASET.json sums up.
    """
    from adacl.data.fetch import fetch
    from adacl.protocols import grid
    from adacl.protocols import one_vs_rest as protocol

    benchmark = benchmarks.get(name)
    chosen = classes.split(",") if classes else list(benchmark.classes)
    unknown = [x for x in chosen if x not in benchmark.classes]
    if unknown:
        raise ConfigError(f"class {unknown[0]!r}: {name} has {', '.join(benchmark.classes)}")
    protocol.configuration(name, preset_name)
    cells = protocol.cells(name, chosen, _seeds(seeds), preset_name, data_dir, device.value)
    with messages(quiet):
        fetch(name, data_dir)
        try:
            missing = grid.missing_cells(cells, out)
            done = grid.run_cells(protocol.run_cell, cells, out, jobs or os.cpu_count() or 1)
            for cell in count(done, name, len(missing), quiet):
                log.info("done: %s", cell)
        except KeyboardInterrupt:
            console.print("interrupted; the same command goes on from here")
            raise
        except OSError as error:
            raise DataError(f"{out}: cannot be written ({error.strerror or error})") from error
    results = grid.read_cells(cells, out)
    summary = {
        "data": name,
        "preset": preset_name,
        **protocol.summarise(results, chosen),
    }
    with atomic_file(out / f"{name}.json", "w") as file:
        json.dump(summary, file, indent=1)
    typer.echo(json.dumps(summary) if json_output else _table(summary))


def _seeds(text: str) -> list[int]:
    try:
        first, dots, last = text.partition("..")
        seeds = range(int(first), int(last) + 1) if dots else map(int, text.split(","))
        found = sorted(set(seeds))
    except ValueError:
        found = []
    if not found or found[0] < 0:
        raise typer.BadParameter(f"{text!r}: need seeds as 0..4 or 0,2")
    return found


def _table(summary: dict[str, Any]) -> str:
    rows = [*summary["per_class"].items(), ("mean", summary["mean"])]
    lines = [f"{'class':12}  AUROC %    sd  seeds"]
    for name, value in rows:
        if value:
            sd = "" if value["sd"] is None else f"{value['sd']:.2f}"
            lines.append(f"{name:12}  {value['mean']:7.2f}  {sd:>4}  {value['n']:5}")
    return "\n".join(lines)
