"""``adacl score``, as a user meets it: formats, thresholds, tiles."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adacl.data import reading
from support.helpers import QUICK, call, refused


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_name_of_the_output_tells_the_format(parts, tmp_path, form):
    named, asked, table = (tmp_path / name for name in (f"a.{form.upper()}", "b", f"c.{form}"))
    command = ["score", parts / "model", parts / "good"]
    call(*command, "-o", named)
    call(*command, "-o", asked, "--format", form)
    assert named.read_text() == asked.read_text()
    call(*command, "-o", table, "--format", "table")
    assert table.read_text().split()[:2] == ["pred_score", "pred_label"]


def test_readers_are_as_many_as_asked_and_change_no_score(parts, tmp_path, monkeypatch):
    asked = []

    class Pool(reading.ThreadPoolExecutor):
        def __init__(self, workers):
            asked.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(reading, "ThreadPoolExecutor", Pool)
    model, exported = tmp_path / "m.adacl", tmp_path / "m.onnx"
    assert call("fit", str(parts / "train"), "-o", str(model), "--readers", "3", *QUICK)[0] == 0
    assert call("export", str(model), str(exported), "--dynamic-batch")[0] == 0
    for scored in (model, exported):
        score = ["score", str(scored), str(parts / "good"), "--format", "csv"]
        assert call(*score, "--readers", "3")[1] == call(*score, "--readers", "1")[1]
    assert asked == [3, 3, 3, 1, 3, 1]
    assert call(*score, "--readers", "0")[0] == 2


def test_score_formats_agree_and_keep_the_order(parts: Path, tmp_path: Path) -> None:
    paths = [parts / "bad", parts / "good" / "005.png", parts / "good" / "001.png"]
    _, out, _ = call("score", parts / "model", *paths, "--format", "jsonl")
    records = [json.loads(line) for line in out.splitlines()]
    expected = [*sorted((parts / "bad").iterdir()), *paths[1:]]
    assert [record["image_path"] for record in records] == list(map(str, expected))
    assert all(0 <= record["pred_score"] <= 1 for record in records)
    assert {record["pred_label"] for record in records} == {0, 1}

    call("score", parts / "model", *paths, "--format", "csv", "-o", tmp_path / "scores.csv")
    rows = list(csv.DictReader((tmp_path / "scores.csv").open()))
    assert [float(row["pred_score"]) for row in rows] == [r["pred_score"] for r in records]

    _, table, err = call("score", parts / "model", *paths)
    assert f"{sum(r['pred_label'] for r in records)} of 202 images are anomalous\n" in err
    assert call("score", parts / "model", *paths, "-q")[1:] == (table, "")
    lines = table.splitlines()
    assert lines[0].split() == ["pred_score", "pred_label", "image_path"]
    assert [line.split()[1] == "ANOMALOUS" for line in lines[1:]] == [
        bool(record["pred_label"]) for record in records
    ]


def test_threshold_by_hand(parts: Path) -> None:
    _, out, _ = call(
        "score", parts / "model", parts / "good", "--format", "jsonl", "--threshold", "-1"
    )
    assert all(json.loads(line)["pred_label"] == 1 for line in out.splitlines())


def test_full_disk_leaves_the_old_file(parts: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    command = [sys.executable, "-m", "adacl", "score", parts / "model.onnx", parts / "good"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_tiles_name_the_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "large"
    folder.mkdir()
    stripes = np.indices((64, 96))[1] % 16 * 8 + 60
    for number in range(24):
        pixels = (stripes + rng.integers(0, 8, stripes.shape)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    pixels[40:56, 66:82] = stripes[40:56, 66:82].T[:16, :16]
    Image.fromarray(pixels).save(tmp_path / "defect.png")
    model = tmp_path / "m"
    quick = ["--set", "training.min_epoch_images=1024", "--set", "threshold.folds=2"]
    quick += ["--set", "network.channels=[8, 16]", "--set", "network.hidden=16"]
    call("fit", folder, "-o", model, "--tile", "32x32", "--epochs", "3", *quick, "-q")
    _, out, _ = call("score", model, tmp_path / "defect.png", "--format", "jsonl")
    assert json.loads(out)["tile"] == [32, 64]
    assert "32 x 32" in call("info", model)[1]


def test_scores_are_not_written_as_text_into_a_file_named_parquet(
    parts: Path, tmp_path: Path
) -> None:
    said = refused(2, "score", parts / "model", parts / "good", "-o", tmp_path / "x.parquet")
    assert "x.parquet: would hold text" in said
    assert not list(tmp_path.iterdir())


def test_an_image_that_is_named_twice_is_scored_once(parts: Path, tmp_path: Path) -> None:
    image = parts / "good" / "000.png"
    for named in ([image, image], [parts / "good", image], [image, parts / "good"]):
        code, out, err = call("score", parts / "model.onnx", *named, "--format", "jsonl")
        assert code == 0, err
        paths = [json.loads(line)["image_path"] for line in out.splitlines()]
        assert paths.count(str(image)) == 1
        assert len(set(paths)) == len(paths)
        assert f"warning: {image}: named more than once, taken once" in err
    code, out, err = call("explain", parts / "model", image, image, "-o", tmp_path / "x.png")
    assert code == 0, err
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize(("threshold", "few"), [(40, "hardly anything"), (-1, "nearly everything")])
def test_a_threshold_that_is_no_score_is_remarked_on(
    parts: Path, threshold: float, few: str
) -> None:
    command = ["score", parts / "model.onnx", parts / "good", "-q", "--threshold"]
    code, _, err = call(*command, threshold)
    assert code == 0, err
    assert f"warning: --threshold {threshold}: scores lie in [0, 1]" in err
    assert f"{few} may be flagged" in err
    for within in (0, 0.4, 1):
        assert call(*command, within)[2] == ""
