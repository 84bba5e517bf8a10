"""Tables 1 to 4 of the paper: the printed figures, marked, beside those measured here."""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from tabulate import tabulate

from adacl.datasets import catalogue
from adacl.protocols.image.rivals import RIVALS
from adacl.protocols.summary import Cells, Group, alike, find, summarise

OURS = "adacl (ours)"
MARK = "†"
ROUNDING = 0.06
LEGEND = (
    f"{MARK} quoted as printed in the paper, not measured by us. "
    "All others are measured here: mean ± standard deviation over seeds, where there are several."
)


@dataclass(frozen=True)
class Cell:
    """One figure: measured, with its standard deviation if several seeds were run, or quoted.

    ``printed`` is a quoted figure as the paper prints it; ``form`` the format of a measured one.
    """

    mean: float
    sd: float | None = None
    n: int | None = None
    printed: str | None = None
    form: str = ".2f"

    @classmethod
    def quoted(cls, printed: str) -> Cell:
        """Return the cell of a figure that the paper prints."""
        return cls(float(printed), printed=printed)

    def text(self, plus_minus: str = " ± ", mark: str = MARK) -> str:
        """Return the figure as it is shown."""
        if self.printed is not None:
            return self.printed + mark
        number = format(self.mean, self.form)
        return number if self.sd is None else f"{number}{plus_minus}{self.sd:.2f}"


@dataclass(frozen=True)
class Table:
    """Rows of cells under a title; a cell is a figure, a word, or nothing."""

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell | str | None]]]
    notes: Sequence[str] = ()

    def texts(self, plus_minus: str = " ± ", mark: str = MARK) -> list[list[str]]:
        """Return the rows as they are shown."""
        return [
            [
                method,
                *(
                    cell.text(plus_minus, mark) if isinstance(cell, Cell) else cell or "–"
                    for cell in row
                ),
            ]
            for method, row in self.rows
        ]

    def markdown(self) -> str:
        """Return the table in Markdown, with title, legend and notes."""
        body = tabulate(self.texts(), headers=self.header, tablefmt="github", disable_numparse=True)
        notes = "".join(f"- {note}\n" for note in self.notes)
        return f"**{self.title}**\n\n{body}\n\n{LEGEND}\n{notes}"

    def csv(self) -> str:
        """Return one line per figure: method, column, mean, sd, n, source."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["table", "method", "column", "mean", "sd", "n", "source"])
        for method, row in self.rows:
            for column, cell in zip(self.header[1:], row, strict=True):
                if isinstance(cell, Cell):
                    source = "measured" if cell.printed is None else "quoted"
                    line = [self.name, method, column, cell.mean, cell.sd, cell.n, source]
                    writer.writerow(["" if x is None else x for x in line])
        return text.getvalue()

    def latex(self) -> str:
        """Return the table in LaTeX."""
        body = tabulate(
            [[x.replace("%", r"\%") for x in row] for row in self.texts("$\\pm$", "$^\\dagger$")],
            headers=[x.replace("%", r"\%") for x in self.header],
            tablefmt="latex_raw",
            disable_numparse=True,
        )
        legend = LEGEND.replace(MARK, "$^\\dagger$").replace("±", "$\\pm$")
        title = self.title.replace("%", r"\%")
        return (
            f"\\begin{{table}}\n\\caption{{{title}. {legend}}}\n{body}\n\\end{{table}}\n".replace(
                "–", "--"
            )
        )


def quoted() -> dict[str, Any]:
    """Return the paper's printed figures."""
    return tomllib.loads((files("adacl.protocols.paper") / "quoted.toml").read_text("utf-8"))


def table1(groups: Sequence[Group], data: str) -> Table:
    """Return table 1 for a data set: the paper's rivals, ours, and the rivals run here."""
    rows, notes = _quoted_rows("table1", data)
    for variant in [*RIVALS, "paper"]:
        group = find(groups, data, variant)
        if group:
            title = RIVALS[variant].title if variant in RIVALS else OURS
            rows.append((title, _measured_row(group, data)))
    header = ["method", *catalogue.get(data).classes, "mean"]
    title = f"Table 1: AUROC in % on {catalogue.get(data).title}, one class normal"
    return Table(f"table1-{data}", title, header, rows, notes)


