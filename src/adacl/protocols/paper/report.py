"""All tables and figures of the paper's image experiments, from the cells of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adacl.files import atomic_file
from adacl.protocols import summary
from adacl.protocols.figures import to_png, to_svg
from adacl.protocols.image.one_vs_rest import paper_config
from adacl.protocols.paper import claims, curves, pictures
from adacl.protocols.paper.tables import Table, quoted, table1, table2, table4
from adacl.scale.grid import read_cells

__all__ = ["write_report"]


def write_report(
    folder: Path,
    data_dir: Path | None = None,
    frames: Path | None = None,
    with_images: bool = True,
    notes: Sequence[str] = (),
) -> list[Path]:
    """Write tables (Markdown, CSV, LaTeX) and figures (PNG, SVG) to ``folder/report``.

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

    Returns
    -------
    list of Path
        The files written; ``report.md``, which shows them all, is the last.
    """
    cells = read_cells(folder)
    groups = summary.summarise(cells)
    tables = _tables(cells, groups)
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

    target = folder / "report"
    (target / "figures").mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def put(name: str, content: str | bytes) -> None:
        path = target / name
        with atomic_file(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        written.append(path)

    lines = ["# The paper's image experiments", "", *(f"**{note}**\n" for note in notes)]
    for table in tables:
        put(f"{table.name}.md", table.markdown())
        put(f"{table.name}.csv", table.csv())
        put(f"{table.name}.tex", table.latex())
        lines += [table.markdown(), ""]
    lines += _claims(claims.from_equations() + claims.from_cells(cells))
    for name in sorted(figures, key=lambda name: int(name.removeprefix("figure"))):
        figure = figures[name]
        if figure is None:
            lines += [f"{name}: cells are missing", ""]
            continue
        put(f"figures/{name}.png", to_png(figure))
        put(f"figures/{name}.svg", to_svg(figure))
        lines += [f"![{name}](figures/{name}.png)", ""]
    lines += _cost(groups)
    put("report.md", "\n".join(lines))
    return written


def _tables(cells: summary.Cells, groups: list[summary.Group]) -> list[Table]:
    printed = quoted()
    return [
        *(table1(groups, data) for data in printed["table1"]),
        *(table2(groups, data) for data in printed["table2"]),
        table4(cells),
    ]


def _claims(found: list[claims.Claim]) -> list[str]:
    lines = ["**The paper's claims**", "", "| claim | verdict | figures |", "|---|---|---|"]
    for claim in found:
        cells = (x.replace("|", "\\|") for x in (claim.claim, claim.verdict, claim.figures))
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _cost(groups: list[summary.Group]) -> list[str]:
    lines = [
        "**What it took** (seconds of one process with the threads named)",
        "",
        "| data | variant | cells | mean AUROC % | parameters | training s | scoring s | "
        "training TFLOP | threads | device |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for g in groups:
        mean = f"{g['mean']['mean']:.2f}" if g["mean"] else "–"
        tflop = f"{g['training_gflop'] / 1000:.0f}" if g["training_gflop"] else "–"
        threads, devices = (", ".join(map(str, g[x])) for x in ("threads", "devices"))
        lines.append(
            f"| {g['data']} | {g['variant']} | {g['cells']} | {mean} | {g['parameters']:,} | "
            f"{g['training_seconds']:.0f} | {g['scoring_seconds']:.0f} | {tflop} | {threads} | "
            f"{devices} |"
        )
    lacking = summary.missing(groups)
    return [*lines, "", f"Missing cells: {', '.join(lacking) or 'none'}.", ""]
