"""``--report``: what the page holds, and when it is refused."""

import base64
import dataclasses
import html
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from adacl import AnomalyDetector
from adacl.config.presets import preset
from adacl.deploy.opening import read_header
from adacl.image_detector import ImageDetector
from adacl.imaging.spec import ImageSpec
from adacl.model.file import load_model, read_model
from adacl.model.peak_scale import PeakScale
from adacl.report import made_anomalies
from adacl.report.subject import readable
from adacl.report.thumbnails import preview, thumbnails
from adacl.report.timeline import Timeline
from support.helpers import call, refused, write_images
from support.reports import HOSTILE, embedded
from support.textures import textures


@pytest.mark.parametrize("model", ["threes.adacl", "threes.onnx"])
def test_a_threshold_given_by_hand_is_not_taken_for_the_models_own(shop, raw, tmp_path, model):
    page = tmp_path / "page.html"
    given = ("--threshold", "0.3", "--report", page, "-q", "-o", tmp_path / "x.csv")
    code, _, err = call("score", shop / model, shop / "bad", *given)
    assert code == 0, err
    data, own = embedded(page), read_header(shop / model).threshold.value
    assert (data["threshold"], data["own"]) == (0.3, own)
    assert data["groups"][0]["flagged"] == [(raw[1] > 0.3).sum(), (raw[1] > own).sum()]


def test_files_that_are_gone_have_no_picture(tmp_path, digits):
    path = write_images(tmp_path, digits.images[:1])[0]
    form = ImageSpec(8, 8, 1)
    gone = tmp_path / "gone.png"
    assert thumbnails([path, gone, path], form)[1] is None
    assert thumbnails([path], form)[0].startswith("data:image/png;base64,")
    header = SimpleNamespace(spec=form)
    assert preview(gone, header, lambda _: pytest.fail("not to be asked"), None) is None


