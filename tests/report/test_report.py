"""``--report``: what is gathered, and the page in a real browser, opened from disk."""

import base64
import csv
import dataclasses
import html
import io
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from adacl import AnomalyDetector
from adacl.config.presets import preset
from adacl.deploy.export import export_model
from adacl.imaging.spec import ImageSpec
from adacl.model.file import load_model, read_model
from adacl.model.peak_scale import PeakScale
from adacl.model.scoring import FileScore
from adacl.report import made_anomalies, tally
from adacl.report.subject import readable
from adacl.report.tally import STEPS, Gathering
from adacl.report.thumbnails import preview, thumbnails
from support.helpers import LEARNING, call, refused, write_images
from support.textures import textures

HOSTILE = [
    "x<{}script><img src=x onerror=hacked=1>.png".format("/"),
    "\"double\" 'single' & <b>bold.png",
    "{{ 7 * 7 }} {% raw %}.png",
    "‮snømann ☃ 中文\u2028.png",
    "--threshold=9.png",
    os.fsdecode(b"undecodable-\xff\xfe.png"),
]


def file_score(raw: float, name: str = "a.png") -> FileScore:
    return FileScore(Path(name), raw, min(1.0, max(0.0, raw)), None)


def gathered(threshold: float, **groups: np.ndarray) -> Gathering:
    found = Gathering(threshold, 0.5)
    for group, raw in groups.items():
        scores = (file_score(value, f"{group}/{i}.png") for i, value in enumerate(raw.tolist()))
        assert sum(1 for _ in found.watch(scores, group)) == len(raw)
    return found


def above(gathering: Gathering, group: str, step: int) -> int:
    return sum(count for k, count in gathering.counts[group].items() if k >= step)


def test_counts_are_exact_at_every_step_and_at_the_thresholds():
    rng = np.random.default_rng(0)
    raw = np.concatenate([rng.normal(0.4, 0.3, 5000), np.arange(-5, 15000, 7) / STEPS, [-40, 40]])
    raw = np.concatenate([raw, np.float32(raw).astype(float)])
    found = gathered(0.123456789, image=raw)
    for step in range(-6000, 16000, 13):
        assert above(found, "image", step) == (raw > step / STEPS).sum()
    assert found.flagged["image"] == [(raw > 0.123456789).sum(), (raw > 0.5).sum()]
    assert found.total() == len(raw)


def test_of_more_images_than_can_be_listed_the_telling_ones_are_kept(monkeypatch):
    monkeypatch.setattr(tally, "ROWS", 80)
    rng = np.random.default_rng(1)
    normal, anomalous = rng.normal(0.3, 0.15, 700), rng.normal(0.7, 0.15, 900)
    found = gathered(0.5, normal=normal, anomalous=anomalous)
    assert found.total("normal") == 700
    assert found.total("anomalous") == 900
    rows = found.rows
    assert rows == sorted(rows, key=lambda r: (r.group == "anomalous", int(r.score.path.stem)))
    kept = {(row.group, row.score.raw) for row in rows}
    raws = {raw for _, raw in kept}
    both = np.concatenate([normal, anomalous])
    wanted = [both[np.abs(both - 0.5).argsort()], -np.sort(-both)]
    wanted += [np.sort(anomalous), -np.sort(-normal)]
    assert raws == {raw for order in wanted for raw in order[:20].tolist()}
    assert {raw for group, raw in kept if group == "normal"} <= set(normal.tolist())


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


@pytest.fixture(scope="module")
def shop(threes, digits, tmp_path_factory):
    """A model in both forms, and labelled images, some of them with hostile names or broken."""
    root = tmp_path_factory.mktemp("shop")
    AnomalyDetector(config=LEARNING).fit(threes.train).save(root / "threes.adacl")
    export_model(root / "threes.adacl", root / "threes.onnx")
    write_images(root / "good", digits.of(3)[120:])
    others = write_images(root / "bad", digits.other_than(3)[:90])
    for path, name in zip(others, HOSTILE, strict=False):
        (root / "bad" / name).parent.mkdir(exist_ok=True)
        path.rename(root / "bad" / name)
    (root / "bad" / "broken.png").write_bytes(b"not an image")
    return root


@pytest.fixture(scope="module")
def evaluated(shop):
    """The report on them, and the same figures from elsewhere."""
    page = shop / "evaluated.html"
    code, out, err = call(
        "evaluate", shop / "threes.adacl", "--normal", shop / "good", "--abnormal", shop / "bad",
        "--json", "--report", page, "-q",
    )  # fmt: skip
    assert code == 0, err
    return page, json.loads(out)


