"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from adacl.cli.support.progress import messages
from adacl.data import reading
from adacl.errors import ConfigError
from adacl.words import remark_on_threshold

log = logging.getLogger("adacl")

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Model file.")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.")]
Backend = Annotated[
    Literal["onnxruntime", "openvino"], typer.Option(help="What runs an exported file.")
]
OnError = Annotated[reading.OnError, typer.Option(help="Skip broken images, or fail at the first.")]
Readers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Threads that read images ahead; by default one per processor. Each has up to "
        f"{reading.AHEAD} decoded images in memory, or 16 small ones with an exported file.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def _remarked(threshold: float | None) -> float | None:
    """Pass on a threshold given by hand, and warn if it lies where no score does."""
    if threshold is not None and (remark := remark_on_threshold("--threshold", threshold)):
        with messages(quiet=True):
            log.warning("%s", remark)
    return threshold


Threshold = Annotated[
    float | None,
    typer.Option(
        callback=_remarked, help="Use this threshold, on scores in [0, 1], instead of the model's."
    ),
]
ModelOutput = Annotated[
    Path, typer.Option("--output", "-o", metavar="MODEL", help="File to write.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.NAME=VALUE", help="Change one setting (repeatable)."),
]
Group = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help="Which images belong together, for example those of one part: folder, or a regular "
        "expression for file names, such as 'part([0-9]+)'. A group counts once for the threshold.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Equal seeds give equal models.")]

ALSO_SET = {
    "--epochs": ("training__epochs",),
    "--fpr": ("threshold__fpr",),
    "--light": (
        "training__light",
        "training__light_loss",
        "training__tint",
        "network__local_contrast",
    ),
    "--turned": ("training__turned",),
}
"""Options to the settings that they decide."""


def check_set_once(chosen: Collection[str], given: Mapping[str, object]) -> None:
    """Check that no setting is set both by ``--set`` and by an option of its own.

    Parameters
    ----------
    chosen
        Settings given by ``--set``, as ``section__name``.
    given
        Options in ``ALSO_SET`` to their values, None where they are not given.

    Raises
    ------
    ConfigError
        If one is.
    """
    for option, value in given.items():
        for address in ALSO_SET[option]:
            if value is not None and address in chosen:
                name = address.replace("__", ".")
                raise ConfigError(f"{option} and --set {name}: give one of them")


def parse_size(option: str, text: str | None) -> tuple[int, int] | None:
    """Read HEIGHTxWIDTH, or one number for both, from the text given for an option.

    Raises
    ------
    typer.BadParameter
        If it is neither.
    """
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) >= 8 for part in parts):
        words = f"{text!r}: need HEIGHTxWIDTH in pixels, at least 8x8"
        raise typer.BadParameter(words, param_hint=option)
    return int(parts[0]), int(parts[-1])
