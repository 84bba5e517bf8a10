"""The web page of ``adacl serve``, in a real browser and against the real service."""

import csv
import os
import re
import signal
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PIL import Image

from adacl import Scorer
from adacl.config.presets import THUMBNAIL
from adacl.explain.heatmap import colours
from adacl.explain.maps import anomaly_map
from adacl.model.map_scale import MapScale
from adacl.serve.station.records import Records
from adacl.serve.training.estimate import MOST_SECONDS
from support.helpers import LEARNING, write_images
from support.serving import serving, write_model

expect = pytest.importorskip("playwright.sync_api").expect
pytest.importorskip("uvicorn")
expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def model(digits, tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models"), digits.of(3)[:120])


@pytest.fixture(scope="module")
def service(model, tmp_path_factory):
    config = tmp_path_factory.mktemp("service") / "config.toml"
    config.write_text(LEARNING.to_toml())
    with serving(model, "--config", config) as service:
        yield address(service)


def address(service):
    return f"http://127.0.0.1:{service.port}/"


def answered(button, question, accept=True):
    """Click a button that asks first, and answer."""

    def answer(dialog):
        asked.append(dialog.message)
        dialog.accept() if accept else dialog.dismiss()

    asked: list[str] = []
    button.page.once("dialog", answer)
    button.click()
    assert question in asked[0]


@pytest.fixture
def visit(browser):
    """Return a function that opens pages, and check that they did nothing amiss."""
    contexts, amiss = [], []

    def complain(message):
        # The browser logs refusals of the service, which tests ask for, as errors of its own.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            amiss.append(message.text)

    def visit(url, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", complain)
        page.on("pageerror", lambda error: amiss.append(str(error)))
        hosts = {urlsplit(url).netloc, ""}
        page.on(
            "request", lambda sent: urlsplit(sent.url).netloc in hosts or amiss.append(sent.url)
        )
        page.goto(url)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not amiss


def ready(page):
    expect(page.locator("html[data-ready]")).to_have_count(1)
    return page


def drop(page, *paths):
    """Drop files and folders from outside of the browser onto the page.

    Chromium drops nothing where the page has not yet taken the dragging: a busy one gets its time.
    """
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", *3 * ["dragOver"], "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 200, "y": 300, "data": data})
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")


def hold(page, pattern):
    """Return the list of requests that are held back until each is continued."""
    held = []
    page.route(pattern, lambda route: held.append(route))
    return held


def await_requests(page, held, count):
    for _ in range(1200):
        if len(held) >= count:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{len(held)} requests came, not {count}")


def tiles(page):
    return page.locator("#gallery li")


def history(page):
    """Return the rows of the CSV file that the page exports, by file name."""
    with page.expect_download() as download:
        page.click("#csv")
    with download.value.path().open(newline="", encoding="utf-8") as file:
        return {row["image_path"]: row for row in csv.DictReader(file)}


@pytest.fixture
def mixed(threes, tmp_path):
    """Return a folder with normal and other digits, and their files."""
    kinds = (threes.test_normal, threes.test_abnormal)
    images = [np.asarray(Image.open(p)) for kind in kinds for p in sorted(kind.iterdir())[:20]]
    return write_images(tmp_path / "mixed", np.stack(images))


def test_a_dropped_folder_is_scored_as_offline(visit, service, model, mixed):
    page = ready(visit(service))
    expect(page.get_by_role("heading", name="See what is not normal.")).to_be_visible()
    drop(page, mixed[0].parent)
    expect(tiles(page)).to_have_count(40)
    expect(page.locator("#live-region")).to_contain_text("40 pictures scored")

    scorer = Scorer(model)
    offline = {f"mixed/{score.path.name}": score for score in scorer.score_files(mixed)}
    rows = history(page)
    assert rows.keys() == offline.keys()
    for name, row in rows.items():
        assert float(row["raw_score"]) == pytest.approx(offline[name].raw, abs=1e-6)
        assert float(row["pred_score"]) == pytest.approx(offline[name].score, abs=1e-6)
        assert row["pred_label"] == str(int(offline[name].raw > scorer.threshold_))

    flagged = sum(score.raw > scorer.threshold_ for score in offline.values())
    assert 0 < flagged < 40
    page.get_by_role("button", name="Flagged").click()
    expect(tiles(page)).to_have_count(flagged)
    page.select_option("#sort", "high")
    worst = max(offline.values(), key=lambda score: score.raw)
    expect(page.locator(".thumb").first).to_have_attribute("title", f"mixed/{worst.path.name}")