def test_sixteen_bit_images_are_shown_in_the_range_that_the_model_sees():
    spec = ImageSpec(8, 8, 1, "uint16", 1000.0, 5000.0)
    pixels = np.array([[[0], [1000], [3000], [5000], [60000]]], np.uint16)
    assert spec.visible(pixels)[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_pictures_and_made_anomalies_are_seen_as_the_model_sees_them(tmp_path):
    deep, flat = tmp_path / "deep.png", tmp_path / "flat.png"
    Image.fromarray(np.full((32, 32), 2048, np.uint16)).save(deep)
    Image.fromarray(np.full((32, 32), 128, np.uint8)).save(flat)
    for dtype, high in (("uint8", 255.0), ("uint16", 4095.0)):
        spec = ImageSpec(32, 32, 1, dtype, 0.0, high, 4095)
        for picture in thumbnails([deep, flat], spec):
            content = base64.b64decode(picture.partition(",")[2])
            assert abs(int(np.asarray(Image.open(io.BytesIO(content)))[0, 0]) - 128) <= 1
        network = SimpleNamespace(mean=torch.zeros(1))
        model = SimpleNamespace(
            spec=spec, tiling=None, header=SimpleNamespace(resize=None), network=network,
            config=preset("paper"),
        )  # fmt: skip
        (batch,) = made_anomalies.samples(model, [deep, flat])
        assert batch.numpy() == pytest.approx(0.5, abs=0.005)


def test_a_line_surrounds_what_was_changed_unless_it_is_the_whole_image(shop):
    model = load_model(shop / "threes.adacl")
    paths = sorted((shop / "good").iterdir())[:6]
    normal = made_anomalies.samples(model, paths)
    outlined = {}
    for kind, pictures in made_anomalies.examples(model, normal):
        files = [io.BytesIO(base64.b64decode(url.partition(",")[2])) for url, _ in pictures]
        pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
        outlined[kind] = (pixels == made_anomalies.OUTLINE).all(-1).any((1, 2)).tolist()
    assert outlined["cut_paste"] == [True] * 6
    assert outlined["normal"] == outlined["rotation"] == outlined["mix_up"] == [False] * 6


def test_scores_of_examples_are_those_of_a_model_with_a_map():
    config = preset("inspect").replace(
        training__epochs=1, training__min_epoch_images=8, training__crop=40
    )
    model = AnomalyDetector(config=config, device="cpu").fit(textures(6, (70, 80))).model_
    model.header = dataclasses.replace(model.header, peak_scale=PeakScale(0.2, 1.5))
    images = textures(3, (70, 80), 1)[..., None]
    normal = [model.spec.to_tensor(image[None], torch.device("cpu")) for image in images]
    (kind, pictures), *_ = made_anomalies.examples(model, normal)
    assert kind == "normal"
    assert [raw for _, raw in pictures] == pytest.approx(model.raw(images))


def test_the_page_holds_what_was_scored(evaluated, shop, raw):
    page, figures = evaluated
    data, text = embedded(page), page.read_text()
    good, bad = raw
    assert [group["name"] for group in data["groups"]] == ["normal", "anomalous"]
    assert data["rows"]["raw"] == [*good, *bad]
    assert data["rows"]["labels"] == [0] * len(good) + [1] * len(bad)
    assert data["rows"]["reasons"] == ["cannot be read (not an image)"]
    assert data["rows"]["names"][-1] == "bad/broken.png"
    assert data["rows"]["folder"] == str(shop)
    assert len(data["pictures"]) == len(good) + len(bad)
    assert data["groups"][1]["flagged"][0] == (bad > figures["threshold"]).sum()
    assert f"{figures['auroc']:.4f}" in text
    assert "1 file could not be read" in text
    assert f"adacl evaluate {shop}/threes.adacl --normal" in text
    header, _ = read_model(shop / "threes.adacl")
    assert header.to_dict()["history"]["epochs"] == data["history"]["epochs"]
    assert text.count('class="heat"') == len(re.findall(r'<li data-row="\d+">', text)) > 24
    assert not re.search(
        r"""(?:src|href)=["'](?!data:|#)""", text.split("</style>")[1].split("<script")[0]
    )


def test_hostile_names_stay_names(evaluated):
    page, _ = evaluated
    names = embedded(page)["rows"]["names"]
    assert set(map(readable, (f"bad/{name}" for name in HOSTILE))) <= set(names)
    assert "bad/undecodable-\\xff\\xfe.png" in names
    text = page.read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert text.count("</script>") == 2


def test_pages_are_utf8_whatever_folders_and_videos_are_called(shop, tmp_path):
    for name in (b"scratch", b"kr\xe4tzer"):
        shutil.copytree(shop / "good", tmp_path / "bad" / os.fsdecode(name))
    page = tmp_path / "page.html"
    folders = ("--normal", shop / "good", "--abnormal", tmp_path / "bad")
    code, _, err = call("evaluate", shop / "threes.onnx", *folders, "--report", page, "-q")
    assert code == 0, err
    assert r"kr\xe4tzer</th>" in page.read_text(encoding="utf-8")
    alarm = SimpleNamespace(threshold=0.5, notes=list)
    Timeline(SimpleNamespace(alarm=alarm), os.fsdecode(b"t\xfcr.mp4")).write(page, [])
    assert r"t\xfcr.mp4" in page.read_text(encoding="utf-8")


def test_names_that_are_no_utf8_are_written_as_they_are(shop, tmp_path):
    out = tmp_path / "out.csv"
    model = shop / "threes.onnx"
    assert call("score", model, shop / "bad", "-q", "--format", "csv", "-o", out)[0] == 0
    assert b"undecodable-\xff\xfe.png" in out.read_bytes()
    command = [sys.executable, "-m", "adacl", "score", model, shop / "bad", "-q"]
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert b"undecodable-\xff\xfe.png" in done.stdout


def test_records_on_stdout_stay_as_they_are(shop, tmp_path):
    arguments = ("score", shop / "threes.adacl", shop / "good", "--format", "jsonl", "-q")
    _, plain, _ = call(*arguments)
    code, out, _ = call(*arguments, "--report", tmp_path / "page.html")
    assert (code, out) == (0, plain)
    assert (tmp_path / "page.html").is_file()


def test_commands_in_a_report_quote_the_name_of_the_model(shop, tmp_path):
    model, page = tmp_path / "my threes.adacl", tmp_path / "page.html"
    model.write_bytes((shop / "threes.adacl").read_bytes())
    kinds = ("--normal", shop / "good", "--abnormal", shop / "bad", "--threshold", "-1")
    assert call("evaluate", model, *kinds, "--report", page, "-q")[0] == 0
    assert "Next: adacl calibrate 'my threes.adacl' " in html.unescape(page.read_text())


def test_an_exported_model_is_reported_on_without_pytorch(shop, tmp_path):
    page = tmp_path / "page.html"
    blocked = ("torch", "sklearn", "scipy", "matplotlib", "onnx", "joblib", "pandas")
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({blocked}))\n"
        "from adacl.cli import main\nmain()"
    )
    command = ["score", shop / "threes.onnx", shop / "good", "--report", page, "-q"]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, command)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert "need PyTorch and the model file" in text
    assert "Licence" in text
    assert text.count('class="heat"') == 24


