"""The HTML report: one file that opens from disk and needs no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jinja2 import Environment, PackageLoader
from PIL import Image

from adacl._version import __version__
from adacl.anomalies import make
from adacl.data.images import read_image
from adacl.files import atomic_file
from adacl.fitting import notes
from adacl.model import Model
from adacl.report.figures import (
    evaluation_figure,
    examples_figure,
    history_figure,
    to_png,
    to_svg,
)

if TYPE_CHECKING:
    from adacl.scoring import FileScore

__all__ = ["write_report"]

EXAMPLES = 8
SHOWN = 12
THUMBNAIL = 96


def write_report(
    path: Path,
    model: Model,
    normal: Sequence[FileScore],
    abnormal: Sequence[FileScore],
    figures: dict[str, Any],
    title: str,
) -> None:
    """Write ``path`` (HTML) and, beside it, the figure of the scores as PNG.

    Parameters
    ----------
    path
        File to write.
    model
        The model that scored.
    normal, abnormal
        The scored images.
    figures
        What :func:`adacl.metrics.evaluation` returned for them.
    title
        Heading of the page.

    Raises
    ------
    DataError
        If a file cannot be written.
    """
    scores = evaluation_figure(
        np.array([s.raw for s in normal]),
        np.array([s.raw for s in abnormal]),
        model.threshold.value,
        figures["auroc"],
    )
    lists = {
        "Normal images with the highest scores": sorted(normal, key=lambda s: -s.raw),
        "Anomalies with the lowest scores": sorted(abnormal, key=lambda s: s.raw),
        "Anomalies with the highest scores": sorted(abnormal, key=lambda s: -s.raw),
    }
    environment = Environment(loader=PackageLoader("adacl.report"), autoescape=True)
    html = environment.get_template("report.html.j2").render(
        title=title,
        figures=figures,
        threshold=model.threshold.value,
        evaluation=to_svg(scores),
        examples=to_svg(_examples(model, [s.path for s in normal[:EXAMPLES]])),
        history=to_svg(history_figure(model.history)),
        lists={
            name: [
                {
                    "image": _thumbnail(s.path),
                    "name": s.path.name,
                    "score": s.score,
                    "flagged": s.raw > model.threshold.value,
                }
                for s in entries[:SHOWN]
            ]
            for name, entries in lists.items()
        },
        notes=notes(model),
        version=__version__,
        model=model.training,
    )
    with atomic_file(path, "w") as file:
        file.write(html)
    with atomic_file(path.with_suffix(".png")) as file:
        file.write(to_png(scores))


def _examples(model: Model, paths: list[Path]) -> Any:
    """Draw normal samples, and the anomalies that training makes from such."""
    spec = model.spec
    images = [read_image(path, spec.channels, spec.dtype, model.resize) for path in paths]
    samples = [model.tiling.cut(image)[0] if model.tiling else image for image in images]
    batch = spec.to_tensor(np.stack(samples), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    rows = {"normal": batch} | {
        kind: make(kind, batch, generator, **model.config.anomalies.options.get(kind, {}))
        for kind in model.config.anomalies.kinds
    }
    return examples_figure({k: v.permute(0, 2, 3, 1).numpy() for k, v in rows.items()})


def _thumbnail(path: Path) -> str:
    """Return a small copy of an image as a data URL."""
    image = Image.fromarray(read_image(path, 3))
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