def test_the_heat_map_is_drawn_where_the_image_is_odd(visit, service, model, mixed):
    scorer = Scorer(model)
    worst = max(scorer.score_files(mixed), key=lambda score: score.raw)
    heat = anomaly_map(scorer, np.asarray(Image.open(worst.path))[..., None])
    page = ready(visit(service))
    drop(page, worst.path)
    expect(page.locator("#verdict")).to_contain_text("Anomalous")
    expect(page.locator("#verdict .score")).to_contain_text(f"{worst.score:.3f}")
    expect(page.locator("#peak")).to_be_visible()

    def alpha(place):
        row, column = (np.array(place) + 0.5) / heat.shape
        return page.evaluate(
            """([row, column]) => {
            const c = document.getElementById('heat');
            const [x, y] = [column * c.width, row * c.height];
            return c.getContext('2d').getImageData(x, y, 1, 1).data[3] }""",
            [row, column],
        )

    outlined = page.evaluate(
        """() => {
        const c = document.getElementById('heat');
        const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
        return data.some((_, i) => i % 4 == 0 && data[i] == 255 && data[i + 1] == 255
            && data[i + 2] == 255 && data[i + 3] == 255) }"""
    )
    assert outlined
    expect(page.locator("#picture")).to_have_css("filter", "grayscale(1)")
    hot, cold = (np.unravel_index(f(heat), heat.shape) for f in (np.argmax, np.argmin))
    scale = scorer.header.map_scale
    assert alpha(hot) == pytest.approx(int(colours(heat, scale)[hot][3]), abs=6)
    assert alpha(hot) > alpha(cold) + 20
    page.locator("#strength").fill("0")
    expect(page.locator("#heat")).to_have_css("opacity", "0")
    expect(page.locator("#picture")).to_have_css("filter", "none")
    page.locator("#strength").fill("100")
    page.locator("#threshold-number").fill("2")
    expect(page.locator("#verdict")).to_contain_text("Normal")
    expect(page.locator("#peak")).to_be_hidden()
    page.locator("#threshold-reset").click()
    expect(page.locator("#peak")).to_be_visible()
    page.locator("#compare").focus()
    page.keyboard.down("Space")
    expect(page.locator("#heat")).to_have_css("opacity", "0")
    page.keyboard.up("Space")
    expect(page.locator("#heat")).to_have_css("opacity", "1")


def test_the_remark_on_a_picture_is_said(visit, service, mixed, tmp_path):
    (white,) = write_images(tmp_path / "white", np.full((1, 8, 8), 255, np.uint8))
    page = ready(visit(service))
    drop(page, white)
    expect(page.locator("#verdict")).to_contain_text("may be wrong: brighter than any learnt")
    drop(page, mixed[1])
    expect(tiles(page)).to_have_count(2)
    remarks = {name: row["remark"] for name, row in history(page).items()}
    assert remarks.pop(white.name, "").startswith("brighter than any learnt")


def test_colours_are_those_of_the_package(visit, service):
    page = ready(visit(service))
    table = page.evaluate("() => import('/static/heat.js').then((heat) => heat.TABLE)")
    scale = MapScale(0.1, 0.2, 0.3)
    ramp = np.linspace(0, scale.far - scale.usual, 256)
    assert np.abs(np.array(table) - colours(ramp[None], scale)[0]).max() <= 1


def test_the_threshold_moves_by_keyboard(visit, service, model, mixed):
    scorer = Scorer(model)
    raw = np.array([score.raw for score in scorer.score_files(mixed)])
    page = ready(visit(service))
    drop(page, *mixed)
    expect(tiles(page)).to_have_count(40)
    count = page.locator("#threshold-count")
    expect(count).to_have_text(
        f"Flags {(raw > scorer.threshold_).sum()} of the 40 pictures in the history."
    )

    slider = page.get_by_role("slider", name="Threshold")
    low, high = (float(slider.get_attribute(end)) for end in ("min", "max"))
    scores = [score for score, _ in scorer.threshold.curve] + [*raw, scorer.threshold_]
    width = max(scores) - min(scores)
    assert min(scores) - 0.1 * width < low < min(scores)
    assert max(scores) < high < max(scores) + 0.1 * width
    slider.focus()
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    value = scorer.threshold_ + 0.07 * (high - low)
    flagged = int((raw > value).sum())
    assert flagged != (raw > scorer.threshold_).sum()
    expect(count).to_have_text(f"Flags {flagged} of the 40 pictures in the history.")
    expect(page.locator(".thumb.is-flagged")).to_have_count(flagged)
    expect(page.get_by_role("spinbutton", name="Threshold")).to_have_value(f"{value:.4f}")

    page.get_by_role("spinbutton", name="Threshold").fill("0.3")
    share = scorer.threshold.fpr_at(0.3)
    shown = f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
    expect(page.locator("#threshold-rate")).to_contain_text(f"About {shown.replace('%', ' %')}")
    expect(count).to_contain_text(f"Flags {(raw > 0.3).sum()} of")
    page.reload()
    expect(count).to_contain_text(f"Flags {(raw > 0.3).sum()} of")
    page.get_by_role("button", name="Reset").click()
    expect(page.locator(".thumb.is-flagged")).to_have_count(int((raw > scorer.threshold_).sum()))


