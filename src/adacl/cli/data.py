"""``adacl data``: list, fetch, verify and export the benchmark data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from adacl.cli.support import options
from adacl.cli.support.progress import Bars, console, messages
from adacl.datasets import catalogue
from adacl.errors import ConfigError, DataError

app = typer.Typer(help="List, fetch, verify and export MNIST, Fashion-MNIST and CIFAR-10.")

NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME...]", help="Data sets; by default all.")
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Data folder; by default that of ADACL_DATA, or the cache folder."
    ),
]


@app.command("list")
def list_data(data_dir: DataDirOption = None, json_output: options.Json = False) -> None:
    """List the data sets, their classes, and whether their files are on this machine."""
    folder = catalogue.data_dir(data_dir)
    rows: list[dict[str, Any]] = []
    for benchmark in catalogue.BENCHMARKS.values():
        rows.append(
            {
                "name": benchmark.name,
                "title": benchmark.title,
                "shape": list(benchmark.shape),
                "classes": list(benchmark.classes),
                "files": len(benchmark.all_files),
                "files_present": catalogue.count_present(benchmark, folder),
                "data_dir": str(folder),
            }
        )
    if json_output:
        typer.echo(json.dumps(rows))
        return
    typer.echo(f"data folder: {folder}")
    for row in rows:
        typer.echo(f"{row['name']:15}{row['files_present']} of {row['files']} files")
        typer.echo(f"{'':15}classes: {', '.join(row['classes'])}")


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Data sets.")],
    data_dir: DataDirOption = None,
    quiet: options.Quiet = False,
) -> None:
    """Download missing files from the official places, and verify them."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn

    from adacl.datasets.fetch import fetch as download

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    hidden = quiet or not console.is_terminal
    with messages(quiet), Bars(*columns, console=console, disable=hidden) as progress:
        tasks = {}

        def show(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = progress.add_task(file, total=total)
            progress.update(tasks[file], completed=done, total=total)

        for name in names:
            for path in download(name, data_dir, show):
                typer.echo(path)


@app.command()
def verify(
    names: NamesArgument = None, data_dir: DataDirOption = None, json_output: options.Json = False
) -> None:
    """Compare the files on this machine with the official SHA-256 digests.

    States: official; different (readable, but not the official pixels, such as a lossy copy);
    damaged; missing. The exit code is 3 if any file is damaged or missing.
    """
    rows = [
        {"name": name, **row}
        for name in names or catalogue.BENCHMARKS
        for row in catalogue.verify(name, data_dir)
    ]
    if json_output:
        typer.echo(json.dumps(rows))
    else:
        for row in rows:
            typer.echo(f"{row['name']:15}{row['state']:11}{row['path'] or row['file']}")
    bad = [row["file"] for row in rows if row["state"] in {"damaged", "missing"}]
    if bad:
        raise DataError(f"{len(bad)} file(s) damaged or missing; run adacl data fetch")


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="Data set.")],
    normal: Annotated[str, typer.Argument(metavar="CLASS", help="The class that is normal.")],
    output: Annotated[Path, typer.Argument(metavar="DIR", help="New folder to write.")],
    data_dir: DataDirOption = None,
) -> None:
    """Write one class against the rest as folders of PNG files.

    train/ holds the normal class of the training split; test/normal and test/abnormal hold
    the whole test split. Files that are missing are downloaded first.
    """
    from adacl.datasets.as_folders import export_one_vs_rest
    from adacl.datasets.fetch import fetch as download

    benchmark = catalogue.get(name)
    if normal not in benchmark.classes:
        raise ConfigError(f"class {normal!r}: {name} has {', '.join(benchmark.classes)}")
    if output.exists():
        raise DataError(f"{output}: is there already; name a new folder")
    download(name, data_dir)
    counts = export_one_vs_rest(name, benchmark.classes.index(normal), output, data_dir)
    for folder, count in counts.items():
        typer.echo(f"{count:6} images in {folder}")
