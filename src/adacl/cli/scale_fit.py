"""``adacl scale fit``."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from adacl.cli.scale_score import AddressOption, EngineOption, WorkersOption
from adacl.cli.support import options
from adacl.cli.support.interrupts import InterruptError
from adacl.cli.support.progress import bar, messages, say
from adacl.config.presets import parse_settings, preset_of_images
from adacl.errors import ConfigError, DataError
from adacl.files import resolved
from adacl.words import plural

log = logging.getLogger("adacl")


def _check(name: str, settings: dict[str, Any]) -> None:
    """Refuse settings that no part could be learnt with, before one is tried."""
    refused = []
    presets = ("inspect", "paper") if name == "auto" else (name,)
    for each in presets:
        try:
            preset_of_images(each).replace(**settings)
        except ConfigError as error:
            refused.append(error)
    if len(refused) == len(presets):
        raise refused[0]


def fit(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PARTS",
            help="Folder with a folder of normal images for each part; or a table (CSV or Parquet) "
            "with the columns name and source and, if needed, preset and settings.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="MODELS", help="Folder for the models.")],
    preset_name: Annotated[
        str, typer.Option("--preset", help="As for adacl fit, for parts without one in the table.")
    ] = "auto",
    settings: options.Settings = None,
    seed: options.Seed = 0,
    engine: EngineOption = "local",
    address: AddressOption = None,
    workers: WorkersOption = None,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Learn a model for each part, each on one core.

    Each part gets a model file and an exported file. Their names end in a hash of the images, the
    settings and the version, so the same command continues after an interruption and does not
    learn the same model again. MODELS/index.html, models.csv and models.parquet list all models;
    those that need attention come first. A part that fails is tried twice, and listed with the
    reason.
    """
    from adacl.scale.engines import Engine
    from adacl.scale.fleet import TABLE
    from adacl.scale.fleet_fit import fit_parts, records_in
    from adacl.scale.fleet_parts import parts_of
    from adacl.scale.fleet_table import PAGE, PARQUET, write_tables

    on = Engine(engine, workers, address)
    if resolved(source) in {resolved(out / name) for name in (TABLE, PARQUET)}:
        raise ConfigError(
            f"{source}: the table of all models would replace it; name another folder (--out)"
        )
    _check(preset_name, parse_settings(settings))
    parts = parts_of(source, preset_name, tuple(settings or ()), out)
    failed = done = kept = 0
    with messages(quiet), bar("learning", len(parts), quiet) as show:
        log.info("%s", plural(len(parts), "part"))
        show(done)
        try:
            for record in fit_parts(parts, out, seed, on):
                done += 1
                show(done)
                failed += record["grade"] == "failed"
                kept += "kept" in record
                there = " (was there)" if "kept" in record else ""
                log.info("%s: %s%s. %s", record["name"], record["grade"], there, record["verdict"])
        except KeyboardInterrupt as error:
            raise InterruptError("interrupted; repeat the same command to continue") from error
        finally:
            records = records_in(out)
            if records:
                write_tables(out, records)
    if json_output:
        counts = {"parts": len(parts), "kept": kept, "failed": failed}
        typer.echo(json.dumps({"models": str(out), **counts}))
    elif not quiet:
        models = f"{done - failed} of {plural(len(parts), 'part')} have a model"
        say(f"{models}, {kept} were there; see {out / PAGE}")
    if failed:
        raise DataError(f"{failed} of {len(parts)} parts failed; {out / PAGE} has the reasons")
