"""One-vs-rest on real digits in MNIST's format, rivals, ablations, summaries."""

import dataclasses
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adacl.config import Config
from adacl.config.presets import preset
from adacl.datasets import catalogue
from adacl.errors import ConfigError, DataError, MissingDataError
from adacl.metrics import auroc
from adacl.protocols import summary
from adacl.protocols.image import ablations, data, one_vs_rest, rivals
from adacl.scale import grid
from support.helpers import LEARNING, write_cell, write_images


@pytest.fixture(scope="module")
def digits_as_mnist(digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits 0 to 9, enlarged and written as IDX files."""
    root = tmp_path_factory.mktemp("digits")
    folder = root / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    enlarged = np.stack([np.asarray(Image.fromarray(i).resize((28, 28))) for i in digits.images])
    parts = {"train": slice(0, 1200), "test": slice(1200, None)}
    for split, part in parts.items():
        for file, array in zip(
            catalogue.get("mnist").files[split],
            (enlarged[part], digits.target[part].astype(np.uint8)),
            strict=True,
        ):
            header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
            (folder / f"{file.name}.gz").write_bytes(gzip.compress(header + array.tobytes()))
    return root / "data"


QUICK = one_vs_rest.Variant("quick", LEARNING.replace(training__epochs=4))


@pytest.fixture(scope="module")
def plain(digits_as_mnist: Path) -> dict:
    return one_vs_rest.run_cell("mnist", "3", 0, QUICK, digits_as_mnist, "cpu")


def test_a_cell_records_what_it_did_and_repeats(digits_as_mnist: Path, digits, plain) -> None:
    again = one_vs_rest.run_cell("mnist", "3", 0, QUICK, digits_as_mnist, "cpu")
    assert plain["auroc"] > 0.7
    assert (plain["class"], plain["variant"]) == ("3", "quick")
    assert len(plain["history"]["epochs"]) == 4
    assert plain["n_train"] + plain["n_validation"] == (digits.target[:1200] == 3).sum()
    assert plain["n_test_normal"] + plain["n_test_abnormal"] == len(digits.target) - 1200
    assert plain["training_gflop"] > 0
    assert json.loads(json.dumps(plain)) == plain
    assert without_times(plain) == without_times(again)


def without_times(cell: dict) -> dict:
    cell = {name: value for name, value in cell.items() if not name.endswith("_seconds")}
    if "history" in cell:
        epochs = [e | {"seconds": 0} for e in cell["history"]["epochs"]]
        cell["history"] = cell["history"] | {"epochs": epochs}
    return cell


def test_testing_every_epoch_changes_nothing_else(digits_as_mnist: Path, plain) -> None:
    watched = dataclasses.replace(QUICK, every_epoch=True)
    cell = one_vs_rest.run_cell("mnist", "3", 0, watched, digits_as_mnist, "cpu")
    curve = cell.pop("test_auroc_by_epoch")
    assert without_times(cell) == without_times(plain)
    assert len(curve) == 4
    assert curve[cell["history"]["best_epoch"]] == pytest.approx(cell["auroc"])


@pytest.mark.parametrize("name", rivals.RIVALS)
def test_every_rival_tells_a_digit_from_others(name: str, digits) -> None:
    images = digits.images[..., None]
    normal = images[digits.target == 0]
    test = np.concatenate([normal[140:], images[digits.target == 1][:38]])
    fitted = rivals.get(name).fit(normal[:140], seed=0)
    scores = fitted.score(test)
    assert scores.shape == (len(test),)
    assert fitted.parameters > 0
    assert auroc(scores[:-38], scores[-38:]) > 0.8


def test_unknown_rivals_are_refused() -> None:
    with pytest.raises(ConfigError, match="known are adacl, anogan, autoencoder"):
        one_vs_rest.rival_variant("magic")


def _tree(root: Path, digits, splits: dict[str, slice]) -> None:
    for split, part in splits.items():
        images = digits.images[part]
        for name in (0, 1, 2):
            write_images(root / split / f"digit{name}", images[digits.target[part] == name])


def test_a_folder_tree_with_official_split(digits, tmp_path: Path) -> None:
    _tree(tmp_path, digits, {"train": slice(0, 300), "test": slice(300, 400)})
    assert data.classes(str(tmp_path)) == ("digit0", "digit1", "digit2")
    train, test, is_normal = data.load_one_vs_rest(str(tmp_path), "digit1")
    target = digits.target
    assert train.shape == ((target[:300] == 1).sum(), 8, 8, 1)
    assert is_normal.sum() == (target[300:400] == 1).sum()
    assert len(test) == (target[300:400] < 3).sum()


def test_a_folder_tree_without_split_keeps_every_fifth_image(digits, tmp_path: Path) -> None:
    _tree(tmp_path, digits, {".": slice(0, 300)})
    train, test, is_normal = data.load_one_vs_rest(str(tmp_path), "digit1")
    zeros = digits.images[:300][digits.target[:300] == 0]
    assert (test[: -(-len(zeros) // 5), ..., 0] == zeros[::5]).all()
    seen = {image.tobytes() for image in train}
    assert not seen & {image.tobytes() for image in test[is_normal]}
    assert len(train) + is_normal.sum() == (digits.target[:300] == 1).sum()


def test_a_folder_tree_without_other_classes_is_refused(digits, tmp_path: Path) -> None:
    write_images(tmp_path / "only", digits.images[:20])
    with pytest.raises(MissingDataError, match="at least one other class"):
        data.load_one_vs_rest(str(tmp_path), "only")
    with pytest.raises(ConfigError, match="neither a folder nor a data set"):
        data.classes(str(tmp_path / "nowhere"))


CELL = {
    "data": "mnist", "variant": "v", "training_seconds": 1, "scoring_seconds": 1, "device": "cpu",
    "training_gflop": 2, "parameters": 4, "threads": 1, "versions": {}, "config": {},
    "data_sha256": "x", "history": {"epochs": [1, 2]},
}  # fmt: skip


def write_cells(folder: Path, areas: dict[tuple[str, int], float], **changes: object) -> None:
    for (name, seed), area in areas.items():
        cell = {**CELL, "class": name, "seed": seed, "auroc": area, **changes}
        write_cell(folder, f"{cell['data']}-{name}-seed{seed}-{cell['variant']}", cell)


def test_summary_of_an_incomplete_grid(tmp_path: Path) -> None:
    write_cells(tmp_path, {("3", 0): 0.9, ("3", 1): 0.8, ("1", 0): 0.7})
    (group,) = groups = summary.summarise(grid.read_cells(tmp_path))
    assert group["per_class"]["3"] == {"mean": 85.0, "sd": 7.071068, "n": 2, "seeds": [0, 1]}
    assert list(group["per_class"]) == ["1", "3"]
    assert group["mean"] == {"mean": 80.0, "sd": None, "n": 1}
    assert group["training_seconds"] == 3
    assert summary.missing(groups) == ["mnist-1-seed1-v"]


def test_cells_of_different_configurations_are_not_summed_up(tmp_path: Path) -> None:
    write_cells(tmp_path, {("3", 0): 0.9})
    other = Config().replace(training__epochs=3).to_dict()
    write_cells(tmp_path, {("3", 1): 0.9}, config=other)
    with pytest.raises(DataError, match="different configurations"):
        summary.summarise(grid.read_cells(tmp_path))


def test_a_setting_that_a_cell_is_too_old_to_have_makes_no_difference(tmp_path: Path) -> None:
    new = Config().to_dict()
    old = new | {"training": {k: v for k, v in new["training"].items() if k != "mirror"}}
    write_cells(tmp_path, {("3", 0): 0.9}, config=new)
    write_cells(tmp_path, {("3", 1): 0.9}, config=old)
    older = new | {"local": {**new["local"], "fillings": {"tone": 1.0}}}  # has no part in it
    write_cells(tmp_path, {("3", 2): 0.9}, config=older)
    (group,) = summary.summarise(grid.read_cells(tmp_path))
    assert group["seeds"] == [0, 1, 2]


def test_classes_may_settle_on_different_presets(tmp_path: Path) -> None:
    for name, became in (("3", "aligned"), ("5", "varied")):
        write_cells(tmp_path, {(name, 0): 0.9}, config=preset(became).to_dict())
    (group,) = summary.summarise(grid.read_cells(tmp_path))
    assert group["presets"] == ["aligned", "varied"]
    changed = preset("varied").replace(training__epochs=3)
    write_cells(tmp_path, {("7", 0): 0.9}, config=changed.to_dict())
    with pytest.raises(DataError, match="different configurations"):
        summary.summarise(grid.read_cells(tmp_path))


@pytest.mark.parametrize("name", list(ablations.ABLATIONS))
def test_variants_of_an_ablation_differ_in_one_thing(name: str) -> None:
    ablation = ablations.get(name)
    config = one_vs_rest.paper_config(ablation.source, ablation.preset)
    first, *others = ablations.variants(ablation, config)
    assert first.config == config
    assert len({v.name for v in (first, *others)}) == len({str(v.config) for v in (first, *others)})


def test_some_variants_of_an_ablation_can_be_chosen() -> None:
    ablation = ablations.get("labels")
    config = one_vs_rest.paper_config(ablation.source)
    every = ablations.variants(ablation, config)
    assert ablations.variants(ablation, config, only=["discrete"]) == every[1:]
    with pytest.raises(ConfigError, match="'graded': known are paper, discrete"):
        ablations.variants(ablation, config, only=["paper", "graded"])


def test_unknown_ablations_are_refused() -> None:
    with pytest.raises(ConfigError, match="known are loss"):
        ablations.get("colours")