def test_the_history_survives_a_reload_until_it_is_cleared(visit, service, mixed):
    page = ready(visit(service))
    drop(page, *mixed[:5])
    expect(tiles(page)).to_have_count(5)
    before = history(page)
    page.reload()
    expect(tiles(page)).to_have_count(5)
    assert history(page) == before
    expect(page.locator("#picture")).to_have_js_property("naturalWidth", 8)
    page.keyboard.press("Tab")
    page.locator(".thumb[aria-current=true]").focus()
    page.keyboard.press("Home")
    expect(page.locator("#verdict")).to_contain_text("0000.png")
    answered(page.get_by_role("button", name="Clear"), "Remove all 5 results", accept=False)
    assert history(page) == before
    answered(page.get_by_role("button", name="Clear"), "save them as CSV first")
    expect(page.get_by_role("heading", name="See what is not normal.")).to_be_visible()
    page.reload()
    expect(ready(page).locator("#empty")).to_be_visible()


def test_what_an_earlier_model_of_the_same_name_scored_keeps_its_verdict(visit, service, mixed):
    page = ready(visit(service))
    drop(page, *mixed[:5])
    expect(tiles(page)).to_have_count(5)
    before = history(page)

    def refit(route):
        answer = route.fetch()
        content = answer.json()
        (model,) = content["models"]
        model["fingerprint"] = "that of another"
        model["threshold"]["value"] = -1.0
        route.fulfill(response=answer, json=content)

    page.route("**/v1/models", refit)
    page.reload()
    expect(tiles(ready(page))).to_have_count(5)
    assert history(page) == {
        name: row | {"model": "three (earlier)"} for name, row in before.items()
    }
    page.get_by_role("button", name="Score it with three").click()
    expect(tiles(page)).to_have_count(6)
    assert sorted(row["model"] for row in history(page).values())[:1] == ["three"]


def test_pictures_of_one_name_are_told_apart_in_the_order_given(visit, service, mixed, tmp_path):
    named = [tmp_path / kind / "000.png" for kind in ("good", "broken", "third")]
    for path, source in zip(named, mixed, strict=False):
        path.parent.mkdir()
        path.write_bytes(source.read_bytes())
    page = ready(visit(service))
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose pictures").click()
    chooser.value.set_files(named[:2])
    names = page.locator("#gallery .name")
    expect(names).to_have_text(["000.png", "000.png (2)"])
    expect(page.locator("#previous")).to_be_disabled()
    page.locator("#next").click()
    expect(page.locator("#verdict")).to_contain_text("000.png (2)")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add").click()
    chooser.value.set_files(named[2])
    expect(names).to_have_text(["000.png (3)", "000.png", "000.png (2)"])
    drop(page, named[0].parent, named[1].parent)
    folders = ["broken/000.png", "good/000.png"]
    expect(names).to_have_text([*folders, "000.png (3)", "000.png", "000.png (2)"])
    page.reload()
    expect(names).to_have_text([*folders, "000.png (3)", "000.png", "000.png (2)"])
    assert history(page).keys() == {*folders, "000.png", "000.png (2)", "000.png (3)"}


def test_a_pasted_picture_is_scored(visit, service, mixed):
    page = ready(visit(service, permissions=["clipboard-read", "clipboard-write"]))
    page.evaluate(
        """async () => { const canvas = new OffscreenCanvas(8, 8);
        canvas.getContext('2d').fillRect(2, 2, 4, 4);
        const item = new ClipboardItem({'image/png': canvas.convertToBlob()});
        await navigator.clipboard.write([item]) }"""
    )
    page.keyboard.press("Control+V")
    expect(tiles(page)).to_have_count(1)
    expect(page.locator("#verdict .score")).to_be_visible()


def test_the_camera_shoots_and_scores_live(visit, service):
    page = ready(visit(service))
    page.get_by_role("button", name="Camera").first.click()
    page.get_by_role("button", name="Live").click()
    expect(page.locator("#rate")).to_contain_text("pictures a second")
    expect(page.locator("#verdict")).to_contain_text("Live picture")
    page.get_by_role("button", name="Take a picture").click()
    expect(tiles(page)).to_have_count(1)
    expect(page.locator("#verdict")).to_contain_text("camera-")
    expect(page.locator("#video")).to_be_hidden()
    assert page.evaluate("() => document.getElementById('video').srcObject") is None


def test_a_broken_file_is_named_and_the_others_are_scored(visit, service, mixed, tmp_path):
    broken = tmp_path / "broken <b>one.png"
    broken.write_bytes(mixed[0].read_bytes()[:60])
    page = ready(visit(service))
    drop(page, broken, *mixed[:3])
    expect(tiles(page)).to_have_count(4)
    page.get_by_role("button", name="Failed").click()
    expect(tiles(page)).to_have_count(1)
    tiles(page).get_by_role("button").click()
    expect(page.locator("#verdict")).to_contain_text("Not scored")
    expect(page.locator("#verdict p").nth(1)).to_contain_text(broken.name)


def test_a_busy_service_is_waited_for(visit, service, mixed):
    page = ready(visit(service))
    refusal = {"status": 503, "headers": {"Retry-After": "1"}, "body": "{}"}
    page.route("**/v1/score*", lambda route: route.fulfill(**refusal), times=2)
    drop(page, *mixed[:6])
    expect(page.locator("#work-text")).to_contain_text("busy; trying again in 1 second")
    expect(tiles(page)).to_have_count(6)
    assert not [row for row in history(page).values() if row["error"]]


