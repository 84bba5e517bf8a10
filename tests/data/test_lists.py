"""Lists of image files stand wherever folders do."""

import csv
import os
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from adacl import AnomalyDetector
from adacl.data.folders import ImageFiles, each_image, list_images
from adacl.data.lists import read_list
from adacl.errors import DataError, MissingDataError, MissingExtraError
from support.helpers import TINY, call, refused, write_images

ENDINGS = ("csv", "txt", "parquet")


def write_list(path, names, column="path"):
    if path.suffix == ".parquet":
        table = pyarrow.table({"label": [0] * len(names), column: names})
        pyarrow.parquet.write_table(table, path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("label", column), *((0, name) for name in names)])
    else:
        path.write_text("\n".join(names) + "\n")
    return path


@pytest.fixture
def listed(tmp_path):
    """A folder with twelve images, and lists of them in another order beside it."""
    images = np.random.default_rng(0).integers(0, 256, (12, 10, 12), np.uint8)
    paths = write_images(tmp_path / "im ages", images)[::-1]
    names = [str(path.relative_to(tmp_path)) for path in paths]
    lists = {ending: write_list(tmp_path / f"list.{ending}", names) for ending in ENDINGS}
    return paths, lists


@pytest.mark.parametrize("ending", ENDINGS)
def test_paths_are_read_in_order_from_the_folder_of_the_list(ending, listed):
    paths, lists = listed
    files = ImageFiles(lists[ending])
    assert (len(files), list(files)) == (12, paths)
    assert list_images([lists[ending], paths[0]]) == [*paths, paths[0]]
    assert list(each_image(str(lists[ending]))) == paths


def test_a_detector_takes_lists(listed):
    paths, lists = listed
    fitted = AnomalyDetector(config=TINY).fit(lists["parquet"])
    assert (fitted.score_samples(lists["csv"]) == fitted.score_samples(paths)).all()


def test_the_commands_take_lists(listed, tmp_path):
    paths, lists = listed
    model = tmp_path / "m.adacl"
    small = ["--preset", "paper", "--epochs", 1, "--set", "training.min_epoch_images=8"]
    code, _, err = call("fit", lists["parquet"], "-o", model, *small)
    assert code == 0, err
    code, out, err = call("score", model, lists["txt"], "--format", "csv",
                          "--heatmaps", tmp_path / "maps")  # fmt: skip
    assert code == 0, err
    assert [row["image_path"] for row in csv.DictReader(out.splitlines())] == [
        str(path) for path in paths
    ]
    assert len(list((tmp_path / "maps").rglob("*.png"))) == 12
    for path in paths[:4]:
        target = tmp_path / "bad" / ("a" if path.stem < "0010" else "b") / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).transpose(Image.Transpose.ROTATE_180).save(target)
    bad = [str(p.relative_to(tmp_path)) for p in sorted((tmp_path / "bad").rglob("*.png"))]
    code, out, err = call("evaluate", model, "--normal", lists["csv"],
                          "--abnormal", write_list(tmp_path / "bad.csv", bad))  # fmt: skip
    assert code == 0, err
    assert "kinds of anomaly" in out


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_empty_list_is_said_to_be_empty(ending, tmp_path):
    path = write_list(tmp_path / f"none.{ending}", [])
    if ending == "parquet":
        table = pyarrow.table({"path": pyarrow.array([], pyarrow.string())})
        pyarrow.parquet.write_table(table, path)
    with pytest.raises(MissingDataError, match="no images found in"):
        ImageFiles(path)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_list_without_paths_is_refused(ending, tmp_path):
    path = write_list(tmp_path / f"other.{ending}", ["a.png"], column="image")
    with pytest.raises(DataError, match=r"no column path that names the images; .* label, image"):
        ImageFiles(path)
    assert "no column path" in refused(3, "fit", path, "-o", tmp_path / "m")


