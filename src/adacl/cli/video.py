"""``adacl video``, and the option that all of its commands share."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Learn from normal footage, and find what is not normal in a video.")

FrameRateOption = Annotated[
    float, typer.Option(min=0.1, help="Frames per second of folders of frames.")
]
