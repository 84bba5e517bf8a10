"""``adacl scale score`` and ``adacl scale verify``."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from adacl.cli.support import options
from adacl.cli.support.interrupts import InterruptError
from adacl.cli.support.progress import bar, messages, say
from adacl.cli.support.reports import ReportOption, check_report, check_shown
from adacl.errors import ConfigError, DataError
from adacl.words import plural

log = logging.getLogger("adacl")

EngineOption = Annotated[
    Literal["local", "ray"], typer.Option(help="Processes of this machine, or Ray.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="Ray cluster to use; by default Ray starts on this machine."
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, help="Processes at a time; by default one per processor."),
]


def score(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL SOURCE...",
            help="An exported model, then folders, patterns, lists, tar files and images: paths, "
            "or URLs such as s3://bucket/folder. With --fleet only the sources.",
        ),
    ],
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Folder for the results: a path or a URL.")
    ],
    fleet: Annotated[
        Path | None,
        typer.Option(
            metavar="MODELS",
            help="Folder that adacl scale fit wrote. The folder of an image decides which of its "
            "models scores the image.",
        ),
    ] = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    workers: WorkersOption = None,
    shard_images: Annotated[
        int, typer.Option(min=1, help="Most images in a unit of work.")
    ] = 20_000,
    shard_mib: Annotated[
        int, typer.Option(min=1, metavar="MIB", help="Largest size of a unit of work.")
    ] = 256,
    heatmaps: Annotated[
        bool,
        typer.Option(
            "--heatmaps", help="Draw a heat map of each anomalous image, in DIR/heatmaps."
        ),
    ] = False,
    threshold: options.Threshold = None,
    report: ReportOption = None,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Score any number of images, each exactly once, into Parquet files.

    The images are listed once, and scored in units of work. The results of a unit appear complete
    or not at all, so the same command continues after any interruption. An image that cannot be
    read gets a row with the reason. pandas and DuckDB read DIR/parts; DIR/_SUCCESS is written when
    every image has its row.
    """
    from adacl.scale.engines import Engine
    from adacl.scale.scoring import ScoringRun
    from adacl.scale.sources import TARS
    from adacl.scale.storage import absolute

    on = Engine(engine, workers, address)
    if fleet is None and len(names) < 2:
        raise ConfigError("name a model and what to score: adacl scale score MODEL SOURCE...")
    model, sources = (fleet, names) if fleet else (Path(names[0]), names[1:])
    if models := [name for name in sources if name.endswith((".onnx", ".adacl"))]:
        raise ConfigError(f"{models[0]}: is a model, where images are asked for")
    if report is not None:
        check_report(report, [model])
        if fleet:
            raise ConfigError("--report: is about one model; score a part with its own model")
        for name in map(absolute, sources):  # tells of these before they are listed
            check_shown(name, Path(name).suffix.lower() in TARS)
    with messages(quiet):
        run = ScoringRun(
            out, model, sources, threshold, bool(fleet), shard_images, shard_mib << 20, heatmaps
        )
        parts = run.folder.url("parts")
        try:
            with bar("listing", None, quiet) as show:
                for listing in run.listed():
                    show(listing.entries)
            if report is not None:
                for entry in run.entries():
                    check_shown(entry.path, entry.kind == "tar")
            files, units = plural(listing.entries, "file"), plural(listing.shards, "unit")
            log.info("%s to score, in %s of work", files, units)
            done = run.done().entries
            if done == listing.entries:
                log.info("all are scored already; score files that came later into another folder")
            elif done:
                log.info("%d of them are scored already", done)
            with bar("scoring", listing.entries, quiet) as show:
                show(done)
                for counts in run.score(on):
                    done += counts.entries
                    show(done)
            counts = run.finish()
            if not counts.scored:
                images = plural(counts.images, "image")
                raise DataError(f"none of {images} was scored; {parts} has the reasons")
        except KeyboardInterrupt as error:
            raise InterruptError("interrupted; repeat the same command to continue") from error
        if counts.remarked:
            log.warning(
                "%d of %d images differ from those learnt; the column remark says how",
                counts.remarked,
                counts.images,
            )
        if report is not None:
            from adacl.cli.support.reports import report_run

            report_run(report, run, counts.failed, quiet)
    if json_output:
        typer.echo(json.dumps({"out": run.folder.path, **vars(counts)}))
    else:
        say(
            f"{plural(counts.images, 'image')}: {counts.anomalous} anomalous, "
            f"{counts.scored - counts.anomalous} normal, {counts.failed} failed; in {parts}"
        )


def verify(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="Folder that adacl scale score wrote to.")
    ],
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check that every image has exactly one result, from the files in the folder alone.

    The manifest and the results are compared row by row. The exit code is 3 if a result is missing,
    there twice, damaged or foreign.
    """
    from adacl.scale.parts import Counts
    from adacl.scale.storage import Folder
    from adacl.scale.verification import verify as check

    counts, wrong = Counts(), 0
    with messages(quiet), bar("checking", None, quiet) as show:
        for checked in check(Folder(folder)):
            counts += checked.counts
            show(counts.images)
            if checked.wrong:
                wrong += 1
                log.warning("unit of work %s: %s", checked.shard, checked.wrong)
    if wrong:
        units = plural(wrong, "unit")
        raise DataError(f"{folder}: {units} of work not right; adacl scale score mends that")
    if json_output:
        typer.echo(json.dumps(vars(counts)))
    else:
        images = plural(counts.images, "image")
        say(f"{images}, each with one result: {counts.failed} failed")