def test_a_model_is_taught_across_a_reload(visit, service, threes, digits, tmp_path):
    page = ready(visit(service))
    page.get_by_role("link", name="Teach").click()
    drop(page, *sorted(threes.train.iterdir())[:3])
    expect(page.locator("#lesson-advice")).to_contain_text("1 more")
    expect(page.get_by_role("button", name="Start training")).to_be_disabled()
    start_over = page.get_by_role("button", name="Start over")
    answered(start_over, "without the 3 pictures", accept=False)
    expect(page.locator("#lesson-count")).to_have_text("3 normal pictures")
    answered(start_over, "without the 3 pictures")
    folder = tmp_path / "sevens"
    write_images(folder, digits.of(7)[:110])
    (folder / "0003.png").write_bytes(b"no image")
    drop(page, folder)
    expect(page.locator("#lesson-count")).to_have_text("110 normal pictures")
    measured = re.compile(
        r"About \d+ (s|min), measured on this server just now: 10 epochs of \d+ s for the model, "
        r"and as many for (each of \d helper networks|a helper network)"
    )
    expect(page.locator("#lesson-time")).to_have_text(measured, timeout=90_000)
    page.get_by_text("A small fault").click()
    expect(page.locator("#lesson-size")).to_be_hidden()
    expect(page.locator("#course-accurate")).to_be_hidden()
    expect(page.locator("#lesson-time")).to_contain_text("Measuring how fast")
    page.get_by_text("A part of a large picture").click()
    expect(page.locator("#lesson-tile")).to_be_visible()
    page.get_by_text("The whole thing").click()
    page.get_by_label("Name of the model").fill("sevens")
    page.get_by_role("button", name="Start training").click()

    card = page.get_by_role("article", name="Training of sevens")
    expect(card).to_contain_text("running")
    expect(card).to_contain_text(re.compile(r"epoch \d+ of 10"), timeout=120_000)
    expect(card.get_by_role("img", name="Made faults recognised by epoch")).to_be_visible()
    page.reload()
    expect(card).to_contain_text("running")
    expect(card).to_contain_text("finished", timeout=120_000)
    expect(card).to_contain_text("1 file left out")
    words = card.inner_text()
    assert re.search(r"verdict: (good|usable|weak, do not rely on it)\. \w", words, re.I)
    assert re.search(r"next: (teach it again with|try it under|if \w+ )", words, re.I)
    assert "parameters" in words
    assert not re.search(r"--|adacl ", words), "no commands for a mouse"
    shown = card.locator("figcaption b").all_inner_texts()
    kept = page.evaluate(
        """() => fetch('/v1/trainings').then((answer) => answer.json()).then(
            ({ trainings: [one] }) => one.history.filter(({ stage }) => stage == 'network'))"""
    )
    epoch = kept[int(re.search(r"epoch (\d+) of 10 kept", words)[1]) - 1]
    own = [f"{epoch[key]:.3f}" for key in ("validation_auroc", "loss")]
    assert shown == own, "the figures of the model itself: of no fold, of no other epoch"

    with page.expect_download() as download:
        card.get_by_role("button", name="sevens.onnx").click()
    taught = tmp_path / "sevens.onnx"
    download.value.save_as(taught)
    card.get_by_role("button", name="Use sevens").click()
    expect(page.get_by_role("combobox", name="Model")).to_have_value("sevens")
    images = write_images(tmp_path / "new", np.stack([digits.of(7)[120], digits.of(0)[0]]))
    drop(page, *images)
    expect(tiles(page)).to_have_count(2)
    rows = history(page)
    for score in Scorer(taught).score_files(images):
        row = rows[score.path.name]
        assert row["model"] == "sevens"
        assert float(row["raw_score"]) == pytest.approx(score.raw, abs=1e-6)


def test_the_size_of_the_pictures_chooses_until_the_user_does(visit, service, digits, tmp_path):
    def folder(side):
        images = [Image.fromarray(image).resize((side, side)) for image in digits.of(3)[:4]]
        return write_images(tmp_path / str(side), np.stack(images))[0].parent

    page = ready(visit(f"{service}#teach"))
    whole, small, part = (page.locator("[name=look]").nth(number) for number in range(3))
    for side, chosen in ((THUMBNAIL + 1, small), (THUMBNAIL, whole)):
        drop(page, folder(side))
        why = page.locator("#look-why")
        expect(why).to_have_text(f"Chosen for pictures of {side} pixels on the shorter side.")
        expect(chosen).to_be_checked()
        expect(page.locator("#lesson-size")).to_be_visible(visible=chosen is whole)
        answered(page.get_by_role("button", name="Start over"), "Start over")
        expect(why).to_be_hidden()
    page.get_by_text("A part of a large picture").click()
    drop(page, folder(THUMBNAIL))
    expect(page.locator("#lesson-time")).not_to_be_empty()
    expect(part).to_be_checked()
    expect(why).to_be_hidden()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_the_estimate_of_a_changed_choice_arrives(visit, model, threes, tmp_path):
    """The measurement for the earlier choice, which never ends here, does not hold it up."""
    config = tmp_path / "config.toml"
    config.write_text(LEARNING.to_toml())
    with serving(model, "--config", config) as service:
        page = ready(visit(f"{address(service)}#teach"))
        drop(page, threes.train)
        os.kill(service.worker(), signal.SIGSTOP)
        page.get_by_text("Quick").click()
        arrived = re.compile(r"About \d+ (s|min), .*: 3 epochs of")
        assert MOST_SECONDS > 80
        expect(page.locator("#lesson-time")).to_have_text(arrived, timeout=80_000)


