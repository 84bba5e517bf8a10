"""The command line. Each command imports what it needs, so that ``--help`` answers at once."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import re
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from adacl._version import __version__
from adacl.cli import (
    bench_image,
    bench_paper,
    bench_video,
    calibrate,
    data,
    demo,
    doctor,
    evaluate,
    explain,
    export,
    fit,
    info,
    log,
    scale,
    scale_fit,
    scale_score,
    score,
    serve,
    video,
    video_calibrate,
    video_evaluate,
    video_explain,
    video_fit,
    video_score,
)
from adacl.cli.support.interrupts import InterruptError, end_on_sigterm
from adacl.cli.support.progress import messages
from adacl.cli.support.streams import CLOSED_PIPE, abandon, escaped, open_streams
from adacl.errors import AdaclError, is_out_of_memory, missing_extra

INTERRUPTED = InterruptError.exit_code

app = typer.Typer(
    help="Learn what normal images look like, and find the ones that are not.",
    epilog="Exit codes: 0 done, 1 internal error, 2 usage, 3 data, 4 model file, 5 training, "
    "6 a missing package, 130 interrupted (Ctrl-C, SIGTERM), 141 the reader of the output is gone.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("demo")(demo.demo)
app.command("fit")(fit.fit)
app.command("score")(score.score)
app.command("explain")(explain.explain)
app.command("evaluate")(evaluate.evaluate)
app.command("calibrate")(calibrate.calibrate)
app.command("export")(export.export)
app.command("serve")(serve.serve)
app.command("info")(info.info)
app.command("log")(log.log)
app.command("doctor")(doctor.doctor)
video.app.command("fit")(video_fit.fit)
video.app.command("score")(video_score.score)
video.app.command("evaluate")(video_evaluate.evaluate)
video.app.command("calibrate")(video_calibrate.calibrate)
video.app.command("explain")(video_explain.explain)
app.add_typer(video.app, name="video")
app.add_typer(data.app, name="data")
scale.app.command("score")(scale_score.score)
scale.app.command("verify")(scale_score.verify)
scale.app.command("fit")(scale_fit.fit)
app.add_typer(scale.app, name="scale")
bench_image.app.command("ucsd")(bench_video.ucsd)
bench_image.app.command("avenue")(bench_video.avenue)
bench_image.app.command("paper")(bench_paper.paper)
bench_image.app.command("report")(bench_paper.report)
app.add_typer(bench_image.app, name="bench")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"adacl {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@functools.cache
def _command() -> Any:
    """Return all commands; the app itself would build them anew at each call."""
    return typer.main.get_command(app)


def main() -> None:
    """Run the command line and leave with its exit code.

    Threads that wait for each other sleep, unless the environment says otherwise: beside other work
    a waiting thread that keeps its processor busy holds up the one that it waits for.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    open_streams()
    end_on_sigterm()
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        with messages(quiet=True):  # what a command says before it shows more
            _look_around()
            code = _command()(standalone_mode=False, prog_name="adacl")
        sys.stdout.flush()
        if code == INTERRUPTED:
            _fail("interrupted", code)
    except AdaclError as error:
        code = _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("adacl"):
            raise
        found = missing_extra(error)
        code = _fail(str(found), found.exit_code)
    except BrokenPipeError:
        code = _closed_pipe()
    except SystemExit as leaving:
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        code = _closed_pipe()
    except KeyboardInterrupt:
        code = _fail("interrupted", INTERRUPTED)
    except Exception as error:
        code = _unexpected(error)
    atexit.register(_ignore_signals)
    sys.exit(code or 0)


def _look_around() -> None:
    """Warn if there is no current folder: libraries of PyTorch end the process then."""
    try:
        Path.cwd()
    except OSError:
        logging.getLogger("adacl").warning(
            "the current folder is no longer there, and PyTorch may not compute without one; "
            "change to another (cd)"
        )


def _unexpected(error: Exception) -> int:
    if hasattr(error, "format_message"):
        said = error.format_message()
        closed = re.search(r"(?:^|': )\w+ '(.*)' is not readable", said, re.DOTALL)
        if closed:  # no error of usage, whatever Typer says
            return _fail(f"{closed[1]}: cannot be read (Permission denied)", 3)
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "adacl"
        message = " ".join(said.split())
        return _fail(f"{message.rstrip('.')} (see {command} --help)", 2)
    if isinstance(error, OSError):
        abandon(sys.stdout)
        return _fail(f"{error.filename or 'output'}: {error.strerror or error}", 3)
    if os.environ.get("ADACL_DEBUG"):
        raise error
    if is_out_of_memory(error):
        return _fail("not enough memory; try again when more is free, or with smaller images", 3)
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return _fail(f"internal error, {reason} (ADACL_DEBUG=1 shows where; please report it)", 1)


def _ignore_signals() -> None:
    """Let no further signal disturb the end, as `timeout` sends two: the exit code is settled."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _fail(message: str, code: int) -> int:
    _ignore_signals()
    try:
        print(f"adacl: {escaped(message)}", file=sys.stderr)
    except OSError:
        abandon(sys.stderr)
    return code


def _closed_pipe() -> int:
    abandon(sys.stdout)
    return CLOSED_PIPE
