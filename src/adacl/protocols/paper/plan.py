"""The paper's experiments in order, as grids of cells, with an estimate of the time they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from adacl.datasets import catalogue
from adacl.protocols.image import ablations, one_vs_rest
from adacl.protocols.image.one_vs_rest import Variant, paper_config
from adacl.protocols.paper.pictures import SHOWN
from adacl.protocols.paper.report import VIDEO
from adacl.protocols.video import runs
from adacl.scale.grid import Cell, missing_cells, read_cells

TABLE1_SEEDS = VIDEO_SEEDS = 5
RUNS = 10
"""Training runs of each class in figures 7 to 10, as in the paper."""
ANALYSES = (
    ("figure 7", "loss", 67.0),
    ("figures 8 and 9", "labels", 52.0),
    ("table 4", "intervals", 30.0),
    ("figure 10", "augmentations", 28.0),
)
TABLE1_SECONDS = {"mnist": 32.0, "fashion-mnist": 49.0, "cifar10": 53.0}
VIDEO_SECONDS = 200.0


@dataclass(frozen=True)
class Step:
    """A grid of one table or figure.

    Parameters
    ----------
    title
        What it is for.
    cells
        The cells.
    run
        Runs one of them.
    folder
        Where their results are.
    seconds
        What a cell took in our records, on one thread of a processor of two.
    """

    title: str
    cells: Sequence[Cell]
    run: Callable[..., dict[str, Any]]
    folder: Path
    seconds: float

    @property
    def missing(self) -> int:
        """Number of cells that have no result yet."""
        return len(missing_cells(self.cells, self.folder))


def steps(
    data: Path | None, footage: Path | None, out: Path, quick: bool, device: str
) -> list[Step]:
    """Return the steps: tables 1 to 3, then the analyses.

    Parameters
    ----------
    data
        Where the benchmarks' files are.
    footage
        Where UCSD Ped2 is, or None to leave out table 3.
    out
        Folder for the results.
    quick
        One class and one seed each; two seeds where the figure is a variance over seeds.
    device
        Where the image experiments are run.
    """

    def grid(source: str, seeds: int, variants: list[Variant]) -> list[Cell]:
        classes = [SHOWN[source]] if quick else catalogue.get(source).classes
        return one_vs_rest.cells(source, classes, range(seeds), variants, data, device)

    steps = []
    for source, seconds in TABLE1_SECONDS.items():
        cells = grid(source, 1 if quick else TABLE1_SEEDS, [Variant("paper", paper_config(source))])
        title = f"table 1, {catalogue.get(source).title}"
        steps.append(Step(title, cells, one_vs_rest.run_cell, out, seconds))
    if footage is not None:
        seeds = list(range(1 if quick else VIDEO_SEEDS))
        cells = runs.cells("ucsd-ped2", footage, ["default"], seeds, out / VIDEO / "checkpoints")
        steps.append(Step("table 3, UCSD Ped2", cells, runs.run_cell, out / VIDEO, VIDEO_SECONDS))
    for title, name, seconds in ANALYSES:
        ablation = ablations.get(name)
        variants = ablations.variants(ablation, paper_config(ablation.source))
        seeds_quick = 2 if name == "labels" else 1
        cells = grid(ablation.source, seeds_quick if quick else RUNS, variants)
        steps.append(Step(title, cells, one_vs_rest.run_cell, out, seconds))
    return steps


def seconds_left(plan: Sequence[Step], jobs: int) -> list[float]:
    """Estimate what is left of each step, from our records and the cells finished here.

    A cell of several steps, such as those of the unchanged preset, counts in the first.
    """
    factors = []
    for step in plan:
        names = {name for name, _ in step.cells}
        factors += [
            _spent(cell) / step.seconds for cell in read_cells(step.folder) if cell["cell"] in names
        ]
    factor = median(factors) if factors else 1.0
    counted: set[str] = set()
    left = []
    for step in plan:
        missing = {name for name, _ in missing_cells(step.cells, step.folder)} - counted
        counted |= missing
        left.append(factor * step.seconds * len(missing) / min(jobs, max(1, len(missing))))
    return left


def _spent(cell: dict[str, Any]) -> float:
    if "folds" in cell:
        return float(sum(f["fitting_seconds"] + f["scoring_seconds"] for f in cell["folds"]))
    tests = len(cell.get("test_auroc_by_epoch", [])) or 1
    return float(cell["training_seconds"] + tests * cell["scoring_seconds"])