def test_a_model_may_be_named_in_any_script(visit, service):
    name = ready(visit(f"{service}#teach")).locator("#lesson-name")
    french = "e\N{COMBINING ACUTE ACCENT}tiquettes"
    for text in ("Flaschenhälse 2", "бутылка", "बोतल", "ชิ้นส่วน", french):
        name.fill(text)
        assert name.evaluate("input => input.checkValidity()"), text
    name.fill("../x")
    assert not name.evaluate("input => input.checkValidity()")


def test_a_training_is_cancelled(visit, service, threes):
    page = ready(visit(f"{service}#teach"))
    drop(page, threes.train)
    page.get_by_label("Name of the model").fill("given up")
    page.get_by_role("button", name="Start training").click()
    card = page.get_by_role("article", name="Training of given up")
    answered(card.get_by_role("button", name="Cancel"), "training of given up?", accept=False)
    expect(card.get_by_role("button", name="Cancel")).to_be_visible()
    answered(card.get_by_role("button", name="Cancel"), "training of given up?")
    expect(card).to_contain_text("cancelled")
    card.get_by_role("button", name="Remove from the list").click()
    expect(card).to_have_count(0)


def test_the_token_is_asked_for_and_a_lost_service_waited_for(visit, model, mixed):
    with serving(model, "--token", "open sesame") as service:
        page = visit(address(service))
        dialog = page.get_by_role("dialog", name="This server asks for a token")
        for given in ("部品", "wrong", "open sesame"):
            dialog.get_by_label("Token").fill(given)
            dialog.get_by_role("button", name="Continue").click()
        expect(dialog).to_be_hidden()
        ready(page).reload()
        drop(ready(page), mixed[0])
        expect(tiles(page)).to_have_count(1)
    drop(page, mixed[1])
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    with serving(model, "--port", service.port, "--token", "open sesame"):
        expect(tiles(page)).to_have_count(2)
        expect(page.get_by_role("alert")).to_be_hidden()


def test_a_model_that_is_gone_is_noticed(visit, service, mixed):
    page = ready(visit(service))

    def rename(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('"three"', '"former"'))

    page.route("**/v1/models", rename, times=1)
    page.reload()
    picker = ready(page).get_by_role("combobox", name="Model")
    expect(picker).to_have_value("former")
    drop(page, mixed[0])
    expect(page.locator("#verdict")).to_contain_text("no model is called 'former'")
    expect(picker).to_have_value("three")
    page.get_by_role("button", name="Score it with three").click()
    expect(page.locator("#verdict .score")).to_be_visible()


def test_without_a_model_the_page_leads_to_teaching(visit):
    with serving() as service:
        page = ready(visit(address(service)))
        page.get_by_role("link", name="Teach it what is normal").click()
        expect(page.get_by_role("heading", name="Teach it what is normal.")).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (768, "dark"), (1280, "light")])
def test_it_fits_every_screen_in_either_colour(visit, service, mixed, tmp_path, width, scheme):
    page = ready(visit(service, viewport={"width": width, "height": 800}, color_scheme=scheme))
    long = tmp_path / f"{'a-very-long-name-' * 9}.png"
    long.write_bytes(mixed[0].read_bytes())
    drop(page, long, *mixed[:7])
    expect(tiles(page)).to_have_count(8)
    for view in ("Inspect", "Teach"):
        page.get_by_role("link", name=view, exact=False).first.click()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width

    def lightness():
        return sum(
            map(
                int,
                re.findall(
                    r"\d+",
                    page.locator("body").evaluate("(b) => getComputedStyle(b).backgroundColor"),
                ),
            )
        )

    before = lightness()
    assert (before > 384) == (scheme == "light")
    page.get_by_role("button", name="Switch between light and dark").click()
    assert (lightness() > 384) == (scheme == "dark")
    page.reload()
    assert (lightness() > 384) == (scheme == "dark")


@pytest.mark.parametrize("width", [360, 1280])
def test_fingers_find_every_button(visit, model, mixed, tmp_path, width):
    with serving(model, "--log", tmp_path / "log.db") as service:
        viewport = {"width": width, "height": 800}
        page = ready(visit(address(service), viewport=viewport, has_touch=True, is_mobile=True))
        drop(page, *mixed[:2])
        expect(tiles(page)).to_have_count(2)
        expect(page.get_by_role("group", name="What it really is")).to_be_visible()
        for view in ("Inspect", "Teach"):
            page.get_by_role("link", name=view, exact=False).first.click()
            expect(page.locator(f"#{view.lower()}")).to_be_visible()
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width
            heights = page.locator("button:visible, select:visible, nav a").evaluate_all(
                "(all) => all.map((one) => one.getBoundingClientRect().height)"
            )
            assert len(heights) > 8
            assert min(heights) >= 44


