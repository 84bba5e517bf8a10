from __future__ import annotations

import codecs
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from adacl.deploy.export import export_model
from adacl.deploy.scorer import Scorer
from adacl.errors import DataError, MissingDataError, MissingExtraError
from adacl.model.verdict import Step
from adacl.scale import engines, fleet_fit
from adacl.scale.engines import Engine
from adacl.scale.fleet import Fleet
from adacl.scale.fleet_fit import fit_part, fit_parts, records_in
from adacl.scale.fleet_parts import Part, parts_of
from adacl.scale.fleet_table import write_tables
from support.helpers import call, refused
from support.workers import forked_workers

QUICK = ("training.epochs=1", "training.min_epoch_images=32", "threshold.folds=1")
SET = [word for setting in QUICK for word in ("--set", setting)]


def write_images(folder: Path, count: int, seed: int = 0) -> None:
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    for number in range(count):
        pixels = generator.integers(0, 256, (16, 16), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")


@pytest.fixture(scope="module", autouse=True)
def workers() -> Iterator[None]:
    with forked_workers():
        yield


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("plant")
    for number, name in enumerate(("bolt", "nut", "ring")):
        write_images(root / name, 24 + number, number)
    write_images(root / "rare", 4)
    (root / "hostile").mkdir()
    for number in range(5):
        (root / "hostile" / f"{number}.png").write_bytes(b"no image")
    return root


@pytest.fixture(scope="module")
def models(plant: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fleet") / "models"
    code, _, err = call("scale", "fit", str(plant), "--out", str(out), "--workers", "1", *SET)
    assert code == 3
    assert "1 of 5 parts failed" in err
    return out


def test_each_part_has_a_model_or_a_reason(models: Path) -> None:
    table = pd.read_parquet(models / "models.parquet").set_index("name")
    assert table.index[0] == "hostile"
    assert table.grade["hostile"] == "failed"
    assert "none of 5 image files can be read" in table.verdict["hostile"]
    assert table.grade["rare"] == "weak"
    assert table.normals.drop("hostile").to_dict() == {"bolt": 24, "nut": 25, "ring": 26, "rare": 4}
    assert pd.read_csv(models / "models.csv").name.tolist() == table.index.tolist()
    page = (models / "index.html").read_text()
    assert all(name in page for name in table.index)
    for name in table.model.dropna():
        header = Scorer(models / name).header
        assert header.threshold.value == pytest.approx(table.threshold[name.rpartition("-")[0]])
        assert (models / name).with_suffix(".adacl").exists()


def test_the_next_steps_keep_a_model_in_the_fleet(models: Path) -> None:
    page = (models / "index.html").read_text()
    assert "Next: more normal images of it, then adacl scale fit: it learnt from " in page
    assert "Next: the preset inspect, then adacl scale fit: if the defects are small" in page
    assert "adacl fit" not in page


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            Step(("adacl", "fit", "N", "--epochs", "20"), "trains twice as long", "epochs", "20"),
            "training.epochs=20, then adacl scale fit: trains twice as long",
        ),
        (
            Step(("adacl", "fit", "a: b", "--epochs", "9"), "few: 50", "normals"),
            "more normal images of it, then adacl scale fit: few: 50",
        ),
        (
            Step(("adacl", "calibrate", "m", "MORE_NORMALS"), "why: so", "threshold"),
            "adacl calibrate m MORE_NORMALS: why: so",
        ),
    ],
)
def test_only_a_step_that_is_a_fit_is_said_anew(step: Step, said: str) -> None:
    assert fleet_fit._in_fleet(step) == said


def test_what_is_there_is_not_learnt_again(models: Path, plant: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in models.glob("*.adacl")}
    parts = [part for part in parts_of(plant, "auto", QUICK) if part.name in ("nut", "ring")]
    parts.append(Part("bolt", plant / "bolt", "auto", (*QUICK, "training.epochs=2")))
    *same, changed = fit_parts(parts, models, 0, Engine(workers=1))
    after = {path.name: path.stat().st_mtime_ns for path in models.glob("*.adacl")}
    assert {name: after[name] for name in before} == before
    fitted = [f"{record['model'].removesuffix('.onnx')}.adacl" for record in (*same, changed)]
    assert {name in before for name in fitted[:2]} == {True}
    assert fitted[2] not in before
    assert set(after) == {*before, fitted[2]}


