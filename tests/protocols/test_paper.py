"""Tables, figures and claims of the paper from cells whose outcome is known."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adacl.config import Config
from adacl.config.presets import preset
from adacl.datasets import catalogue
from adacl.errors import DataError
from adacl.protocols import summary
from adacl.protocols.image import ablations
from adacl.protocols.paper import claims, curves, pictures, tables
from adacl.protocols.paper.report import write_report
from adacl.scale.grid import read_cells
from support.helpers import write_cell


def cell(data: str, name: str, seed: int, variant: str, area: float, curve: list[float]) -> dict:
    epochs = [{"validation_auroc": x, "seconds": 1.0} for x in curve]
    return {
        "data": data, "class": name, "seed": seed, "variant": variant, "auroc": area,
        "parameters": 130_000, "training_seconds": 10.0, "scoring_seconds": 1.0, "threads": 1,
        "training_gflop": 100.0, "device": "cpu", "versions": {"torch": "x"}, "config": {},
        "data_sha256": "x", "history": {"epochs": epochs}, "test_auroc_by_epoch": curve,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Cells in which all of the paper's claims hold, but for the interval, which matters."""
    rng = np.random.default_rng(0)

    def put(data: str, variant: str, area: float, noise: float, start: float = 0.7) -> None:
        for name in catalogue.get(data).classes[:3]:
            for seed in range(5):
                final = area + noise * rng.normal()
                curve = list(np.linspace(start, final, 8))
                made = cell(data, name, seed, variant, final, curve)
                write_cell(tmp_path, f"{data}-{name}-seed{seed}-{variant}", made)

    put("cifar10", "paper", 0.8, 0.002)
    put("cifar10", "discrete", 0.8, 0.02)
    put("cifar10", "mse-epochs", 0.8, 0.002, start=0.7)
    put("cifar10", "bce-epochs", 0.8, 0.002, start=0.5)
    for number, name in enumerate(ablations.get("augmentations").changes):
        put("mnist", name, 0.98 - 0.02 * number, 0.002)
    put("mnist", "interval-0.1", 0.95, 0.001)
    put("mnist", "interval-0.2", 0.981, 0.002)
    put("mnist", "ocsvm", 0.9, 0.0)
    return tmp_path


def test_report_has_all_tables_and_figures(folder: Path) -> None:
    written = {path.relative_to(folder / "report").as_posix() for path in write_report(
        folder, with_images=False)}  # fmt: skip
    for name in ("table1-mnist", "table1-cifar10", "table2-mnist", "table4"):
        assert {f"{name}.md", f"{name}.csv", f"{name}.tex"} <= written
    for number in (1, 2, 3, 7, 8, 9, 10):
        assert {f"figures/figure{number}.png", f"figures/figure{number}.svg"} <= written
    text = (folder / "report" / "report.md").read_text()
    for name in written - {"report.md"}:
        assert name.endswith((".md", ".csv", ".tex", ".svg", ".html")) or name in text
    assert "Missing cells: none" in text


def test_the_page_holds_everything_and_loads_nothing(folder: Path) -> None:
    page = write_report(folder, with_images=False)[-1].read_text()
    assert page.count("<img ") == page.count('src="data:image/png;base64,') == 7
    assert page.count("The paper: ") == 7
    assert page.count("<table") == 7 + 2
    assert '<tr class="ours"><td>ADACL (paper)</td><td>99.37†</td>' in page
    assert '<tr class="ours"><td>adacl (ours)</td>' in page
    assert "<td>confirmed</td>" in page


def test_a_report_of_an_empty_grid_says_what_is_missing(tmp_path: Path) -> None:
    write_report(tmp_path, with_images=False, notes=["CIFAR-10 is a JPEG copy."])
    text = (tmp_path / "report" / "report.md").read_text()
    assert "**CIFAR-10 is a JPEG copy.**" in text
    assert "figure7: cells are missing" in text
    assert "98.01†" in text


def test_every_figure_says_whether_it_was_measured(folder: Path) -> None:
    table = tables.table1(summary.summarise(read_cells(folder)), "mnist")
    lines = list(csv.DictReader(io.StringIO(table.csv())))
    sources = {(line["method"], line["source"]) for line in lines}
    assert ("AnoGAN", "quoted") in sources
    assert ("adacl (ours)", "measured") in sources
    assert ("OCSVM (raw pixels)", "measured") in sources
    assert not {m for m, s in sources if s == "quoted"} & {m for m, s in sources if s == "measured"}
    quoted = [line for line in lines if line["source"] == "quoted"]
    assert len(quoted) == 7 * 11
    markdown = table.markdown()
    assert markdown.count(tables.MARK) == len(quoted) + 1
    assert table.latex().count(r"\dagger") == len(quoted) + 1


def test_printed_figures_stay_as_printed() -> None:
    row = tables.table1([], "mnist").markdown()
    assert "| ADACL (paper) | 99.37† | 99.30† | 98.58†" in " ".join(row.split())