def test_a_report_that_cannot_be_written_is_refused_before_the_work(shop, tmp_path, monkeypatch):
    model, images, page = tmp_path / "none.adacl", shop / "good", tmp_path / "page.html"
    assert "no such" in refused(3, "score", model, images, "--report", page)
    for command in (
        ["score", model, images],
        ["evaluate", model, "--normal", images, "--abnormal", images],
        ["fit", images, "-o", model],
    ):
        for name in ("0000.png", "page.htm", "page"):
            assert "ends in .html" in refused(2, *command, "--report", images / name)
        assert "page.html" in refused(3, *command, "--report", tmp_path / "no" / "page.html")
        assert "is a folder" in refused(3, *command, "--report", _folder(tmp_path / "x.html"))
    assert "ends in .html" in refused(
        2, "video", "score", model, images, "--report", tmp_path / "page.htm"
    )
    assert "another file" in refused(2, "fit", images, "-o", page, "--report", page)
    assert "another file" in refused(2, "score", model, images, "-o", page, "--report", page)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "adacl.report.page")
    assert "adacl[report]" in refused(6, "score", model, images, "--report", page)
    assert not page.exists()


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


def test_a_fit_whose_images_vanish_ends_in_a_sentence(digits, tmp_path, monkeypatch):
    """They were learnt, the model is there, and then a drive is gone."""
    folder = write_images(tmp_path / "good", digits.of(3)[:30])[0].parent
    saved = ImageDetector.save

    def save(detector, path):
        saved(detector, path)
        shutil.rmtree(folder)

    monkeypatch.setattr(ImageDetector, "save", save)
    page, model = tmp_path / "x.html", tmp_path / "x.adacl"
    said = refused(3, "fit", folder, "-o", model, "--report", page, "--epochs", "1")
    assert (
        f"{page}: not written, because the images can no longer be read; {model} is saved" in said
    )
    assert model.exists()
    assert not page.exists()


def test_a_page_counts_the_held_out_groups_as_groups(shop, tmp_path):
    model, page = tmp_path / "grouped", tmp_path / "page.html"
    rule = ("--group", r"(\d{3})\d", "-o", model)  # ten files a group
    code, _, err = call("calibrate", shop / "threes.adacl", shop / "good", *rule)
    assert code == 0, err
    assert " groups of calibration normals" in err
    threshold = read_header(model).threshold
    assert call("score", model, shop / "good", "--report", page, "-q")[0] == 0
    held_out = f"of the images of {threshold.n} held-out groups"
    assert f"{held_out} score higher" in page.read_text()
    assert f"of {embedded(page)['held_out']}" == held_out
