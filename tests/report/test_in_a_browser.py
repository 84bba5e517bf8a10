"""The page of ``--report`` in a real browser, opened from disk."""

import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from adacl import AnomalyDetector
from adacl.data.video import Frame
from adacl.model.file import load_model
from adacl.report.subject import readable
from adacl.report.tally import STEPS
from adacl.report.timeline import Timeline
from adacl.video.alarms import Alarm
from adacl.video.frame_scores import FrameScore
from support.helpers import LEARNING, call, write_images
from support.reports import HOSTILE, embedded, records

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


def test_the_remark_on_an_image_is_shown(visit, shop, digits, tmp_path):
    paths = write_images(tmp_path / "few", digits.of(3)[:2])
    paths += write_images(tmp_path / "few" / "white", np.full((1, 8, 8), 255, np.uint8))
    page = tmp_path / "few.html"
    code, _, err = call("score", shop / "threes.adacl", tmp_path / "few", "--report", page)
    assert code == 0, err
    shown = visit(page)
    (row,) = shown.locator("#rows tr", has_text="may be wrong: brighter than any learnt").all()
    row.locator("td.wide button").click()
    expect(shown.locator("#viewer-words")).to_contain_text("may be wrong: brighter than any")


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


def test_the_timeline_names_times_and_moves_by_keyboard(browser, tmp_path):
    times = np.linspace(0, 119.96, 61)
    frames = [Frame(i, t, np.full((4, 4, 3), i, np.uint8)) for i, t in enumerate(times)]
    scores = [FrameScore(i, t, 0.2, 0.2, None, np.full(1, np.nan)) for i, t in enumerate(times)]
    timeline = Timeline(SimpleNamespace(alarm=Alarm(0.5)), "a clip")
    assert list(timeline.watch(frames, scores)) == scores
    timeline.write(tmp_path / "page.html", [])
    page = browser.new_page(has_touch=True)
    page.goto((tmp_path / "page.html").as_uri())
    expect(page.locator("#times span").last).to_have_text("2:00.0")
    chart = page.get_by_role("slider")
    for key, time in {"End": "2:00.0", "PageDown": "1:48.0", "Home": "0:00.0"}.items():
        chart.press(key)
        expect(page.locator("#time")).to_have_text(time)
        expect(chart).to_have_attribute("aria-valuetext", time)
    expect(chart).to_have_css("touch-action", "pan-y")
    page.close()