def test_normal_pictures_are_recorded_from_the_camera(visit, service):
    page = ready(visit(f"{service}#teach"))
    page.get_by_role("button", name="Camera").click()
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#lesson-count")).to_have_text(re.compile(r"[3-9] normal pictures"))
    page.get_by_role("link", name="Inspect").click()
    expect(page.locator("#inspect")).to_be_visible()
    assert page.evaluate("() => document.getElementById('lesson-video').srcObject") is None


def test_what_a_picture_really_is_can_be_told(visit, model, mixed, tmp_path):
    where = tmp_path / "log.db"
    with serving(model, "--log", where) as service:
        page = ready(visit(address(service)))
        drop(page, *mixed[:2])
        expect(tiles(page)).to_have_count(2)
        tiles(page).first.get_by_role("button").click()
        truth = page.get_by_role("group", name="What it really is")
        truth.get_by_role("button", name="Anomalous").click()
        pressed = truth.get_by_role("button", name="Anomalous", pressed=True)
        expect(pressed).to_be_focused()
        expect(page.locator("#live-region")).to_have_text("Kept: 0000.png really is anomalous.")
        page.reload()
        expect(tiles(ready(page))).to_have_count(2)
        tiles(page).first.get_by_role("button").click()
        expect(pressed).to_be_visible()
        truth.get_by_role("button", name="Normal").click()
        expect(truth.get_by_role("button", name="Normal", pressed=True)).to_be_visible()
        (row,) = Records(str(where), create=False).read(told=True)
        assert (row["name"], row["true_label"]) == ("0000.png", 0)


def test_without_a_log_nothing_is_asked(visit, service, mixed):
    page = ready(visit(service))
    drop(page, mixed[0])
    expect(page.locator("#verdict .score")).to_be_visible()
    expect(page.get_by_role("group", name="What it really is")).to_have_count(0)
    expect(page.locator("#drift")).to_be_hidden()


def test_scores_that_have_moved_are_shown(visit, model, mixed, tmp_path):
    with serving(model, "--log", tmp_path / "log.db") as service:
        page = visit(address(service))
        drift = {"state": "steady", "reason": "", "distance": 0, "limit": 0.2, "scores": 200}
        content = {"log": True, "drift": {"three": drift | {"window": 200}}}
        page.route("**/v1/station", lambda route: route.fulfill(json=content))
        page.reload()
        ready(page)
        page.get_by_role("button", name="About this model").click()
        expect(page.locator("#facts-body")).to_contain_text(
            "Like those of normal pictures that it did not learn from"
        )
        page.get_by_role("button", name="Close").click()

        scored = {"pred_score": 0.4, "raw_score": 0.4, "pred_label": 0, "height": 8, "width": 8}
        answer = {"model": "three", "threshold": 0.5, "results": [{"name": "a.png", **scored}]}
        answer["drift"] = "80% lie <b>above"
        page.route("**/v1/score*", lambda route: route.fulfill(json=answer))
        drop(page, mixed[0])
        expect(page.locator("#drift")).to_contain_text("three have moved: 80% lie <b>above.")
        page.unroute("**/v1/score*")
        drop(page, mixed[1])
        expect(page.locator("#drift")).to_be_hidden()


def test_the_skip_link_stays_in_the_view(visit, service):
    page = ready(visit(f"{service}#teach"))
    page.get_by_role("link", name="Skip to the content").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    expect(page.locator("#teach")).to_be_visible()


def test_a_refused_download_is_said(visit, service):
    page = ready(visit(service))
    refusal = {"status": 500, "json": {"detail": "The file is gone."}}
    page.route("**/file?format=*", lambda route: route.fulfill(**refusal))
    page.get_by_role("button", name="About this model").click()
    button = page.get_by_role("button", name="three.onnx")
    button.click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text("The file is gone.")
    page.unroute("**/file?format=*")
    with page.expect_download():
        button.click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_count(0)