def test_a_threshold_that_was_calibrated_reaches_the_fleet(plant: Path, tmp_path: Path) -> None:
    part = Part("nut", plant / "nut", "auto", QUICK)
    out = tmp_path / "models"
    [record] = fit_parts([part], out, 0, Engine(workers=1))
    write_tables(out, records_in(out))
    before = Fleet(out).hash
    fitted = out / f"{record['model'].removesuffix('.onnx')}.adacl"
    assert call("calibrate", fitted, plant / "ring", "--fpr", "0.2")[0] == 0
    [again] = fit_parts([part], out, 0, Engine(workers=1))
    write_tables(out, records_in(out))
    assert again["kept"]
    assert again["threshold"] != record["threshold"]
    assert Scorer(out / record["model"]).threshold.value == again["threshold"]
    assert Fleet(out).hash != before


def test_a_model_that_is_exported_anew_makes_another_fleet(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models, tmp_path / "models")
    fleet = Fleet(tmp_path / "models")
    before = fleet.hash
    exported = tmp_path / "models" / fleet.files["nut"]
    assert before == Fleet(models).hash
    export_model(exported.with_suffix(".adacl"), exported, dynamic_batch=True, licence="another")
    assert fleet.hash != before
    exported.unlink()
    assert fleet.hash != before


def test_a_setting_that_does_not_exist_is_refused_and_no_model_lost(
    models: Path, plant: Path
) -> None:
    command = ("scale", "fit", plant, "--workers", "1", "--set", "training.epoch=2")
    before = (models / "models.csv").read_bytes()
    assert "epoch" in refused(2, *command, "--out", models)
    video = ("scale", "fit", plant, "--workers", "1", "--preset", "video")
    assert "learns motion" in refused(2, *video, "--out", models)
    assert (models / "models.csv").read_bytes() == before
    assert "folder of the parts" in refused(3, "scale", "fit", plant, "--out", plant)


def test_the_table_names_the_model_that_was_asked_for_last(plant: Path, tmp_path: Path) -> None:
    bolt, images = tmp_path / "bolt", plant / "bolt"
    bolt.symlink_to(images)
    first = Part("bolt", bolt, "auto", QUICK)
    other = Part("bolt", bolt, "auto", (*QUICK, "training.cycles=1"))
    engine, out = Engine(workers=1), tmp_path / "models"

    def listed(*parts: Part) -> list[str | None]:
        models = [record.get("model") for record in fit_parts(parts, out, 0, engine)]
        return [*models, *(row.get("model") for row in records_in(out))]

    before, after, *same = listed(first, other, first)
    assert before != after
    assert same == [before, before]
    bolt.unlink()
    assert listed(first) == [None, None]
    bolt.symlink_to(images)
    assert listed(first) == [before, before]
    (out / str(before)).unlink()
    assert [row["model"] for row in records_in(out)] == [after]


def test_what_every_part_needs_is_missed_before_any_is_learnt(
    plant: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    parts = fit_parts([Part("bolt", plant / "bolt")], tmp_path / "models", 0, Engine(workers=1))
    with pytest.raises(MissingExtraError, match=r"adacl\[export\]"):
        next(parts)
    assert not (tmp_path / "models").exists()


def test_a_part_whose_process_dies_is_told_and_not_tried_beyond_what_the_engine_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_fit, "fit_part", die)
    part = Part("bolt", tmp_path / "deaths")
    (record,) = fit_parts([part], tmp_path / "models", 0, Engine(workers=1))
    assert record["grade"] == "failed"
    assert f"died {engines.TRIES} times" in record["verdict"]
    assert len(part.source.read_bytes()) == engines.TRIES
    assert records_in(tmp_path / "models") == [record]


def die(out: Path, seed: int, part: Part) -> None:
    with part.source.open("ab") as file:
        file.write(b"x")
    os._exit(9)


