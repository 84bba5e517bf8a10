"""Style and file formats of the figures."""

from __future__ import annotations

import io

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

NORMAL, ANOMALOUS, INK = "#0072b2", "#d55e00", "#444444"


def tidy(axes: Axes, title: str, x: str, y: str) -> None:
    """Give axes a title and names, and no frame."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)


def to_svg(figure: Figure) -> str:
    """Return a figure as an SVG element, the same each time."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "adacl"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()
