"""What commands write replaces nothing but what they wrote before."""

import contextlib
import shutil
import sqlite3
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from adacl.cli.support.heatmaps import free_name, is_ours
from support.helpers import call, refused


def test_records_and_models_replace_no_image(parts: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(parts / "good", tmp_path / "good"))
    image = sorted(folder.iterdir())[0]
    before = image.read_bytes()
    for command in (
        ("score", parts / "model.onnx", folder, "--format", "csv", "-o", image),
        ("calibrate", parts / "model", folder, "-o", image),
        ("fit", folder, "-o", image),
    ):
        assert "is an image, which would be replaced" in refused(2, *command)
    assert image.read_bytes() == before


def test_outputs_replace_no_file_of_another_kind(parts: Path, tmp_path: Path) -> None:
    model, exported = parts / "model", parts / "model.onnx"
    good, bad = parts / "good", parts / "bad"
    files = {name: tmp_path / name for name in ("a.csv", "a.mp4", "a.toml", "other", "other.onnx")}
    for path in files.values():
        path.write_text(f"path\n{good / '000.png'}\n")
    shutil.copy(model, files["other"])
    shutil.copy(exported, files["other.onnx"])
    before = {path: path.read_bytes() for path in files.values()}
    for word, command in (
        ("a list or table", ("fit", files["a.csv"], "-o", files["a.csv"])),
        ("a video", ("fit", good, "-o", files["a.mp4"])),
        ("a file of settings", ("fit", good, "-o", files["a.toml"])),
        ("an exported file", ("calibrate", model, good, "-o", files["other.onnx"])),
        ("a model file", ("score", model, bad, "-o", files["other"])),
        ("an exported file", ("score", exported, bad, "-o", files["other.onnx"])),
        ("a video", ("score", exported, bad, "--format", "csv", "-o", files["a.mp4"])),
        ("a model file", ("export", model, files["other"])),
    ):
        assert f"is {word}, which would be replaced; name another output" in refused(2, *command)
    assert before == {path: path.read_bytes() for path in files.values()}
    assert call("score", exported, bad, "-o", files["a.csv"])[0] == 0


def test_tables_replace_no_file_that_is_not_text(parts: Path, tmp_path: Path) -> None:
    model, bad = parts / "model.onnx", parts / "bad"
    picture, log, notes = (tmp_path / name for name in ("picture", "parts.db", "notes"))
    shutil.copy(parts / "good" / "000.png", picture)
    with contextlib.closing(sqlite3.connect(log)) as database:
        database.execute("CREATE TABLE scores (name)")
    notes.write_text("path\n")
    before = picture.read_bytes(), log.read_bytes()
    for path in (picture, log):
        for command in (
            ("score", model, bad, "--format", "csv", "-o", path),
            ("video", "score", model, bad, "--events", path),
        ):
            assert "is no text, which would be replaced; name another" in refused(2, *command)
    assert before == (picture.read_bytes(), log.read_bytes())
    assert call("score", model, bad, "--format", "csv", "-o", notes)[0] == 0


def test_outputs_replace_nothing_that_the_command_reads(parts: Path, tmp_path: Path) -> None:
    good, table = parts / "good", tmp_path / "models.csv"
    settings, defect, mask = (tmp_path / name for name in ("settings", "defect", "mask"))
    settings.write_text("preset = 'paper'\n")
    for path in (defect, mask):
        shutil.copy(good / "000.png", path)
    table.write_text(f"name,source\na,{good}\n")
    before = {path: path.read_bytes() for path in (settings, defect, mask, table)}
    for command in (
        ("fit", good, "--config", settings, "-o", settings),
        ("fit", good, "--preset", "inspect", "--mask", mask, "-o", mask),
        ("video", "fit", good, "--config", settings, "-o", settings),
        ("calibrate", parts / "model", good, "--defects", defect, "-o", defect),
    ):
        assert "this command also reads it; name another output" in refused(2, *command)
    message = refused(2, "scale", "fit", table, "--out", tmp_path)
    assert "the table of all models would replace it; name another folder (--out)" in message
    assert before == {path: path.read_bytes() for path in before}


def test_explain_replaces_no_picture_that_adacl_did_not_write(parts: Path, tmp_path: Path) -> None:
    first, second = sorted((parts / "bad").iterdir())[:2]
    taken, free = tmp_path / "taken.png", tmp_path / "free.png"
    shutil.copy(first, taken)
    message = refused(2, "explain", parts / "model.onnx", second, "-o", taken)
    assert "is there, and is no picture that adacl wrote" in message
    assert taken.read_bytes() == first.read_bytes()
    for image in (first, second):
        assert call("explain", parts / "model.onnx", image, "-o", free)[0] == 0


def test_heat_maps_never_lie_among_the_images(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("good", "bad"):
        shutil.copytree(parts / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    model, images = parts / "model.onnx", [Path("good/000.png"), sorted(Path("bad").iterdir())[0]]
    before = sorted(tmp_path.rglob("*"))
    for command in (
        ("explain", model, *images),
        ("explain", model, "good", "bad"),
        ("score", model, "good", "bad", "--heatmaps", "."),
    ):
        assert "where heat maps would be scored as images" in refused(2, *command)
    (tmp_path / "file").touch()
    message = refused(2, "score", model, "good", "--heatmaps", "file")
    assert "is a file, but a folder of maps is to be written; name a folder" in message
    (tmp_path / "file").unlink()
    message = refused(2, "score", model, "good", "-o", "one", "--heatmaps", "./one")
    assert "-o and --heatmaps one: a file and a folder; name another" in message
    assert sorted(tmp_path.rglob("*")) == before
    assert call("explain", model, *images, "-o", "maps")[0] == 0
    code, _, err = call("explain", model, images[0])
    assert (code, err) == (0, "")
    assert Path("000.png.heatmap.png").is_file()


def test_a_heat_map_beside_its_image_is_told(parts: Path, tmp_path: Path, monkeypatch) -> None:
    good = Path(shutil.copytree(parts / "good", tmp_path / "good"))
    monkeypatch.chdir(good)
    code, _, err = call("explain", parts / "model.onnx", "000.png", "001.png")
    assert code == 0
    assert err.count("000.png.heatmap.png: lies in the folder of the images") == 1
    assert err.count("lies in the folder") == 1
    code, _, err = call("score", parts / "model.onnx", "000.png", "001.png", "--heatmaps", ".")
    assert code == 0
    assert err.count("000.png.heatmap.png: lies in the folder of the images") == 1
    assert err.count("lies in the folder") == 1


@pytest.mark.parametrize("side", [8000, 24000])
def test_a_heat_map_of_any_size_is_known_again(tmp_path: Path, side: int, recwarn) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    target = tmp_path / "x.png.heatmap.png"
    form = chunk(b"IHDR", struct.pack(">IIBBBBB", side, 14000, 8, 2, 0, 0, 0))
    end = chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    target.write_bytes(b"\x89PNG\r\n\x1a\n" + form + chunk(b"tEXt", b"Image\0mark") + end)
    assert free_name(target, "mark") == target
    assert free_name(target, "other").name == "x.png-2.heatmap.png"
    assert is_ours(target)
    assert not recwarn.list


def test_a_damaged_picture_is_not_replaced_by_a_heat_map(tmp_path: Path) -> None:
    target = tmp_path / "x.png.heatmap.png"
    Image.new("RGB", (8, 8)).save(target)
    target.write_bytes(target.read_bytes()[:20])
    assert free_name(target, "mark").name == "x.png-2.heatmap.png"
