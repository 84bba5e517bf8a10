"""Names of files that are long, or hold what steers a terminal."""

import csv
import json
import os
import shutil
import subprocess
import sys

import pytest

from adacl import AnomalyDetector
from support.helpers import TINY, call

ODD = {
    "return": "a\rb.png",
    "line": "a\nb.png",
    "escape": "a\x1b[31mb\x1b]0;title\x07.png",
    "comma": 'a,"b.png',
    "direction": "a\u202egnp.png",
}
WRITTEN_OUT = ["a\\rb.png", "a\\nb.png", "a\\x1b[31mb\\x1b]0;title\\x07.png", "a\\u202egnp.png"]
STEERING = set("".join(map(chr, [*range(32), *range(127, 160)]))) - {"\n"} | {"\u202e"}


@pytest.fixture(scope="module")
def model(digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("names") / "m.adacl"
    AnomalyDetector(config=TINY).fit(digits.of(3)[:60]).save(path)
    return path


@pytest.fixture
def odd(threes, tmp_path):
    """Return a folder of images with odd names, and a broken one."""
    folder = tmp_path / "odd"
    folder.mkdir()
    picture = min(threes.test_normal.iterdir())
    for name in ODD.values():
        shutil.copy(picture, folder / name)
    (folder / "broken\x1b[2J.png").write_text("no image")
    return folder


def test_the_table_and_messages_write_controls_out(model, odd):
    code, out, err = call("score", model, odd)
    assert code == 0
    assert not STEERING & set(out + err)
    assert len(out.splitlines()) == 1 + len(ODD)
    assert all(name in out for name in WRITTEN_OUT)
    assert "broken\\x1b[2J.png: cannot be read" in err


def test_explain_and_errors_write_controls_out(model, odd, tmp_path):
    code, out, err = call("explain", model, odd, "-o", tmp_path / "maps")
    assert code == 0
    assert not STEERING & set(out + err)
    assert len(out.splitlines()) == len(ODD)
    code, _, err = call("score", "no\x1b[2J\nmodel", odd)
    assert code == 3
    assert "no\\x1b[2J\\nmodel" in err
    assert not STEERING & set(err)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_programs_read_the_names_as_they_are(form, model, odd, tmp_path):
    output = tmp_path / "records"
    assert call("score", model, odd, "--format", form, "-o", output)[0] == 0
    with output.open(newline="", encoding="utf-8") as file:
        records = list(csv.DictReader(file) if form == "csv" else map(json.loads, file))
    names = {record["image_path"] for record in records}
    assert names == {str(odd / name) for name in ODD.values()}
    assert len(records) == len(ODD)
    if form == "csv":
        assert b"\r\n" not in output.read_bytes()


def test_explain_prints_names_that_are_no_utf8(model, threes, tmp_path):
    name = os.fsdecode(b"odd-\xff.png")
    shutil.copy(min(threes.test_normal.iterdir()), tmp_path / name)
    command = [sys.executable, "-m", "adacl", "explain", model, tmp_path / name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"odd-\xff.png" in done.stdout


@pytest.mark.parametrize("letter", ["a", "ä"])
def test_a_heat_map_whose_name_would_be_too_long_is_passed_over(letter, model, threes, tmp_path):
    pictures, maps = tmp_path / "pictures", tmp_path / "maps"
    pictures.mkdir()
    picture = min(threes.test_normal.iterdir())
    longest = letter * (251 // len(letter.encode())) + ".png"
    for name in (longest, "short.png"):
        shutil.copy(picture, pictures / name)
    code, out, err = call("score", model, pictures, "--heatmaps", maps, "--format", "jsonl")
    assert code == 0
    assert len(out.splitlines()) == 2
    assert "no heat map is written, its name would be too long" in err
    assert [path.name for path in maps.iterdir()] == ["short.png.heatmap.png"]
    code, out, err = call("explain", model, pictures, "-o", tmp_path / "more", "--npy")
    assert code == 0
    assert "no map is written" in out
    assert "too long" in err
    assert len(list((tmp_path / "more").iterdir())) == 2