def table2(groups: Sequence[Group], data: str) -> Table:
    """Return table 2: methods that distil a pre-trained teacher, and ours, with epochs."""
    rows, notes = _quoted_rows("table2", data)
    printed = quoted()["table2"][data]
    rows = [(name, [*row, str(printed[name].get("epochs", "–"))]) for name, row in rows]
    group = find(groups, data, "paper")
    if group:
        epochs = "–".join(str(n) for n in group["epochs"])
        rows.append((OURS, [*_measured_row(group, data), epochs]))
    header = ["method", *catalogue.get(data).classes, "mean", "epochs"]
    title = (
        f"Table 2: AUROC in % on {catalogue.get(data).title}, beside methods with a "
        "pre-trained teacher"
    )
    return Table(f"table2-{data}", title, header, rows, notes)


def table3(groups: Sequence[Group]) -> Table:
    """Return table 3: frame level on UCSD Ped2, from the groups of the video protocols."""
    rows: list[tuple[str, Sequence[Cell | str | None]]] = [
        (name, [Cell.quoted(row[key]) if key in row else None for key in ("auroc", "eer")])
        for name, row in quoted()["table3"].items()
    ]
    for group in groups:
        if (group["data"], group["method"]) == ("ucsd-ped2", "adacl"):
            figures = [group[key] for key in ("auroc_smoothed", "eer_smoothed")]
            cells = [Cell(figure["mean"], figure["sd"], figure["n"]) for figure in figures]
            rows.append((f"{OURS}, {group['variant']}", cells))
    title = "Table 3: frame-level AUROC and EER in % on UCSD Ped2"
    return Table("table3", title, ["method", "AUROC", "EER"], rows)


def table4(cells: Cells, data: str = "mnist") -> Table:
    """Return table 4: the label intervals, mean AUROC over classes and variance over seeds."""
    rows: list[tuple[str, Sequence[Cell | str | None]]] = []
    names = {"interval-0.1": "0.1", "interval-0.2": "0.2", "paper": "0.3"}
    here = {cell["variant"] for cell in cells if cell["data"] == data}
    present = [name for name in names if name in here]
    groups = summarise(alike(cells, data, present)) if present else []
    for variant, width in names.items():
        printed = quoted()["table4"][variant]
        group = find(groups, data, variant)
        mean = group["mean"] if group else None
        rows.append(
            (
                f"[0, {width}] and [{1 - float(width):.1f}, 1]",
                [
                    Cell.quoted(printed["mean"]),
                    Cell.quoted(printed["variance"]),
                    Cell(mean["mean"], mean["sd"], mean["n"]) if mean else None,
                    Cell((mean["sd"] / 100) ** 2, n=mean["n"], form=".2e")
                    if mean and mean["sd"]
                    else None,
                    f"{len(group['per_class'])} × {mean['n']}" if group and mean else None,
                ],
            )
        )
    header = [
        "intervals",
        "mean %",
        "variance",
        "mean %, ours",
        "variance, ours",
        "classes × seeds",
    ]
    title = f"Table 4: label intervals, ours on {catalogue.get(data).title}"
    return Table("table4", title, header, rows)


def _quoted_rows(
    table: str, data: str
) -> tuple[list[tuple[str, Sequence[Cell | str | None]]], list[str]]:
    rows: list[tuple[str, Sequence[Cell | str | None]]] = []
    notes = []
    for method, row in quoted()[table][data].items():
        values = row["values"].split()
        rows.append((method, [Cell.quoted(value) for value in [*values, row["mean"]]]))
        mean = float(np.mean([float(value) for value in values]))
        if abs(mean - float(row["mean"])) > ROUNDING:
            notes.append(
                f"{method}: the printed mean {row['mean']} does not follow from its row, whose "
                f"mean is {mean:.2f}"
            )
    return rows, notes


def _measured_row(group: Group, data: str) -> list[Cell | None]:
    cells: list[Cell | None] = []
    for name in catalogue.get(data).classes:
        value = group["per_class"].get(name)
        cells.append(Cell(value["mean"], value["sd"], value["n"]) if value else None)
    mean = group["mean"] if all(cells) else None
    return [*cells, Cell(mean["mean"], mean["sd"], mean["n"]) if mean else None]
