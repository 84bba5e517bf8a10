"""``adacl scale``: what one machine, or one command, is not enough for."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="Score millions of images, and keep a model for each part, on this machine or a cluster.",
    no_args_is_help=True,
)
