"""All tables and figures of the paper, from the cells of a folder: files, and one HTML page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from adacl._version import __version__
from adacl.files import atomic_file
from adacl.protocols import summary
from adacl.protocols.figures import to_png, to_svg
from adacl.protocols.image.one_vs_rest import paper_config
from adacl.protocols.paper import claims, curves, pictures
from adacl.protocols.paper.tables import LEGEND, Table, quoted, table1, table2, table3, table4
from adacl.protocols.video import tables as video_tables
from adacl.scale.grid import read_cells

VIDEO = "video"
"""Folder of the cells of table 3, below that of the image experiments."""
COSTS = (
    "data",
    "variant",
    "cells",
    "mean AUROC %",
    "parameters",
    "training s",
    "scoring s",
    "training TFLOP",
    "threads",
    "device",
)


def write_report(
    folder: Path,
    data_dir: Path | None = None,
    frames: Path | None = None,
    with_images: bool = True,
    notes: Sequence[str] = (),
    video: Path | None = None,
) -> list[Path]:
    """Write tables (Markdown, CSV, LaTeX), figures (PNG, SVG) and a page to ``folder/report``.

    Parameters
    ----------
    folder
        Where ``cells.jsonl`` is.
    data_dir
        Where the benchmarks' files are, for figures 4 to 6.
    frames
        A folder of video frames, for the video tile in figure 4.
    with_images
        Whether to draw figures 4 to 6, which need the data and train four networks.
    notes
        Sentences for the head of the report, such as what is special about the data.
    video
        Where the cells of ``bench ucsd`` are, for table 3; by default ``folder/video``.

    Returns
    -------
    list of Path
        The files written. The last two, ``report.md`` and ``report.html``, show them all; the
        page holds all that it shows.
    """
    cells = read_cells(folder)
    groups = summary.summarise(cells)
    filmed = [cell for cell in read_cells(video or folder / VIDEO) if "video" in cell]
    tables = _tables(cells, groups, video_tables.summarise(filmed))
    figures = _figures(cells, folder, data_dir, frames, with_images)
    clips = _clips(filmed)
    told = {
        "tables": tables,
        "claims": claims.from_equations() + claims.from_cells(cells),
        "costs": _costs(groups),
        "lacking": ", ".join(summary.missing(groups)) or "none",
        "notes": notes,
    }

    target = folder / "report"
    (target / "figures").mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def put(name: str, content: str | bytes) -> None:
        path = target / name
        with atomic_file(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        written.append(path)

    drawn = {name: figure for name, figure in (figures | clips).items() if figure}
    pngs = {name: to_png(figure) for name, figure in drawn.items()}
    for table in tables:
        put(f"{table.name}.md", table.markdown())
        put(f"{table.name}.csv", table.csv())
        put(f"{table.name}.tex", table.latex())
    for name, figure in drawn.items():
        put(f"figures/{name}.png", pngs[name])
        put(f"figures/{name}.svg", to_svg(figure))
    put("report.md", _markdown(told, {name: name in drawn for name in [*figures, *clips]}))
    put(
        "report.html",
        _environment().get_template("report.html.j2").render(
            told,
            legend=LEGEND,
            figures=[(name, name.replace("figure", "Figure ")) for name in figures],
            clips=list(clips),
            pictures={name: base64.b64encode(data).decode() for name, data in pngs.items()},
            printed=quoted()["figures"],
            heads=COSTS,
            version=__version__,
        ),
    )  # fmt: skip
    return written


def _markdown(told: dict[str, Any], drawn: dict[str, bool]) -> str:
    """Return the report as Markdown; ``drawn`` tells which figures exist."""
    lines = ["# The paper's experiments", "", *(f"**{note}**\n" for note in told["notes"])]
    for table in told["tables"]:
        lines += [table.markdown(), ""]
    heads = ("claim", "verdict", "figures")
    lines += ["**The paper's claims**", "", *_rows(heads, told["claims"]), ""]
    for name, here in drawn.items():
        shown = f"![{name}](figures/{name}.png)" if here else f"{name}: cells are missing"
        lines += [shown, ""]
    lines += ["**What it took** (seconds of one process with the threads named)", ""]
    lines += [*_rows(COSTS, told["costs"]), "", f"Missing cells: {told['lacking']}.", ""]
    return "\n".join(lines)


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("adacl.protocols.paper", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _tables(
    cells: summary.Cells, groups: list[summary.Group], filmed: list[summary.Group]
) -> list[Table]:
    printed = quoted()
    return [
        *(table1(groups, data) for data in printed["table1"]),
        *(table2(groups, data) for data in printed["table2"]),
        table3(filmed),
        table4(cells),
    ]


def _figures(
    cells: summary.Cells,
    folder: Path,
    data_dir: Path | None,
    frames: Path | None,
    with_images: bool,
) -> dict[str, Figure | None]:
    figures = curves.draw_all(cells)
    config = paper_config("mnist")
    figures["figure3"] = pictures.figure3_architecture(config, 1, 28, 28)
    if with_images:
        samples = pictures.normal_samples(data_dir, frames)
        figures["figure4"] = pictures.figure4_made_anomalies(samples, config)
        models = folder / "models"
        shown = {
            data: pictures.detector_for(data, normal, models, data_dir)
            for data, normal in pictures.SHOWN.items()
        }
        figures["figure5"] = pictures.figure5_predictions(shown, data_dir)
        digits = {x: pictures.detector_for("mnist", x, models, data_dir) for x in ("1", "8")}
        figures["figure6"] = pictures.figure6_embeddings(digits, data_dir)
    return dict(sorted(figures.items(), key=lambda item: int(item[0].removeprefix("figure"))))


def _clips(filmed: summary.Cells) -> dict[str, Figure]:
    """Draw the curves of the clips of Ped2, one figure for each of our variants."""
    variants = sorted(
        {c["variant"] for c in filmed if (c["data"], c["method"]) == ("ucsd-ped2", "adacl")}
    )
    return {f"clips-{name}": video_tables.curves(filmed, "ucsd-ped2", name) for name in variants}


def _rows(head: Sequence[str], rows: Sequence[Any]) -> list[str]:
    texts = [[str(cell).replace("|", "\\|") for cell in _values(row)] for row in rows]
    lines = [head, ["---"] * len(head), *texts]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _values(row: Any) -> Sequence[str]:
    return (row.claim, row.verdict, row.figures) if isinstance(row, claims.Claim) else row


def _costs(groups: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [
            g["data"],
            g["variant"],
            str(g["cells"]),
            f"{g['mean']['mean']:.2f}" if g["mean"] else "–",
            f"{g['parameters']:,}",
            f"{g['training_seconds']:.0f}",
            f"{g['scoring_seconds']:.0f}",
            f"{g['training_gflop'] / 1000:.0f}" if g["training_gflop"] else "–",
            ", ".join(map(str, g["threads"])),
            ", ".join(g["devices"]),
        ]
        for g in groups
    ]