def test_a_row_of_a_table_without_a_path_is_refused_unless_it_is_empty(tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("label,path\n0,a.png\n,\n\n1,b.png\n,\n")
    assert [found.name for found in read_list(path)] == ["a.png", "b.png"]
    for row in ("1,", "1", "1, "):
        path.write_text(f"label,path\n0,a.png\n{row}\n0,b.png\n")
        with pytest.raises(DataError, match=r"few\.csv, line 3: names no image; fill its path in"):
            ImageFiles(path)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_without_commas_is_refused_with_the_remedy(separator, tmp_path):
    path = tmp_path / "excel.csv"
    path.write_text(f"path{separator}label\na.png{separator}1\n")
    with pytest.raises(DataError, match=r"separates its columns, .*; save it with commas"):
        ImageFiles(path)


def test_a_quotation_mark_that_is_not_closed_hides_no_images(tmp_path):
    path = tmp_path / "parts.csv"
    path.write_text('path,note\na.png,fine\nb.png,"5 inch\nc.png,fine\n')
    with pytest.raises(DataError, match=r"parts\.csv: .*; check its quotation marks"):
        ImageFiles(path)
    path.write_text('path,note\na.png,5" bolt\nb.png,"5"" bolt\nof May"\n"c,.png",\n')
    assert [found.name for found in read_list(path)] == ["a.png", "b.png", "c,.png"]


def test_a_list_of_another_encoding_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "excel.csv"
    path.write_bytes("path\nprüfen.png\n".encode("latin-1"))
    with pytest.raises(DataError, match="; save it as UTF-8"):
        ImageFiles(path)


def test_damaged_lists_are_refused(tmp_path):
    for ending in ENDINGS:
        path = tmp_path / f"damaged.{ending}"
        path.write_bytes(b"path\n\xff\xfe\x80.png\n")
        with pytest.raises(DataError, match=r"not a sound|cannot be read as a list"):
            ImageFiles(path)
    numbers = tmp_path / "numbers.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"path": [1, 2]}), numbers)
    with pytest.raises(DataError, match="holds 1, which is no path"):
        ImageFiles(numbers)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_pipe_is_no_list_and_is_never_opened(ending, tmp_path):
    os.mkfifo(tmp_path / f"pipe.{ending}")
    with pytest.raises(DataError, match=r"as a list of images \(a pipe, not a file\)"):
        ImageFiles(tmp_path / f"pipe.{ending}")


def test_a_file_of_a_list_that_is_not_there_is_named(listed, tmp_path):
    paths, _ = listed
    path = write_list(tmp_path / "gone.txt", [*(str(p) for p in paths), "gone.png"])
    with pytest.raises(DataError, match=r"gone\.png: no such file"):
        AnomalyDetector(config=TINY).fit(path)
    assert AnomalyDetector(config=TINY, on_error="skip").fit(path).header.training["images"] == 12


def test_pyarrow_is_asked_for_only_where_it_is_needed(listed, monkeypatch):
    _, lists = listed
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert len(ImageFiles(lists["csv"])) == 12
    with pytest.raises(MissingExtraError, match=r"adacl\[parquet\]"):
        ImageFiles(lists["parquet"])


@pytest.mark.parametrize(
    "options",
    [
        ["explain", "MODEL", "LIST", "-o", "OUT"],
        ["score", "MODEL", "LIST", "--heatmaps", "OUT"],
        ["evaluate", "MODEL", "--normal", "GOOD", "--abnormal", "LIST"],
        ["evaluate", "MODEL", "--normal", "GOOD", "--abnormal", "LIST", "--masks", "GOOD"],
    ],
    ids=["explain", "heat maps", "evaluate", "masks"],
)
def test_a_list_that_changes_between_two_readings_is_named(listed, tmp_path, monkeypatch, options):
    paths, lists = listed
    good = paths[0].parent.rename(tmp_path / "good")
    write_images(paths[0].parent, np.random.default_rng(1).integers(0, 256, (3, 10, 12), np.uint8))
    AnomalyDetector(config=TINY).fit(good).save(tmp_path / "m.adacl")
    named = write_list(lists["txt"], [f"{paths[0].parent.name}/0000.png"])
    given = {"MODEL": tmp_path / "m.adacl", "LIST": named, "GOOD": good, "OUT": tmp_path / "out"}
    monkeypatch.setattr("adacl.data.lists.read_list", lambda path: [path.parent / "else" / "0.png"])
    told = refused(3, *(given.get(option, option) for option in options))
    assert "0000.png: the list that names it was changed meanwhile" in told


@pytest.mark.parametrize("damage", ["cut", "emptied", "zeros"])
def test_a_long_parquet_list_that_is_changed_while_it_is_read_is_named(tmp_path, damage):
    path = tmp_path / "list.parquet"
    names = [f"{number * 7919 % 60_000:05}.png" for number in range(60_000)]
    apart = np.random.default_rng(0).random(60_000)  # adjacent columns are read together
    table = pyarrow.table({"path": names, "x": apart})
    pyarrow.parquet.write_table(table, path, row_group_size=15_000)
    paths = read_list(path)
    next(paths)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(bytes(size if damage == "zeros" else 0))
        file.truncate({"cut": size // 3, "emptied": 0, "zeros": size}[damage])
    with pytest.raises(DataError, match=r"list\.parquet: ") as raised:
        list(paths)
    assert "\n" not in str(raised.value)
