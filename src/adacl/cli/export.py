"""``adacl export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adacl.cli.support import options
from adacl.cli.support.interrupts import interruptible
from adacl.cli.support.outputs import check_output
from adacl.cli.support.progress import say
from adacl.errors import ConfigError
from adacl.files import resolved
from adacl.model.gate import ONLY_ARRAYS

IN_8_BITS = (
    "in 8 bits, scores of normal images differ by up to a few hundredths from those of the model "
    "file, others by more; images close to the threshold may get another label"
)
RESIZED = (
    "the graph resizes: in onnxruntime, scores are those of the model file; in OpenVINO, and of "
    "files of another depth than learnt, they differ by 0.0001 or more, and images that close to "
    "the threshold may get another label"
)


def export(
    model: options.Model,
    output: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="File to write.")],
    dynamic_batch: Annotated[
        bool, typer.Option("--dynamic-batch", help="Take any number of images at a time.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="8-bit convolutions: a quarter of the size, faster.")
    ] = False,
    input_size: Annotated[
        str | None,
        typer.Option(
            metavar="HEIGHTxWIDTH",
            help="Size of the images that the graph gets and resizes itself.",
        ),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the model, as stated in the file.")
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Write a model as one ONNX file, which scores without PyTorch.

    The graph takes pixels as they are stored and gives raw_score and pred_score. Its metadata say
    what the threshold is, what the input looks like and where the model comes from. All commands
    that score take the file in place of MODEL. See docs/how-to/export.md.
    """
    if resolved(output) == resolved(model):
        raise ConfigError(f"{output}: is the model itself; name another output")
    check_output(output, "export")
    if output.suffix.lower() not in {"", ".onnx"}:
        raise ConfigError(f"{output}: is an ONNX file; give it a name that ends in .onnx")
    from adacl.deploy.export import UNSTATED, export_model

    with interruptible([output]):
        header = export_model(
            model,
            output,
            dynamic_batch=dynamic_batch,
            int8=int8,
            input_size=options.parse_size("--input-size", input_size),
            licence=licence or UNSTATED,
        )
    if not quiet:
        assert header.exported
        batch = "any number of images" if header.exported.batch is None else "one image"
        say(
            f"wrote {output} ({output.stat().st_size / 1024:.0f} KiB): opset "
            f"{header.exported.opset}, {header.exported.precision}, {batch} at a time"
        )
        if header.spec.dtype == "float32":
            say(ONLY_ARRAYS)
        if header.exported.precision == "int8":
            say(IN_8_BITS)
        elif header.resized_by_graph:
            say(RESIZED)