def test_images_are_scored_with_the_model_of_their_part(
    models: Path, plant: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    write_images(tmp_path / "new" / "bolt" / "monday", 3, 7)
    write_images(tmp_path / "new" / "unknown", 2, 8)
    write_tables(models, records_in(models))
    out = tmp_path / "out"
    arguments = ("--fleet", str(models), str(tmp_path / "new"), "--out", str(out))
    code, _, err = call("scale", "score", *arguments, "--workers", "1")
    assert code == 0, err
    rows = pd.read_parquet(out / "parts").set_index("path")
    scorer = Scorer(Fleet(models).model_of(f"{tmp_path}/new/bolt/monday/000.png"))
    for score in scorer.score_files(tmp_path / "new" / "bolt"):
        assert rows.raw_score[str(score.path)] == pytest.approx(score.raw, abs=1e-6)
    failed = rows[rows.status == "failed"]
    assert len(failed) == 2
    assert set(failed.reason) == {"no model has the name of a folder it lies in"}


def test_the_innermost_folder_counts(tmp_path: Path) -> None:
    (tmp_path / "models.csv").write_text("name,model\nplant,plant-1.onnx\nbolt,bolt-2.onnx\n")
    fleet = Fleet(tmp_path)
    assert fleet.model_of("s3://archive/plant/bolt/monday/1.png") == tmp_path / "bolt-2.onnx"
    assert fleet.model_of("/archive/plant/1.png") == tmp_path / "plant-1.onnx"
    with pytest.raises(DataError, match="no model"):
        fleet.model_of("/archive/bolt.png")
    (tmp_path / "models.csv").write_text("name,model\nbolt,\n")
    with pytest.raises(DataError, match="names no model"):
        Fleet(tmp_path)
    for content in (b"name,model\ncaf\xe9,a.onnx\n", b"name,model\n" + b"x" * 200_000):
        (tmp_path / "models.csv").write_bytes(content)
        with pytest.raises(DataError, match=r"models\.csv: not a sound table"):
            Fleet(tmp_path)
    (tmp_path / "models.csv").write_text("part,model\nbolt,bolt-2.onnx\n")
    with pytest.raises(DataError, match="names no model"):
        Fleet(tmp_path)
    with pytest.raises(MissingDataError, match="adacl scale fit"):
        Fleet(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    "changes",
    [
        {"normals": None},
        {"normals": 10**30},
        {"threshold": "0.5"},
        {"seconds": None},
        {"warnings": "x"},
        {"model": "../a.onnx"},
        {"model": None},
        {"name": 5},
    ],
)
def test_a_damaged_record_is_passed_over(
    models: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    shutil.copytree(models, tmp_path / "models")
    sound = records_in(tmp_path / "models")
    for path in (tmp_path / "models").glob("bolt-*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    (tmp_path / "models" / "nested.json").write_text("[" * 100_000)
    (tmp_path / "models" / "gone.json").symlink_to("nowhere")  # as what another fit removes
    found = records_in(tmp_path / "models")
    assert [record["name"] for record in found] == [r["name"] for r in sound if r["name"] != "bolt"]
    write_tables(tmp_path / "models", found)


def test_names_that_are_no_utf_8_are_written_out(models: Path, tmp_path: Path) -> None:
    records = records_in(models)
    records[-1] |= {"source": "/caf\udce9/bolt", "warnings": ["passed over caf\udce9.png"]}
    write_tables(tmp_path, records)
    last = pd.read_parquet(tmp_path / "models.parquet").iloc[-1]
    assert (last.source, last.warnings) == (r"/caf\udce9/bolt", r"passed over caf\udce9.png")
    assert r"passed over caf\udce9.png" in (tmp_path / "index.html").read_text()


def test_a_table_of_models_that_a_spreadsheet_saved_is_read(models: Path, tmp_path: Path) -> None:
    table = (models / "models.csv").read_bytes()
    (tmp_path / "models.csv").write_bytes(codecs.BOM_UTF8 + table.replace(b"\n", b"\r\n"))
    assert Fleet(tmp_path).files == Fleet(models).files
    (tmp_path / "models.csv").write_bytes(table + b'bolt,"')
    with pytest.raises(DataError, match="not a sound table"):
        Fleet(tmp_path)


def test_a_carriage_return_in_a_name_loses_no_model(models: Path, tmp_path: Path) -> None:
    records = [record for record in records_in(models) if record["grade"] != "failed"]
    records[0] |= {"name": "bolt\rm8", "warnings": ["skipped a\rb.png: empty file"]}
    write_tables(tmp_path, records)
    assert Fleet(tmp_path).files == {record["name"]: record["model"] for record in records}


def test_what_a_part_leaves_out_is_told_with_its_name_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_images(tmp_path / "plant" / "bolt", 2)
    write_images(tmp_path / "plant" / "nut", 3)
    (tmp_path / "plant" / "bolt" / "thumbs.db").touch()
    parts = parts_of(tmp_path / "plant", "auto", ())
    assert [(part.name, part.size()) for part in parts] == [("nut", 3), ("bolt", 2)]
    assert not caplog.messages


def test_folders_that_are_no_parts(tmp_path: Path) -> None:
    for name in ("bolt", "models", ".hidden"):
        (tmp_path / "plant" / name).mkdir(parents=True)
    parts = parts_of(tmp_path / "plant", "auto", (), tmp_path / "plant" / "models")
    assert [part.name for part in parts] == ["bolt"]
    try:
        (tmp_path / "plant" / os.fsdecode(b"caf\xe9")).mkdir()
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    with pytest.raises(DataError, match="cannot name a file"):
        parts_of(tmp_path / "plant", "auto", ())


def test_a_table_names_parts_with_settings_of_their_own(plant: Path, tmp_path: Path) -> None:
    table = tmp_path / "parts.csv"
    table.write_text(
        f"name,source,preset,settings\na,{plant}/bolt,paper,training.epochs=1; training.cycles=2\n"
        f"b,{plant}/ring,,\n"
    )
    parts = parts_of(table, "inspect", ("training.epochs=3",))
    assert [part.name for part in parts] == ["b", "a"]
    assert parts[0] == Part("b", plant / "ring", "inspect", ("training.epochs=3",))
    assert parts[1].settings == ("training.epochs=3", "training.epochs=1", "training.cycles=2")
    pd.read_csv(table).to_parquet(tmp_path / "parts.parquet")
    assert [p.name for p in parts_of(tmp_path / "parts.parquet", "auto", ())] == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,source\n", "has no rows, one a part"),
        ("part,source\na,b\n", "no column name"),
        ("name;source\na;b\n", "save it with commas"),
        ("name,source,colour\na,b,red\n", "unknown column colour"),
        ("name,source\na/b,c\n", "no usable name"),
        ('name,source\na,b\n"c,d\ne,f\n', "check its quotation marks"),
        ("name,source\na,b\na,c\n", "names the part a twice"),
        ("name,source\na,b\nc,d,e\n", "the row of c has more fields than there are columns"),
        (f"name,source\n{201 * 'x'},b\n", "cannot name a file; use UTF-8, up to 200 bytes"),
        ("name,source\na\0,b\n", "cannot name a file"),
    ],
)
def test_impossible_tables_are_refused(text: str, message: str, tmp_path: Path) -> None:
    table = tmp_path / "parts.csv"
    table.write_text(text)
    with pytest.raises(DataError, match=message):
        parts_of(table, "auto", ())


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_pipe_is_no_table(ending: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"pipe.{ending}")
    with pytest.raises(DataError, match=r"a table of parts \(a pipe, not a file\)"):
        parts_of(tmp_path / f"pipe.{ending}", "auto", ())


def test_a_pipe_among_the_images_is_skipped(tmp_path: Path) -> None:
    write_images(tmp_path / "plant" / "bolt", 24)
    os.mkfifo(tmp_path / "plant" / "bolt" / "pipe.png")
    (tmp_path / "plant" / "bolt" / "notes.doc").touch()
    (tmp_path / "out").mkdir()
    (part,) = parts_of(tmp_path / "plant", "paper", QUICK)
    record = fit_part(tmp_path / "out", 0, part)
    assert any("pipe.png: cannot be read (a pipe" in said for said in record["warnings"])
    assert "ignored 1 file of another type: 1 .doc" in record["warnings"]


def test_a_part_whose_images_vanish_while_they_are_learnt_leaves_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "plant" / "bolt", 24)
    (tmp_path / "out").mkdir()
    (part,) = parts_of(tmp_path / "plant", "paper", QUICK)
    probe_files = fleet_fit.probe_files

    def vanishing(paths, on_error):
        paths[0].unlink(missing_ok=True)
        return probe_files(paths, on_error)

    monkeypatch.setattr(fleet_fit, "probe_files", vanishing)
    record = fit_part(tmp_path / "out", 0, part)
    assert (record["grade"], record["verdict"]) == (
        "failed",
        "its images changed while they were learnt; the same command tries again",
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["bolt.failed.json"]
    monkeypatch.undo()
    assert fit_part(tmp_path / "out", 0, part)["grade"] != "failed"


def test_a_killed_fleet_goes_on(plant: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "adacl", "scale", "fit", str(plant), "--workers", "1"]
    command += ["--out", str(tmp_path / "killed"), *SET]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("killed/*-*.json")):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    code, _, _ = call(*command[3:])
    assert code == 3
    records = records_in(tmp_path / "killed")
    assert [record["name"] for record in records if record["grade"] != "failed"] == [
        "bolt", "nut", "rare", "ring",
    ]  # fmt: skip
    assert not list(tmp_path.glob("killed/.*"))
    for record in records:
        json.dumps(record)
