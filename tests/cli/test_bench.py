"""``adacl bench`` on a folder tree of real digits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from adacl.config import Config
from adacl.protocols.image import one_vs_rest
from support.helpers import call, refused, write_images
from support.workers import forked_workers


@pytest.fixture(scope="module", autouse=True)
def workers() -> Iterator[None]:
    with forked_workers():
        yield


@pytest.fixture
def tree(digits, tmp_path: Path) -> Path:
    for name in range(3):
        write_images(tmp_path / "digits" / str(name), digits.of(name)[:60])
    return tmp_path / "digits"


def bench(*arguments: object) -> tuple[int, str, str]:
    return call("bench", *arguments, "--jobs", 1)


def test_settings_of_rivals_are_refused(tmp_path):
    out = ["--out", tmp_path, "--method", "knn", "--set", "training.epochs=1"]
    assert "--set" in refused(2, "bench", "one-vs-rest", "mnist", *out)


def test_one_vs_rest_is_run_once_and_summed_up(tree: Path, tmp_path: Path) -> None:
    command = ["one-vs-rest", tree, "--out", tmp_path / "out", "--classes", "0,1"]
    method = ["--method", "ocsvm,isolation_forest", "--seeds", "0..1"]
    code, out, err = bench(*command, *method)
    assert code == 0
    assert err.count("done: ") == 8
    assert "digits, ocsvm" in out
    code, out, err = bench(*command, *method, "--json")
    assert code == 0
    assert "done: " not in err
    groups = {group["variant"]: group for group in json.loads(out)}
    assert set(groups) == {"ocsvm", "isolation_forest"}
    assert groups["ocsvm"]["per_class"]["0"]["mean"] > 90
    assert groups["ocsvm"]["mean"]["n"] == 2
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == [
        groups["isolation_forest"],
        groups["ocsvm"],
    ]


def test_bad_arguments_are_refused(tree: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "out"]
    assert "digits has 0, 1, 2" in refused(
        2, "bench", "one-vs-rest", tree, *out, "--classes", "0,9"
    )
    assert "known are adacl, anogan" in refused(
        2, "bench", "one-vs-rest", tree, *out, "--method", "magic"
    )
    assert "known are accurate" in refused(2, "bench", "one-vs-rest", tree, *out, "--preset", "x")
    assert "its network has a map" in refused(
        2, "bench", "one-vs-rest", tree, *out, "--preset", "inspect"
    )
    assert "neither a folder nor a data set" in refused(2, "bench", "one-vs-rest", "imagenet", *out)
    assert "known are loss" in refused(2, "bench", "ablation", "colours", *out)
    assert "known are paper" in refused(
        2, "bench", "ablation", "labels", *out, "--data", tree, "--variants", "graded"
    )
    assert "has no cells" in refused(3, "bench", "report", tmp_path / "nowhere")
    knn = ["--method", "knn", "--classes", ""]  # as of a variable that is not set
    assert "class ''" in refused(2, "bench", "one-vs-rest", tree, *out, *knn)
    labels = ["labels", "--data", tree, "--classes", "9", "--variants", ""]
    assert "variant ''" in refused(2, "bench", "ablation", *out, *labels)
    assert not (tmp_path / "out").exists()
    for seeds in ("a", "3..1", "-1", ""):
        code, _, err = call("bench", "one-vs-rest", tree, *out, "--seeds", seeds)
        assert code == 2
        assert "0..4" in err


def test_results_on_other_images_are_not_taken_for_those_on_these(tree: Path, tmp_path) -> None:
    options = ["--out", tmp_path / "out", "--classes", "0", "--method", "ocsvm"]
    assert bench("one-vs-rest", tree, *options)[0] == 0
    moved = tmp_path / "elsewhere" / tree.name
    shutil.copytree(tree, moved)
    code, _, err = bench("one-vs-rest", moved, *options)
    assert code == 0, err
    assert "done: " not in err
    shutil.rmtree(moved / "2")
    code, _, err = bench("one-vs-rest", moved, *options)
    assert code == 3
    assert f"holds results on other images than those now in {moved}; name another folder" in err


def test_a_folder_named_as_a_benchmark_is_not_taken_for_it(tree: Path, tmp_path: Path) -> None:
    top = tree.rename(tree.with_name("mnist"))
    (top / "0").rename(top / "zero")
    out = tmp_path / "out"
    code, said, err = bench("one-vs-rest", top, "--out", out, "--classes", "zero,zero", "--method",
                            "ocsvm")  # fmt: skip
    assert code == 0, err
    assert err == "done: mnist-folder-zero-seed0-ocsvm\n", "a class named twice is one"
    assert said.startswith("mnist-folder, ocsvm")


def test_a_file_in_the_way_is_named(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    refused(3, "bench", "one-vs-rest", tree, "--out", tmp_path / "out", "--method", "ocsvm")
    assert (tmp_path / "out").read_text() == "precious"


def test_broken_images_are_named(tree: Path, tmp_path: Path) -> None:
    (tree / "1" / "broken.png").write_text("no image")
    message = refused(
        3, "bench", "one-vs-rest", tree, "--out", tmp_path / "out", "--method", "ocsvm",
        "--classes", "0", "--jobs", 1,
    )  # fmt: skip
    assert "broken.png" in message


def test_report_of_a_tree_needs_no_data(tree: Path, tmp_path: Path) -> None:
    assert bench("one-vs-rest", tree, "--out", tmp_path / "out", "--method", "ocsvm")[0] == 0
    code, out, _ = call("bench", "report", tmp_path / "out", "--no-images")
    assert code == 0
    page = Path(out.strip())
    assert page.name == "report.html"
    assert "<td>digits</td><td>ocsvm</td><td>3</td>" in page.read_text()
    assert page.with_suffix(".md").read_text().count("| digits | ocsvm | 3 |") == 1
    picture = tmp_path / "out" / "report" / "figures" / "figure2.png"
    assert Image.open(picture).size[0] > 1000


def test_adacl_learns_a_class_of_a_tree(tree: Path, digits) -> None:
    quick = Config().replace(training__epochs=4, training__min_epoch_images=1024)
    cell = one_vs_rest.run_cell(str(tree), "0", 0, one_vs_rest.Variant("quick", quick), None, "cpu")
    assert cell["auroc"] > 0.8


def test_interrupt_ends_soon_and_says_how_to_go_on(tree: Path, tmp_path: Path) -> None:
    options = ["--out", str(tmp_path / "out"), "--jobs", "2"]
    options += ["--set", "training.epochs=2", "--set", "training.min_epoch_images=1024"]
    command = [sys.executable, "-m", "adacl", "bench", "one-vs-rest", str(tree), *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "out" / "cells.jsonl").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert not out
    assert "Traceback" not in err
    assert "repeat the same command to continue" in err