def records(*arguments: object) -> list[dict[str, str]]:
    code, out, err = call("score", *arguments, "--format", "csv", "-q")
    assert code == 0, err
    return list(csv.DictReader(io.StringIO(out)))


@pytest.fixture(scope="module")
def raw(shop) -> tuple[np.ndarray, np.ndarray]:
    """The raw scores of the normal images and of the anomalies, as ``adacl score`` writes them."""
    found = (records(shop / "threes.adacl", shop / part) for part in ("good", "bad"))
    return tuple(np.array([float(row["raw_score"]) for row in rows]) for rows in found)


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


def embedded(page: Path) -> dict:
    text = page.read_text()
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1]
    )


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


expect = pytest.importorskip("playwright.sync_api").expect


@pytest.fixture
def visit(browser):
    """Return a function that opens a page from disk, and check that it did nothing amiss."""
    contexts, amiss = [], []

    def allowed(request) -> None:
        if not request.url.startswith(("file:", "data:")):
            amiss.append(request.url)

    def opened(path: Path, width: int = 1180, **options):
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", allowed)
        page.on("console", lambda message: amiss.append(message.text))
        page.on("pageerror", lambda error: amiss.append(str(error)))
        page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            page.wait_for_selector("html[data-ready]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not amiss


def press(page, key: str, times: int) -> float:
    """Move the slider, with the last step by the key, and return the threshold it then shows."""
    slider = page.locator("#slider")
    if times > 1:
        way = {"ArrowLeft": "stepDown", "ArrowRight": "stepUp"}[key]
        slider.evaluate(
            f"(s, n) => {{ s.{way}(n); s.dispatchEvent(new Event('input')) }}", times - 1
        )
    slider.press(key)
    page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    return float(page.locator("#value").input_value())


def test_the_slider_counts_as_numpy_does(visit, evaluated, raw):
    path, figures = evaluated
    page = visit(path)
    good, bad = raw
    own = figures["threshold"]
    limits = [own]
    for key, times in [
        ("ArrowLeft", 40),
        ("ArrowLeft", 60),
        ("ArrowRight", 170),
        ("Home", 1),
        ("End", 1),
    ]:
        before = page.locator("#outcome").text_content() if len(limits) == 1 else None
        limits.append(press(page, key, times))
        limit = limits[-1]
        flagged = int((good > limit).sum() + (bad > limit).sum())
        expect(page.locator("#flagged")).to_have_text(f"{flagged:,}")
        expect(page.locator("#tpr")).to_have_text(f"{100 * (bad > limit).mean():.1f} %")
        expect(page.locator("#fpr")).to_have_text(f"{100 * (good > limit).mean():.1f} %")
        expect(page.locator("#outcome")).to_contain_text(
            f"{flagged} of {len(good) + len(bad)} flagged"
        )
        expect(page.locator("#again")).to_contain_text(f"--threshold {limit:.4f}")
        assert before != page.locator("#outcome").text_content()
    assert len(set(limits)) == len(limits)
    low, high = (float(page.locator("#slider").get_attribute(end)) for end in ("min", "max"))
    both = np.clip(np.r_[good, bad, own], -0.5, 1.5)
    margin = 0.15 * np.ptp(both)
    assert both.min() - margin < low < both.min()
    assert both.max() < high < both.max() + margin
    expect(page.locator("#spoken")).to_contain_text(f"Threshold {high:.4f}")
    page.locator("#value").fill("0.4321")
    expect(page.locator("#flagged")).to_have_text(f"{(np.r_[good, bad] > 0.4321).sum():,}")
    expect(page.locator("#again")).to_contain_text("--threshold 0.4321")
    page.locator("#reset").click()
    expect(page.locator("#flagged")).to_have_text(f"{(np.r_[good, bad] > own).sum():,}")
    expect(page.locator("#again")).not_to_contain_text("--threshold 0")
    expect(page.locator("#reset")).to_be_disabled()


def test_the_markers_follow_the_slider(visit, evaluated, raw):
    page = visit(evaluated[0])
    good, bad = raw

    def place() -> tuple[float, float]:
        """Return where the dot is, between the ends of the line of chance."""
        dot, line = page.locator("#roc .dot"), page.locator("#roc .chance")
        (x0, y0), (x1, y1) = (
            map(float, p.split(",")) for p in line.get_attribute("points").split()
        )
        x, y = float(dot.get_attribute("cx")), float(dot.get_attribute("cy"))
        return (x - x0) / (x1 - x0), (y - y0) / (y1 - y0)

    for key, times in [("ArrowLeft", 30), ("ArrowLeft", 100)]:
        limit = press(page, key, times)
        assert place() == pytest.approx(((good > limit).mean(), (bad > limit).mean()), abs=0.01)


def test_without_labels_the_rate_is_estimated_from_the_models_curve(visit, shop, tmp_path):
    path = tmp_path / "page.html"
    found = records(shop / "threes.onnx", shop / "bad", "--report", path)
    raw = np.array([float(row["raw_score"]) for row in found])
    threshold = load_model(shop / "threes.adacl").threshold
    page = visit(path)
    expect(page.locator("#fpr")).to_have_text(f"{100 * threshold.fpr_at(threshold.value):.1f} %")
    expect(page.locator("#fpr-note")).to_contain_text("confidence")
    for times in (50, 100):
        limit = press(page, "ArrowLeft", times)
        expect(page.locator("#fpr")).to_have_text(f"{100 * threshold.fpr_at(limit):.1f} %")
        expect(page.locator("#flagged")).to_have_text(f"{(raw > limit).sum()}")
    expect(page.locator("#fpr-note")).to_contain_text(f"of {threshold.n} held-out normal images")
    assert not page.locator("#roc").count()
    assert not page.locator("[data-gallery=missed]").count()


def test_a_model_that_does_not_know_how_normals_score_says_so(visit, shop, threes, tmp_path):
    model, path = tmp_path / "m.adacl", tmp_path / "page.html"
    AnomalyDetector(config=LEARNING, contamination=0.1).fit(threes.train).save(model)
    records(model, shop / "good", "--report", path)
    page = visit(path)
    expect(page.locator("#fpr")).to_have_text("not known")
    press(page, "ArrowRight", 20)
    expect(page.locator("#outcome")).to_contain_text("false alarms not known")


def listed(page) -> list[list[str]]:
    rows = page.locator("#rows tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].slice(1).map(cell => cell.firstChild.textContent))"
    )
    return rows


def test_the_list_sorts_filters_and_turns_pages(visit, evaluated, raw):
    path, figures = evaluated
    page = visit(path)
    good, bad = raw
    everything = np.r_[good, bad]
    score = page.locator("th[data-sort=raw]")
    name = page.locator("th[data-sort=name]")
    expect(score).to_have_attribute("aria-sort", "descending")
    shown = [row[1] for row in listed(page)]
    assert shown == [f"{min(1, max(0, v)):.4f}" for v in np.sort(everything)[::-1][: len(shown)]]
    score.get_by_role("button").press("Enter")
    expect(score).to_have_attribute("aria-sort", "ascending")
    assert listed(page)[0][3] == "could not be read"
    name.get_by_role("button").click()
    expect(name).to_have_attribute("aria-sort", "ascending")
    assert score.get_attribute("aria-sort") is None
    names = [row[0] for row in listed(page)]
    assert any("--threshold=9.png" in entry for entry in names)

    expect(page.locator("#place")).to_have_text(f"1–25 of {len(everything) + 1}")
    page.locator("#next").click()
    expect(page.locator("#place")).to_have_text(f"26–50 of {len(everything) + 1}")
    assert not set(names) & {row[0] for row in listed(page)}
    page.locator("#previous").click()
    assert [row[0] for row in listed(page)] == names

    own = figures["threshold"]
    for choice, count in {
        "flagged": (everything > own).sum(),
        "passed": (everything <= own).sum(),
        "normal": len(good),
        "anomalous": len(bad),
        "missed": (bad <= own).sum(),
        "alarms": (good > own).sum(),
        "skipped": 1,
        "all": len(everything) + 1,
    }.items():
        page.locator("#which").select_option(choice)
        wanted = re.compile(rf"of {count}$") if count else "none"
        expect(page.locator("#place")).to_have_text(wanted)
    page.locator("#text").fill("SNØMANN")
    assert len(listed(page)) == 1
    page.locator("#text").fill("nothing like it")
    expect(page.locator("#place")).to_have_text("none")
    page.locator("#text").fill("")
    page.locator("#which").select_option("flagged")
    limit = press(page, "ArrowLeft", 100)
    expect(page.locator("#place")).to_have_text(re.compile(rf"of {(everything > limit).sum()}$"))


def test_galleries_show_the_right_images_at_every_threshold(visit, evaluated, raw):
    path, figures = evaluated
    page = visit(path)
    label = np.repeat([0, 1], [len(part) for part in raw])
    raw = np.concatenate(raw)

    def members(name: str) -> list[int]:
        return [
            int(row)
            for row in page.locator(f"[data-gallery={name}] li").evaluate_all(
                "cards => cards.map(card => card.dataset.row)"
            )
        ]

    def check(limit: float) -> None:
        worst = np.argsort(-raw, kind="stable")[:12]
        near = np.sort(np.abs(np.delete(raw, worst) - limit))[:12]
        assert members("worst") == worst.tolist()
        assert (np.abs(raw[members("borderline")] - limit) == near).all()
        assert not set(members("borderline")) & set(worst.tolist())
        missed = np.sort(raw[(label == 1) & (raw <= limit)])[:12]
        alarms = np.sort(-raw[(label == 0) & (raw > limit)])[:12]
        assert (raw[members("missed")] == missed).all()
        assert (-raw[members("alarms")] == alarms).all()
        for name in ("missed", "alarms"):
            marks = page.locator(f"[data-gallery={name}] .mark")
            word = {"missed": "normal", "alarms": "flagged"}[name]
            assert all(word in text for text in marks.all_text_contents())
            empty = page.locator(f"[data-gallery={name}] + .nothing")
            assert empty.is_visible() == (not members(name))

    check(figures["threshold"])
    check(press(page, "ArrowLeft", 60))
    check(press(page, "ArrowRight", 150))


def test_heat_maps_that_would_take_too_long_are_left_out(shop, tmp_path, monkeypatch, visit):
    path = tmp_path / "page.html"
    monkeypatch.setattr("adacl.report.galleries.MAP_SECONDS", 0.0)
    records(shop / "threes.onnx", shop / "good", "--report", path)
    page = visit(path)
    assert page.locator("img.heat").count() == 0
    expect(page.locator(".above")).to_contain_text("24 images have none")
    page.locator("[data-gallery=worst] button").first.click()
    expect(page.locator("#viewer img")).to_have_count(1)


def test_few_images_are_shown_once(visit, shop, digits, tmp_path):
    path = tmp_path / "page.html"
    for count, galleries in ((12, {"worst": 12}), (20, {"worst": 12, "borderline": 8})):
        folder = tmp_path / str(count)
        write_images(folder, digits.of(3)[:count])
        records(shop / "threes.onnx", folder, "--report", path)
        page = visit(path)
        press(page, "ArrowLeft", 30)
        found = {
            name: page.locator(f"[data-gallery={name}] li").count()
            for name in page.locator("[data-gallery]").evaluate_all(
                "l => l.map(e => e.dataset.gallery)"
            )
        }
        assert found == galleries
        names = page.locator(".gallery .name").all_text_contents()
        assert sorted(names) == [f"{number:04d}.png" for number in range(count)]


def test_images_of_several_folders_are_named_with_the_folder(visit, shop, digits, tmp_path):
    path = tmp_path / "page.html"
    for name in ("a", "b"):
        write_images(tmp_path / "parts" / name, digits.of(3)[:8])
    records(shop / "threes.onnx", tmp_path / "parts", "--report", path)
    wanted = sorted(f"{name}/{number:04d}.png" for name in "ab" for number in range(8))
    for script in (False, True):
        page = visit(path, java_script_enabled=script)
        if script:
            press(page, "Home", 1)
        assert sorted(page.locator(".gallery .name").all_text_contents()) == wanted
    page.locator("[data-gallery=worst] button").first.click()
    expect(page.locator("#viewer-name")).to_have_text(re.compile(r"^[ab]/00\d\d\.png$"))


def test_the_histogram_says_what_its_colours_mean(visit, evaluated, shop, tmp_path):
    def legend(path: Path) -> dict[str, str]:
        items = visit(path).locator("#histogram .legend span")
        return dict(
            items.evaluate_all(
                "l => l.map(e => [e.textContent, e.querySelector('rect').className.baseVal])"
            )
        )

    assert legend(evaluated[0]) == {
        "normal, not flagged": "normal light",
        "normal, flagged: false alarm": "normal",
        "anomalous, flagged": "anomalous light",
        "anomalous, not flagged: missed": "anomalous",
    }
    records(shop / "threes.onnx", shop / "good", "--report", tmp_path / "page.html")
    assert legend(tmp_path / "page.html") == {"not flagged": "normal", "flagged": "anomalous"}


def test_the_histogram_shows_no_more_errors_than_there_are(visit, evaluated, raw):
    page = visit(evaluated[0])
    good, bad = raw
    seen = set()
    for limit in (good.max() + 2e-4, bad.min() - 2e-4, np.median(good), 0.0, 1.5):
        page.locator("#value").fill(f"{limit:.4f}")
        limit = press(page, "Shift", 1)
        bars = page.locator("#histogram > svg")
        for selector, there in {
            "rect.normal.light": good <= limit,
            "rect.normal:not(.light)": good > limit,
            "rect.anomalous.light": bad > limit,
            "rect.anomalous:not(.light)": bad <= limit,
        }.items():
            assert (bars.locator(selector).count() > 0) == there.any(), (selector, limit)
            seen.add((selector, bool(there.any())))
    assert len(seen) == 8


def test_a_click_opens_a_larger_view_that_arrow_keys_move(visit, evaluated):
    page = visit(evaluated[0])
    cards = page.locator("[data-gallery=worst] li")
    names = cards.locator(".name").all_text_contents()
    cards.nth(1).get_by_role("button").click()
    viewer = page.locator("#viewer")
    expect(viewer).to_be_visible()
    expect(page.locator("#viewer-name")).to_have_text(names[1])
    expect(viewer.locator("img")).to_have_count(2)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer-name")).to_have_text(names[2])
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#viewer-name")).to_have_text(names[0])
    expect(page.locator("#before")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    assert cards.nth(1).get_by_role("button").evaluate("b => b === document.activeElement")

    page.locator("#which").select_option("skipped")
    page.locator("#rows button").click()
    expect(viewer).to_contain_text("cannot be read (not an image)")


def test_images_are_shown_alone_with_the_heat_map_or_both(visit, evaluated):
    page = visit(evaluated[0])
    card = page.locator("[data-gallery=worst] li").first
    for choice, seen in {"image": (1, 0), "heat map": (0, 1), "side by side": (1, 1)}.items():
        page.get_by_label(choice, exact=True).check()
        shown = tuple(int(card.locator(kind).is_visible()) for kind in (".plain", ".heat"))
        assert shown == seen


def luminance(page, selector: str, field: str) -> float:
    value = page.locator(selector).first.evaluate(f"e => getComputedStyle(e).{field}")
    channels = np.array([int(part) for part in re.findall(r"\d+", value)[:3]]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_have_enough_contrast(visit, evaluated, scheme):
    page = visit(evaluated[0], color_scheme=scheme)
    ground = luminance(page, "section#scores", "backgroundColor")
    assert (ground < 0.1) == (scheme == "dark")
    for selector in ("h2", ".soft", ".mark.flagged", ".mark.passed", "td", "summary", ".facts dt"):
        ink = luminance(page, selector, "color")
        ratio = (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05)
        assert ratio >= 4.5, (selector, ratio)
    page.locator("#theme").click()
    assert (luminance(page, "section#scores", "backgroundColor") < 0.1) == (scheme != "dark")


def test_printed_it_is_white_whole_and_without_controls(visit, evaluated):
    page = visit(evaluated[0], color_scheme="dark")
    page.locator("#theme").click()
    page.locator("#theme").click()
    page.emulate_media(media="print", color_scheme="dark")
    assert luminance(page, "body", "backgroundColor") == 1
    for control in ("#slider", "#value", "#reset", "#copy", "#text", "#theme", "#next", "nav"):
        expect(page.locator(control)).to_be_hidden()
    for part in ("#histogram > svg", "#roc svg", "#list table", "#learned", "#loss svg", "#card"):
        expect(page.locator(part)).to_be_visible()
    expect(page.locator("#outcome")).to_be_visible()


def test_at_phone_width_nothing_is_cut_off(visit, evaluated):
    page = visit(evaluated[0], width=360)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator(".scroll table").first.evaluate(
        "t => t.scrollWidth <= t.parentElement.clientWidth"
    )
    page.locator("[data-gallery=worst] button").first.click()
    box = page.locator("#viewer").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360


def test_a_screen_reader_finds_its_way(visit, evaluated):
    page = visit(evaluated[0])
    assert page.locator("img:not([alt])").count() == 0
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(e => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        expect(page.get_by_role(landmark)).to_have_count(1)
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select, section, [role=img]')].filter(e => "
        "!(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.labels?.length "
        "|| e.textContent.trim() || e.querySelector('img[alt]'))).map(e => e.outerHTML)"
    )
    assert unnamed == []
    dangling = page.evaluate(
        "[...document.querySelectorAll('[aria-labelledby], a[href^=\"#\"]')].map(e => "
        "e.getAttribute('aria-labelledby') ?? e.getAttribute('href').slice(1))"
        ".filter(id => !document.getElementById(id))"
    )
    assert dangling == []
    assert (
        page.locator("#slider").get_attribute("aria-valuetext")
        == page.locator("#value").input_value()
    )
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()


def test_without_javascript_the_figures_and_the_worst_images_are_there(visit, evaluated):
    path, figures = evaluated
    page = visit(path, java_script_enabled=False)
    expect(page.locator(".numbers")).to_contain_text(f"{figures['auroc']:.4f}")
    expect(page.locator("[data-gallery=worst] img.plain")).to_have_count(12)
    expect(page.locator("[data-gallery=worst] img.heat").first).to_be_visible()
    expect(page.locator("#slider")).to_be_hidden()
    expect(page.locator("noscript p")).to_be_visible()


def test_hostile_names_do_nothing_in_a_browser(visit, evaluated):
    page = visit(evaluated[0])
    for name in HOSTILE:
        shown = readable(name)
        page.locator("#text").fill(shown)
        page.locator("#rows button").first.click()
        expect(page.locator("#viewer-words")).to_contain_text(shown.strip())
        page.keyboard.press("Escape")
    assert page.evaluate("typeof hacked") == "undefined"


def test_no_other_script_would_run(browser, evaluated, tmp_path):
    path = tmp_path / "changed.html"
    text = evaluated[0].read_text()
    path.write_text(text.replace("</h1>", "<script>document.title = 'hacked'</script></h1>"))
    page = browser.new_page()
    refusals = []
    page.on("console", lambda message: refusals.append(message.text))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    assert page.title() == "bad against good – adacl"
    assert len(refusals) == 1
    assert "Content Security Policy" in refusals[0]
    page.context.close()


def test_the_report_of_a_fit_tells_the_story_of_the_training(visit, threes, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(LEARNING.to_toml())
    path = tmp_path / "fit.html"
    code, _, err = call(
        "fit", threes.train, "-o", tmp_path / "m.adacl", "--config", config, "--report", path, "-q"
    )
    assert code == 0, err
    data = embedded(path)
    assert {group["name"]: sum(group["counts"]) for group in data["groups"]} == {
        "trained on": 120,
        "made": 120,
    }
    page = visit(path)
    made = data["groups"][1]
    limit = press(page, "ArrowRight", 60)
    found = sum(
        c for s, c in zip(made["steps"], made["counts"], strict=True) if s >= limit * STEPS - 0.5
    )
    expect(page.locator("#tpr")).to_have_text(f"{100 * found / 120:.1f} %")
    expect(page.locator("#again")).to_have_text(
        f"adacl score {tmp_path}/m.adacl IMAGES --threshold {limit:.4f}"
    )
    assert page.locator(".examples").count() == 5
    expect(page.locator("#areas polyline.curve:not(.chance)")).to_have_count(5)
    expect(page.locator("#list")).to_contain_text("1–25 of 120")


def test_thousands_of_images_stay_usable(visit, shop, digits, tmp_path):
    folder, path = tmp_path / "many", tmp_path / "page.html"
    images = np.concatenate([digits.images, digits.images.transpose(0, 2, 1), 255 - digits.images])
    write_images(folder, images[:5000])
    raw = np.array(
        [float(row["raw_score"]) for row in records(shop / "threes.onnx", folder, "--report", path)]
    )
    assert path.stat().st_size < 3_000_000
    assert len(embedded(path)["pictures"]) == 2000
    page = visit(path)
    expect(page.locator("#place")).to_have_text("1–25 of 5,000")
    limit = press(page, "ArrowRight", 30)
    expect(page.locator("#flagged")).to_have_text(f"{(raw > limit).sum():,}")
    took = page.evaluate(
        "() => { const start = performance.now(); document.querySelector('th button').click();"
        " const box = document.getElementById('text'); box.value = '99';"
        " box.dispatchEvent(new Event('input')); return performance.now() - start; }"
    )
    assert took < 1000
    count = sum("99" in f"{number:04d}" for number in range(5000))
    expect(page.locator("#place")).to_have_text(f"1–25 of {count}")
    expect(page.get_by_text("2,000 of the 5,000")).to_be_visible()