def test_only_the_capsnet_mean_does_not_follow_from_its_row() -> None:
    notes = {data: tables.table1([], data).notes for data in catalogue.BENCHMARKS}
    assert [data for data, found in notes.items() if found] == ["cifar10"]
    assert notes["cifar10"] == [
        "CapsNet-PP: the printed mean 61.2 does not follow from its row, whose mean is 63.17"
    ]


def test_equations_hold_only_where_they_do() -> None:
    third, fifth, second = claims.from_equations()
    assert "fails for 0 < x <= 0.50" in third.figures
    assert "predictions above 0.100" in fifth.figures
    assert "never exceeds 1 / p" in second.figures


def test_claims_follow_the_cells(folder: Path) -> None:
    loss, variance, kinds, interval = claims.from_cells(read_cells(folder))
    assert loss.verdict == "confirmed"
    assert variance.verdict == "confirmed"
    assert kinds.verdict == "cut-paste best: confirmed; all together better: confirmed"
    assert interval.verdict == "a difference was found"


def test_claims_need_cells() -> None:
    assert claims.from_cells([]) == []


def test_table_4_asks_nothing_of_other_data(folder: Path) -> None:
    """The unchanged configuration may have been run on CIFAR-10 alone, for table 1."""
    cells = [x for x in read_cells(folder) if (x["data"], x["variant"]) != ("mnist", "paper")]
    assert tables.table4(cells).markdown().count("3 × 5") == 2


def test_two_runs_show_nothing_of_a_variance(folder: Path) -> None:
    """Both are equally far from their median: the test of one class would say p = 0."""
    few = [x for x in read_cells(folder) if x["seed"] < 2 and x["class"] == "plane"]
    assert {"paper", "discrete"} <= {x["variant"] for x in few}
    assert not [claim for claim in claims.from_cells(few) if "variance" in claim.claim]


def test_curves_are_means_over_classes(folder: Path) -> None:
    figure = curves.figure7_loss(read_cells(folder))
    assert figure is not None
    mse, bce = figure.axes[0].lines
    assert mse.get_ydata()[0] == pytest.approx(70)
    assert bce.get_ydata()[0] == pytest.approx(50)
    assert len(mse.get_ydata()) == 8


def test_architecture_is_that_of_the_network() -> None:
    figure = pictures.figure3_architecture(Config(), 1, 28, 28)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("convolution 5 × 5") == 3
    assert texts[-1] == "score in [0, 1]"
    assert "64 × 4 × 4" in texts


def test_video_tiles_are_those_with_most_contrast(tmp_path: Path) -> None:
    frame = np.full((70, 100), 100, np.uint8)
    frame[30:60, 60:90] = np.random.default_rng(0).integers(0, 256, (30, 30))
    Image.fromarray(frame).save(tmp_path / "001.tif")
    (tile,) = pictures.video_tiles([tmp_path / "001.tif"])
    assert (tile[..., 0] == frame[30:60, 60:90]).all()


def test_cells_of_different_copies_of_the_data_are_not_mixed(folder: Path) -> None:
    made = cell("mnist", "0", 0, "knn", 0.9, [0.9]) | {"data_sha256": "of another copy"}
    write_cell(folder, "mnist-0-seed0-knn", made)
    with pytest.raises(DataError, match="mnist 0: cells of different copies"):
        summary.summarise(read_cells(folder))


def test_a_comparison_takes_only_classes_and_seeds_that_all_its_variants_have(
    folder: Path,
) -> None:
    for name in catalogue.get("mnist").classes[3:5]:
        made = cell("mnist", name, 0, "paper", 0.1, [0.1])
        write_cell(folder, f"mnist-{name}-seed0-paper", made)
    cells = read_cells(folder)
    alike = summary.alike(cells, "mnist", ("paper", "interval-0.1"))
    assert len(alike) == 2 * 3 * 5
    assert "3 × 5" in tables.table4(cells).markdown()
    assert "0.1" not in [f"{x['auroc']:.1f}" for x in alike]


def test_a_kept_model_is_used_again_only_for_the_images_and_settings_it_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (40, 12, 12, 1), np.uint8)
    config = preset("paper").replace(training__epochs=1, training__min_epoch_images=40)
    monkeypatch.setattr(pictures, "load_one_vs_rest", lambda *_: (images, None, None))
    monkeypatch.setattr(pictures, "paper_config", lambda _: config)
    kept = tmp_path / "mnist-8.adacl"

    def written() -> bytes:
        pictures.detector_for("mnist", "8", tmp_path, None)
        return kept.read_bytes()

    first, second = written(), kept.stat().st_mtime_ns
    assert (written(), kept.stat().st_mtime_ns) == (first, second)
    images = images[::-1] // 2
    other = written()
    config = config.replace(training__epochs=2)
    assert first != other != written()
