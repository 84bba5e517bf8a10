"""``adacl bench paper`` and ``adacl bench report``: all of the paper, and one page of it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adacl.cli.bench_image import DataOption
from adacl.cli.support import options
from adacl.cli.support.grids import AddressOption, JobsOption, OutOption, run_grid
from adacl.cli.support.progress import about, messages
from adacl.datasets import catalogue
from adacl.errors import MissingDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adacl.protocols.paper.plan import Step

log = logging.getLogger("adacl")


def paper(
    out: OutOption,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Data folder, see adacl data; UCSDped2 lies in it, too."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One class and one seed each: minutes instead of hours.")
    ] = False,
    jobs: JobsOption = None,
    address: AddressOption = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Run every experiment of the paper, and write all tables and figures as one page.

    Tables 1 to 3 come first, with five seeds, then the analyses (figures 7 to 10, table 4), with
    ten. The time is estimated before each step. Finished cells are not run again, so the same
    command continues after Ctrl-C or a crash, and after --quick it runs the rest.
    """
    from adacl.data.reading import processors
    from adacl.datasets.fetch import fetch
    from adacl.protocols import summary
    from adacl.protocols.paper import plan
    from adacl.protocols.paper.report import VIDEO, write_report
    from adacl.protocols.video import tables

    with messages(quiet):
        for name in catalogue.BENCHMARKS:
            fetch(name, data)
        root = catalogue.data_dir(data).resolve()
        frames = _training_frames(root)
        steps = plan.steps(data, frames and root, out.resolve(), quick, device)
        _tell(steps, plan.seconds_left(steps, jobs or processors()))
        for step in steps:
            if step.missing:
                run_grid(step.run, step.cells, step.folder, jobs, address, step.title, quiet)
                left = sum(plan.seconds_left(steps, jobs or processors()))
                log.info("%s: done%s", step.title, f"; {about(left)} left" if left else "")
        summary.write(out)
        if frames:
            tables.write(out / VIDEO)
        log.info("drawing tables and figures; figures 5 and 6 take four more trainings")
        typer.echo(write_report(out, data, frames)[-1])


def _training_frames(root: Path) -> Path | None:
    """Return the frames of Ped2's first training clip, or None if Ped2 is not there."""
    from adacl.protocols.video import footage

    try:
        return Path(footage.load("ucsd-ped2", root).folds[0].train[0].source)
    except MissingDataError as error:
        log.warning("table 3 is left out: %s", error)
        return None


def _tell(steps: Sequence[Step], seconds: Sequence[float]) -> None:
    for step, left in zip(steps, seconds, strict=True):
        todo = f"{step.missing} of {len(step.cells)} cells to do, {about(left)}"
        log.info("%s: %s", step.title, todo if step.missing else "done")
    log.info("in all %s; after Ctrl-C, repeat the same command to continue", about(sum(seconds)))


def report(
    out: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of paper, one-vs-rest, ablation.")
    ],
    data_dir: DataOption = None,
    video: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of ucsd; by default DIR/video.")
    ] = None,
    frames: Annotated[
        Path | None, typer.Option(help="Video frames, for the video tile of figure 4.")
    ] = None,
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Figures 4 to 6, which need the data.")
    ] = True,
    note: Annotated[
        list[str] | None, typer.Option(help="A sentence for the report's head (repeatable).")
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Write the paper's tables and figures, ours beside the printed ones, as one page.

    The page is DIR/report/report.html; beside it are the tables as Markdown, CSV and LaTeX, and the
    figures as PNG and SVG.
    """
    from adacl.protocols.paper.report import write_report
    from adacl.scale.grid import read_cells

    if not read_cells(out):
        raise MissingDataError(f"{out}: has no cells; run adacl bench one-vs-rest --out {out}")
    with messages(quiet):
        written = write_report(out, data_dir, frames, images, note or [], video)
    typer.echo(written[-1])