def test_a_model_chosen_while_the_page_asks_stays_chosen(visit, model, tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(model.read_bytes())
    with serving(model, other) as service:
        page = ready(visit(address(service)))
        picker = page.get_by_role("combobox", name="Model")
        picker.select_option("other")
        held = hold(page, "**/v1/station")
        page.evaluate("() => import('/static/models.js').then((m) => void m.refresh())")
        await_requests(page, held, 1)
        expect(picker).to_have_value("other")
        picker.select_option("three")
        held[0].continue_()
        page.wait_for_timeout(300)
        expect(picker).to_have_value("three")


def test_a_single_picture_on_its_way_is_to_be_seen(visit, service, mixed):
    page = ready(visit(service))
    hold(page, "**/v1/score*")
    drop(page, mixed[0])
    expect(page.locator("#work")).to_be_visible()
    expect(page.locator("#work-text")).to_have_text("0 of 1 scored")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#work")).to_be_hidden()
    page.unroute("**/v1/score*")
    drop(page, mixed[1])
    expect(tiles(page)).to_have_count(1)
    expect(page.locator("#work")).to_be_hidden()


def test_an_answer_cut_off_in_the_middle_is_asked_for_again(visit, service, mixed):
    page = ready(visit(service))
    page.evaluate(
        """() => { const whole = window.fetch; let cuts = 1;
        window.fetch = async (path, options) => {
            const response = await whole(path, options);
            if (!String(path).includes('/v1/score') || cuts-- < 1) return response;
            const pull = (body) => body.error(new TypeError('network error'));
            return new Response(new ReadableStream({ pull }), { status: 200 });
        } }"""
    )
    drop(page, *mixed[:3])
    expect(tiles(page)).to_have_count(3)
    assert not [row for row in history(page).values() if row["error"]]


def test_a_picture_that_changes_before_it_is_sent_is_named(visit, service, mixed, tmp_path):
    last = tmp_path / "last.png"
    last.write_bytes(mixed[0].read_bytes())
    page = ready(visit(service))
    page.evaluate(
        """() => { const whole = window.fetch;
        window.gate = new Promise((open) => { window.go = open });
        window.fetch = async (path, options) => {
            if (String(path).includes('/v1/score')) await gate;
            return whole(path, options);
        } }"""
    )
    drop(page, last)
    expect(page.locator("#work")).to_be_visible()
    last.write_bytes(mixed[1].read_bytes() + b"more")
    os.utime(last, (0, 0))  # a change within one second may pass for none
    page.evaluate("() => go()")
    expect(page.locator("#verdict")).to_contain_text("Not scored")
    expect(page.locator("#verdict p").nth(1)).to_contain_text("has changed or is gone")


def test_files_without_a_picture_are_said(visit, service, tmp_path):
    for name in ("a.csv", "b.txt"):
        (tmp_path / name).write_text("no picture")
    page = ready(visit(service))
    for view in ("Inspect", "Teach"):
        page.get_by_role("link", name=view, exact=False).first.click()
        drop(page, tmp_path)
        expect(page.get_by_role("alert")).to_contain_text("no pictures")


def test_an_answer_on_its_way_is_shown_when_it_is_kept(visit, model, mixed, tmp_path):
    with serving(model, "--log", tmp_path / "log.db") as service:
        page = ready(visit(address(service)))
        drop(page, mixed[0])
        truth = page.get_by_role("group", name="What it really is")
        held = hold(page, "**/v1/feedback")
        truth.get_by_role("button", name="Anomalous").click()
        page.locator("#threshold-number").fill("0.3")
        expect(truth.get_by_role("button", name="Normal")).to_be_disabled()
        await_requests(page, held, 1)
        held[0].continue_()
        expect(truth.get_by_role("button", name="Anomalous", pressed=True)).to_be_visible()


def test_the_camera_gives_way_to_the_picture_before(visit, service, mixed):
    page = ready(visit(service))
    drop(page, mixed[0])
    expect(page.locator("#verdict")).to_be_visible()
    page.get_by_role("button", name="Camera").last.click()
    expect(page.locator("#video")).to_be_visible()
    page.get_by_role("link", name="Teach").click()
    page.get_by_role("link", name="Inspect").click()
    expect(page.locator("#verdict")).to_contain_text("0000.png")


def test_a_late_live_verdict_is_not_shown_beside_the_picture_before(visit, service, mixed):
    page = ready(visit(service))
    drop(page, mixed[0])
    expect(tiles(page)).to_have_count(1)
    expect(page.locator("#map-text")).to_be_hidden()
    page.get_by_role("button", name="Camera").last.click()
    page.evaluate(
        """() => {
            window.decoding = 0;
            const decode = createImageBitmap;
            window.createImageBitmap = async (...given) => {
                window.decoding++;
                await new Promise((then) => setTimeout(then, 2000));
                return decode(...given);
            };
        }"""
    )
    page.get_by_role("button", name="Live").click()
    page.wait_for_function("() => window.decoding")
    page.locator("#camera-close").click()
    expect(page.locator("#verdict")).to_contain_text("0000.png")
    page.wait_for_timeout(3000)
    expect(page.locator("#verdict")).to_contain_text("0000.png")


def test_an_answer_does_not_cover_the_camera(visit, service, mixed):
    page = ready(visit(service))
    drop(page, mixed[0])
    expect(tiles(page)).to_have_count(1)
    held = hold(page, "**/v1/score*")
    drop(page, mixed[1])
    await_requests(page, held, 1)
    page.get_by_role("button", name="Camera").last.click()
    expect(page.locator("#video")).to_be_visible()
    held[0].continue_()
    expect(tiles(page)).to_have_count(2)
    expect(page.locator("#picture")).to_be_hidden()
    expect(page.locator("#verdict")).to_be_hidden()
    page.locator("#camera-close").click()
    expect(page.locator("#verdict")).to_contain_text("0001.png")


def test_live_switched_off_and_on_asks_one_picture_at_a_time(visit, service):
    page = ready(visit(service))
    page.get_by_role("button", name="Camera").first.click()
    held = hold(page, "**/v1/score*")
    live = page.get_by_role("button", name="Live")
    for _ in range(2):
        live.click()
        await_requests(page, held, 1)
    live.click()
    await_requests(page, held, 2)
    held[1].continue_()
    await_requests(page, held, 3)
    page.wait_for_timeout(500)
    assert len(held) == 3


def test_a_camera_that_is_unplugged_is_said(visit, service):
    page = ready(visit(service))
    page.get_by_role("button", name="Camera").first.click()
    page.get_by_role("button", name="Live").click()
    expect(page.locator("#rate")).to_contain_text("pictures a second")
    unplug = "(v) => v.srcObject.getTracks()[0].dispatchEvent(new Event('ended'))"
    page.locator("#video").evaluate(unplug)
    expect(page.get_by_role("alert")).to_contain_text("camera")
    expect(page.locator("#video")).to_be_hidden()
    page.get_by_role("link", name="Teach").click()
    page.locator("#teach").get_by_role("button", name="Camera").click()
    page.get_by_role("button", name="Record").click()
    page.locator("#lesson-video").evaluate(unplug)
    expect(page.locator("#filming")).to_be_hidden()
    expect(page.locator("#lesson-wrong")).to_contain_text("camera")


def test_sending_can_be_stopped_and_keeps_the_pictures(visit, service, threes):
    page = ready(visit(f"{service}#teach"))
    drop(page, threes.train)
    count = f"{len(list(threes.train.iterdir()))} normal pictures"
    expect(page.locator("#lesson-count")).to_have_text(count)
    page.get_by_label("Name of the model").fill("stopped")
    hold(page, "**/v1/trainings?*")
    page.get_by_role("button", name="Start training").click()
    page.get_by_role("button", name="Stop sending").click()
    expect(page.locator("#upload")).to_be_hidden()
    expect(page.locator("#lesson-count")).to_have_text(count)
    expect(page.get_by_role("button", name="Start training")).to_be_enabled()
    expect(page.locator("#lesson-wrong")).to_be_hidden()


def test_pictures_added_while_others_are_sent_are_refused_aloud(visit, service, threes, mixed):
    page = ready(visit(f"{service}#teach"))
    drop(page, threes.train)
    count = f"{len(list(threes.train.iterdir()))} normal pictures"
    expect(page.locator("#lesson-count")).to_have_text(count)
    page.get_by_label("Name of the model").fill("sent")
    hold(page, "**/v1/trainings?*")
    page.get_by_role("button", name="Start training").click()
    expect(page.locator("#upload")).to_be_visible()
    drop(page, mixed[0])
    expect(page.get_by_role("alert").first).to_contain_text("Not added")
    page.get_by_role("button", name="Stop sending").click()
    expect(page.locator("#lesson-count")).to_have_text(count)


def test_pictures_of_one_name_and_size_are_all_learned(visit, service, mixed, tmp_path):
    page = ready(visit(f"{service}#teach"))
    for number, folder in enumerate(("first", "second")):
        path = tmp_path / folder / "000.png"
        path.parent.mkdir()
        path.write_bytes(mixed[0].read_bytes())
        os.utime(path, (1e9 + number, 1e9 + number))
        for _ in range(2):
            with page.expect_file_chooser() as chooser:
                page.get_by_role("button", name="Pictures").click()
            chooser.value.set_files(path)
    expect(page.locator("#lesson-count")).to_have_text("2 normal pictures")


def test_trainings_keep_the_focus_and_are_asked_for_again(visit, service):
    page = ready(visit(service))
    one = {
        "images": 9,
        "epochs": 2,
        "progress": 0,
        "history": [],
        "position": None,
        "skipped": [],
        "error": None,
        "notes": [],
    }
    done = one | {
        "id": "a",
        "name": "done",
        "state": "finished",
        "model": "three",
        "created": "2026-01-01T00:00:00Z",
    }
    asked = []

    def answer(route):
        asked.append(route)
        if len(asked) == 2:
            return route.fulfill(status=500, json={"detail": "Once."})
        late = one | {
            "id": "b",
            "name": "late",
            "state": "running",
            "model": None,
            "progress": len(asked) / 100,
            "created": "2026-01-02T00:00:00Z",
        }
        route.fulfill(json={"trainings": [done, late]})

    page.route("**/v1/trainings", answer)
    page.get_by_role("link", name="Teach").click()
    button = page.get_by_role("article", name="Training of done").get_by_role(
        "button", name="three.onnx"
    )
    button.focus()
    await_requests(page, asked, 4)
    expect(button).to_be_focused()


def test_pictures_of_the_camera_are_named_by_the_local_time(visit, service):
    page = ready(visit(service, timezone_id="Asia/Tokyo"))
    page.get_by_role("button", name="Camera").first.click()
    page.get_by_role("button", name="Take a picture").click()
    expect(tiles(page)).to_have_count(1)
    (row,) = history(page).values()
    there = datetime.fromisoformat(row["scored_at"]).astimezone(ZoneInfo("Asia/Tokyo"))
    assert row["image_path"].startswith(f"camera-{there:%Y-%m-%dT%H}")
