"""Inspection of parts and surfaces: what is chosen by itself, bad input, and the walk of a user."""

import csv
import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from adacl import AnomalyDetector, Scorer, image_detector
from adacl.config.presets import by_size, preset
from adacl.errors import AdaclError, ConfigError, DataError
from adacl.model.peak_scale import PeakScale
from adacl.model.threshold import margin
from adacl.training.splits import split_once
from support.helpers import call, refused, write_images
from support.serving import serving
from support.textures import scratched, textures

SMALL = preset("inspect").replace(
    training__epochs=1,
    training__min_epoch_images=16,
    training__batch_size=4,
    training__crop=40,
    network__channels=[4, 6, 8, 8],
)
OPTIONS = [
    *("--epochs", 1),
    *("--set", "training.min_epoch_images=256"),
    *("--set", "training.crop=48"),
    *("--set", "network.channels=[6, 8, 8]"),
]
SIZES = [(80, 96), (90, 70), (101, 75)]


def files(folder, images):
    """Write images of any sizes and modes."""
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:02d}.png")
    return folder


def of_many_sizes(count, seed=0):
    return [textures(1, SIZES[n % 3], seed + n)[0] for n in range(count)]


@pytest.mark.parametrize(
    ("sizes", "name"),
    [
        ([(64, 64)], "paper"),
        ([(64, 900)], "paper"),
        ([(65, 65)], "inspect"),
        ([(32, 32), (70, 500), (90, 66)], "inspect"),
        ([(500, 500), (60, 500), (40, 40)], "paper"),
    ],
)
def test_the_median_of_the_shorter_sides_decides(sizes, name, caplog):
    with caplog.at_level(logging.INFO, "adacl"):
        assert by_size(sizes) == preset(name)
    assert f"preset {name}" in caplog.text
    assert "64" in caplog.text


@pytest.mark.parametrize(
    ("side", "options", "name", "why"),
    [
        (64, [], "paper", "64 pixels"),
        (65, [], "inspect", "65 pixels"),
        (96, ["--image-size", "32x32"], "paper", "32 pixels"),
        (40, ["--image-size", "80x80"], "inspect", "80 pixels"),
        (96, ["--tile", "32x32"], "paper", "tiles"),
        (96, ["--preset", "paper"], "paper", None),
        (40, ["--preset", "inspect"], "inspect", None),
    ],
)
def test_the_command_line_chooses_and_says_why(side, options, name, why, tmp_path):
    folder, model = tmp_path / "good", tmp_path / "m.adacl"
    write_images(folder, textures(6, (side, side)))
    code, _, err = call("fit", folder, "-o", model, *options, "--epochs", 1,
                        "--set", "training.min_epoch_images=8")  # fmt: skip
    assert code == 0, err
    said = [line for line in err.splitlines() if line.startswith("preset ")]
    if why:
        assert len(said) == 1
        assert said[0].startswith(f"preset {name}: ")
        assert why in said[0]
    else:
        assert not said
    assert json.loads(call("info", model, "--json")[1])["config"]["preset"] == name


@pytest.mark.parametrize(
    ("side", "tile", "name"), [(20, None, "paper"), (72, None, "inspect"), (72, (32, 32), "paper")]
)
def test_a_detector_chooses_by_arrays_and_by_files(side, tile, name, tmp_path, caplog, monkeypatch):
    class FitError(Exception):
        """Ends a fit whose method is settled."""

    def fit_model(samples, config, **_):
        configs.append(config)
        raise FitError

    configs = []
    monkeypatch.setattr(image_detector, "fit_model", fit_model)
    images = textures(6, (side, side))
    write_images(tmp_path, images)
    for given in (images, tmp_path):
        with caplog.at_level(logging.INFO, "adacl"), pytest.raises(FitError):
            AnomalyDetector(tile=tile).fit(given)
        assert f"preset {name}" in caplog.text
        caplog.clear()
    assert configs == [preset(name)] * 2


def test_what_inspection_does_not_take_is_refused(tmp_path):
    folder = files(tmp_path / "good", of_many_sizes(6))
    target = tmp_path / "m"
    assert "use --preset paper" in refused(2, "fit", folder, "-o", target, "--add", "blur")
    words = refused(2, "fit", folder, "-o", target, "--preset", "inspect", "--tile", "32x32")
    assert "leave tile out" in words
    for setting, remedy in (
        ("local.shapes={star = 1}", "known are blob"),
        ("local.fillings={star = 1}", "known are another"),
        ("local.opacity=[0.0, 0.5]", "local.opacity"),
        ("local.clean=1.0", "local.clean"),
        ("local.most=0", "local.most"),
        ("training.crop=16", "training.crop"),
        ("network.window=4", "odd"),
        ("training.keep=best", "training.keep"),
        ("network.channels=[64, 128, 256]", "300,000"),
    ):
        assert remedy in refused(2, "fit", folder, "-o", target, "--set", setting)
    assert not target.exists()


def test_hints_raise_what_is_expected_and_keep_the_level(tmp_path):
    folder = files(tmp_path / "good", of_many_sizes(8))
    twice = ("--expect", "scratches") * 2
    hints = (*twice, "--expect", "spots", "--light", "fixed", "--turned", "no")
    code, _, err = call("fit", folder, "-o", tmp_path / "m.adacl", *OPTIONS, *hints)
    assert code == 0, err
    usual, found = preset("inspect"), AnomalyDetector.load(tmp_path / "m.adacl").header.config
    assert found.training.light == 0 < usual.training.light
    assert found.training.turned == "no" != usual.training.turned
    for setting, name, factor in (
        ("shapes", "scar", 4),
        ("shapes", "blob", 2),
        ("shapes", "rectangle", 1),
        ("fillings", "tone", 3),
    ):
        shares, before = getattr(found.local, setting), getattr(usual.local, setting)
        assert shares[name] == pytest.approx(factor * before[name])


def test_varying_light_is_learnt_to_hardly_matter(tmp_path):
    folder = files(tmp_path / "good", of_many_sizes(8))
    for light, varies in (("varies", True), ("fixed", False)):
        code, _, err = call("fit", folder, "-o", tmp_path / light, *OPTIONS, "--light", light)
        assert code == 0, err
        found = AnomalyDetector.load(tmp_path / light).header.config
        assert (found.training.light_loss > 0) == varies
        assert (found.training.light > 0) == varies
    assert not preset("inspect").training.light_loss


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--expect", "dirt"), "--expect dirt: need one of missing, scratches, spots, wear"),
        (("--light", "dim"), "--light dim: need one of varies, fixed"),
        (("--turned", "maybe"), "--turned maybe: need one of yes, no, auto"),
        (("--expect", "wear", "--set", "local.fillings={flat=1.0}"), "--expect wear: none of what"),
        (("--turned", "no", "--set", "network.upright=yes"), "--turned no: with network.upright"),
        (("--turned", "yes", "--set", "training.turned=no"), "--turned and --set training.turned:"),
        (("--light", "fixed", "--set", "training.light=0.3"), "--light and --set training.light:"),
        (("--light", "fixed", "--set", "training.tint=0.3"), "--light and --set training.tint:"),
        (
            ("--light", "varies", "--set", "training.light_loss=1"),
            "--light and --set training.light_loss:",
        ),
        (("--light", "varies", "--config", "dark.toml"), "--light varies: with training.light=0"),
        (("--expect", "spots", "--preset", "paper"), "takes no hints; use --preset inspect"),
    ],
)
def test_hints_that_do_not_suit_are_refused(options, words, tmp_path, monkeypatch):
    folder = files(tmp_path / "good", of_many_sizes(8))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dark.toml").write_text('preset = "inspect"\n[training]\nlight = 0')
    code, _, err = call("fit", folder, "-o", tmp_path / "m.adacl", *options)
    assert code != 0
    assert words in " ".join(err.split())
    assert not (tmp_path / "m.adacl").exists()


def test_files_that_cannot_be_decoded_are_told(tmp_path):
    for path in write_images(tmp_path, textures(5, (72, 72))):
        path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="none of 5 image files"):
        AnomalyDetector(on_error="skip").fit(tmp_path)


def test_crops_must_leave_the_coarsest_stage_a_rim():
    stages = {"network__channels": [4] * 6}
    with pytest.raises(ConfigError, match=r"training\.crop"):
        SMALL.replace(**stages, training__crop=64)
    assert SMALL.replace(**stages, training__crop=65).training.crop == 65


rng = np.random.default_rng(0)
ODD = {
    "mixed sizes": lambda: of_many_sizes(7),
    "mixed modes": lambda: [
        *textures(3, (70, 70)),
        *np.repeat(textures(2, (70, 80))[..., None], 3, 3),
        *np.repeat(textures(2, (80, 70))[..., None], 4, 3),
    ],
    "16 bits": lambda: list(textures(5, (70, 72)) * np.uint16(200)),
    "16 and 8 bits": lambda: [*(textures(3, (70, 72)) * np.uint16(200)), *textures(3, (70, 72))],
    "smaller than the stride": lambda: list(textures(6, (8, 8))),
    "one pixel wide": lambda: list(textures(6, (90, 1))),
    "small among large": lambda: [*textures(5, (70, 70)), *textures(2, (4, 9))],
    "constant, but different": lambda: [np.full((70, 70), 30 * n, np.uint8) for n in range(6)],
    "four": lambda: list(textures(4, (70, 70))),
    "long": lambda: list(textures(5, (24, 400))),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_images_have_an_answer(name, tmp_path):
    folder = files(tmp_path / "images", ODD[name]())
    fitted = AnomalyDetector(config=SMALL, device="cpu").fit(folder)
    others = files(tmp_path / "others", [*textures(2, (75, 64), 9), *textures(1, (3, 11), 9)])
    scores = fitted.score_samples([folder, others])
    assert len(scores) == len(list(folder.iterdir())) + 3
    assert np.isfinite(scores).all()
    assert np.isfinite(fitted.threshold_)
    for path in [*sorted(folder.iterdir())[:1], *sorted(others.iterdir())]:
        found = fitted.anomaly_map(path)
        assert found.shape == Image.open(path).size[::-1]
        assert np.isfinite(found).all()
    fitted.save(tmp_path / "m.adacl")
    again = AnomalyDetector.load(tmp_path / "m.adacl", device="cpu")
    assert np.array_equal(again.score_samples([folder, others]), scores)


@pytest.mark.parametrize(
    "image",
    [np.full((70, 70), 90, np.uint8), np.zeros((70, 70), np.uint16), textures(1, (70, 70))[0]],
)
def test_one_image_repeated_is_refused(image, tmp_path):
    folder = files(tmp_path / "images", [image] * 8)
    with pytest.raises(DataError, match=r"at least 4 different .* got 8 images, 1 distinct"):
        AnomalyDetector(config=SMALL, device="cpu").fit(folder)


def test_held_out_normals_above_the_threshold_are_named(tmp_path, caplog):
    images = [textures(1, (70, 70), n)[0] for n in range(104)]
    folder = files(tmp_path / "good", images)
    with caplog.at_level(logging.INFO, "adacl"):
        fitted = AnomalyDetector(config=SMALL, device="cpu").fit(folder)
    (line,) = [text for text in caplog.messages if text.startswith("look at the normal images")]
    paths = sorted(folder.iterdir())
    held_out = split_once(len(paths), 150, SMALL.threshold, 0).calibration
    assert len(held_out) == 20
    scores = {str(paths[n]): -fitted.score_samples([paths[n]])[0] for n in held_out}
    above = [path for path, score in scores.items() if score > fitted.threshold_]
    assert line.rpartition(": ")[2].split(", ") == above
    assert len(above) == 1
    second = sorted(scores.values())[-2]
    assert fitted.threshold_ == pytest.approx(second + margin(second), abs=1e-9)


def test_too_few_images_are_refused_with_a_remedy(tmp_path):
    folder = files(tmp_path / "images", list(textures(3, (70, 70))))
    with pytest.raises(DataError, match="at least 4"):
        AnomalyDetector(config=SMALL).fit(folder)


@pytest.mark.parametrize("size", [(80, 1), (4, 96), (1, 1)])
def test_images_of_a_few_pixels_among_many_end_no_fit(size, tmp_path):
    few = [np.full(size, level, np.uint8) for level in range(8)]
    folder = files(tmp_path / "parts", [*few, *of_many_sizes(24)])
    fitted = AnomalyDetector(config=SMALL, device="cpu").fit(folder)
    assert np.isfinite(fitted.score_samples(folder)).all()


def test_a_broken_image_is_not_among_the_sizes_learnt(tmp_path):
    folder = files(tmp_path / "parts", [*of_many_sizes(6), *textures(1, (300, 300))])
    broken = folder / "06.png"
    broken.write_bytes(broken.read_bytes()[:2000])
    fitted = AnomalyDetector(config=SMALL, device="cpu", on_error="skip").fit(folder)
    assert fitted.header.training["images"] == 6
    assert fitted.header.learnt.sizes == ((80, 70), (101, 96))


def test_arrays_that_cannot_be_right_are_refused():
    fitted = AnomalyDetector(config=SMALL, device="cpu").fit(textures(6, (40, 44)))
    assert len(fitted.score_samples(textures(2, (50, 33)))) == 2
    for wrong in (
        np.zeros((2, 40, 44, 3), np.uint8),
        np.full((2, 40, 44), 1.5, np.float32),
        np.full((2, 40, 44), np.nan, np.float32),
    ):
        with pytest.raises((AdaclError, ValueError)):
            fitted.score_samples(wrong)


def test_equal_seeds_give_equal_files(tmp_path):
    folder = files(tmp_path / "images", of_many_sizes(8))
    contents = []
    for seed in (0, 0, 1):
        AnomalyDetector(config=SMALL, device="cpu", random_state=seed).fit(folder).save(
            tmp_path / "m.adacl"
        )
        found = AnomalyDetector.load(tmp_path / "m.adacl").score_samples(folder)
        contents.append(found.tobytes())
    assert contents[0] == contents[1] != contents[2]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Folders of surfaces of many sizes, good and scratched, with masks, and a model."""
    root = tmp_path_factory.mktemp("parts")
    files(root / "good", of_many_sizes(20))
    (root / "good" / "broken.png").write_bytes(b"no image")
    files(root / "fresh", of_many_sizes(6, 100))
    bad = [scratched(image[None], n) for n, image in enumerate(of_many_sizes(6, 200))]
    files(root / "bad", [image[0] for image, _ in bad])
    files(root / "masks", [mask[0].astype(np.uint8) * 255 for _, mask in bad])
    code, _, err = call("fit", root / "good", "-o", root / "m.adacl", *OPTIONS)
    assert code == 0, err
    assert err.count("broken.png") == 1
    assert "one network is trained" in err
    code, _, err = call("export", root / "m.adacl", root / "m.onnx")
    assert code == 0, err
    return root


MODELS = ["m.adacl", "m.onnx"]


@pytest.mark.parametrize("model", MODELS)
def test_score_with_heat_maps_and_a_report(model, parts, tmp_path):
    arguments = ["score", parts / model, parts / "fresh", parts / "bad", "--format", "jsonl"]
    arguments += ["--heatmaps", tmp_path / "maps", "--report", tmp_path / "r.html"]
    code, out, err = call(*arguments)
    assert code == 0, err
    scores = [json.loads(line)["pred_score"] for line in out.splitlines()]
    assert len(scores) == 12
    assert np.mean(scores[6:]) > np.mean(scores[:6])
    for path in sorted((parts / "bad").iterdir()):
        (found,) = (tmp_path / "maps").rglob(f"bad/{path.name}*")
        assert Image.open(found).size == Image.open(path).size
    assert "<html" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", MODELS)
def test_records_name_regions_and_remark_on_the_light(model, parts, tmp_path):
    dark = files(tmp_path / "dark", [image // 3 for image in of_many_sizes(2, 300)])
    threshold = -AnomalyDetector.load(parts / "m.adacl").score_samples(parts / "bad").max() - 1e-3
    score = ["score", parts / model, parts / "bad", dark, "--threshold", threshold]
    code, out, err = call(*score, "--format", "jsonl")
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    scorer = Scorer(parts / "m.onnx").set_threshold(threshold)
    for line, path in zip(lines[:6], sorted((parts / "bad").iterdir()), strict=True):
        assert line["pred_label"] == 1
        assert "remark" not in line
        assert len(line["regions"]) == len(scorer(path).regions) > 0
        height, width = np.asarray(Image.open(path)).shape
        for region in line["regions"]:
            assert 0 <= region["top"] <= region["row"] < region["bottom"] <= height
            assert 0 <= region["left"] <= region["column"] < region["right"] <= width
            assert region["area"] >= 16 or len(line["regions"]) == 1
            assert region["peak"] > threshold
    for line in lines[6:]:
        assert line["remark"].startswith("darker than any learnt: mean 0.1")
    code, out, err = call(*score, "--format", "csv")
    rows = list(csv.DictReader(out.splitlines()))
    assert [json.loads(row["regions"] or "[]") for row in rows] == [
        line.get("regions", []) for line in lines
    ]
    assert "darker than any learnt" in call(*score)[1]


@pytest.mark.parametrize("method", ["occlusion", "gradient"])
def test_explain_writes_the_native_map(method, parts, tmp_path):
    options = ["-o", tmp_path, "--npy", "--method", method]
    code, out, err = call("explain", parts / "m.adacl", parts / "bad", *options)
    assert code == 0, err
    fitted = AnomalyDetector.load(parts / "m.adacl")
    for path in sorted((parts / "bad").iterdir()):
        (saved,) = tmp_path.rglob(f"{path.name}*.npy")
        assert np.array_equal(np.load(saved), fitted.anomaly_map(path))
        assert path.name in out


@pytest.mark.parametrize("model", MODELS)
def test_evaluate_measures_maps_by_masks(model, parts, tmp_path):
    arguments = [
        "evaluate",
        parts / model,
        "--normal",
        parts / "fresh",
        "--abnormal",
        parts / "bad",
    ]
    code, out, err = call(
        *arguments, "--masks", parts / "masks", "--json", "--report", tmp_path / "r.html"
    )
    assert code == 0, err
    found = json.loads(out)
    assert found["auroc"] > 0.5
    assert any("pixel" in name for name in _names(found))
    assert (tmp_path / "r.html").stat().st_size > 10_000


@pytest.mark.parametrize("model", MODELS)
def test_evaluate_tells_the_smallest_planted_defect(model, parts, tmp_path):
    command = ["evaluate", parts / model, "--planted", parts / "fresh"]
    code, out, err = call(*command, "--threshold", 1e9)
    assert code == 0, err
    assert "planted in 6 images only" in out.splitlines()[-1]
    assert out.count(" 0%") == 32
    scores = AnomalyDetector.load(parts / "m.adacl").score_samples(parts / "fresh")
    command += ["--threshold", -scores.min() + 1e-3, "--json"]
    code, out, err = call(*command)
    assert code == 0, err
    found = json.loads(out)
    assert (found["n_normal"], found["n_left_out"]) == (6, 0)
    assert 0.03 < found["local_variation"] < 0.1
    share = {(r["shape"], r["size"], r["contrast"]): r["found"] / r["n"] for r in found["planted"]}
    assert len(share) == 32
    assert share["spot", 16, 0.4] > share["spot", 2, 0.05]
    assert call(*command)[1] == out
    assert call(*command, "--seed", 1)[0] == 0


def test_planted_defects_need_images_that_are_not_flagged(parts):
    command = ["evaluate", parts / "m.adacl", "--planted", parts / "fresh"]
    assert "all 6 images are flagged as they are" in refused(3, *command, "--threshold", -1e9)
    assert "--planted takes no" in refused(2, *command, "--normal", parts / "good")
    assert "--planted" in refused(2, *command[:2], "--normal", parts / "good")
    err = call("evaluate", parts / "m.adacl", "--planted", parts / "good", "--threshold", 1e9)[2]
    assert "20 of these images were used in fitting" in err


def _names(tree):
    for name, value in tree.items():
        yield name
        if isinstance(value, dict):
            yield from _names(value)


def test_calibrate_sets_the_threshold_anew(parts, tmp_path):
    target = tmp_path / "c.adacl"
    code, _, err = call("calibrate", parts / "m.adacl", parts / "fresh", "-o", target, "--fpr", 0.2)
    assert code == 0, err
    scores = -AnomalyDetector.load(target).score_samples(parts / "fresh")
    assert (scores > AnomalyDetector.load(target).threshold_).mean() <= 0.2


@pytest.mark.parametrize("model", MODELS)
def test_info_tells_what_images_are_taken(model, parts):
    code, out, err = call("info", parts / model)
    assert code == 0, err
    assert "inspect" in out
    assert "any size" in out


def test_a_fit_writes_a_report(parts, tmp_path):
    report = tmp_path / "r.html"
    code, _, err = call(
        "fit", parts / "fresh", "-o", tmp_path / "m", "--report", report, *OPTIONS, "--json"
    )
    assert code == 0, err
    text = report.read_text(encoding="utf-8")
    assert "local" in text
    assert "cut_paste" not in text


def test_an_exported_scorer_draws_the_same_map(parts):
    scorer, fitted = Scorer(parts / "m.onnx"), AnomalyDetector.load(parts / "m.adacl")
    for path in sorted((parts / "bad").iterdir()):
        assert np.abs(scorer.anomaly_map(path) - fitted.anomaly_map(path)).max() < 1e-4


def test_an_input_size_is_refused(parts, tmp_path):
    words = refused(2, "export", parts / "m.adacl", tmp_path / "x.onnx", "--input-size", "64x64")
    assert "images of any size" in words


def test_an_export_in_eight_bits_scores_files_of_many_sizes_alike(parts, tmp_path):
    code, _, err = call("export", parts / "m.adacl", tmp_path / "q.onnx", "--int8")
    assert code == 0, err
    assert "int8" in err
    paths = sorted((parts / "fresh").iterdir())
    exact, eight = Scorer(parts / "m.onnx"), Scorer(tmp_path / "q.onnx")
    wanted, found = (np.array([s.raw for s in x.score_files(paths)]) for x in (exact, eight))
    assert 0 < np.abs(found - wanted).max() < 0.02
    maps = [scorer.anomaly_map(paths[0]) for scorer in (exact, eight)]
    assert np.abs(maps[0] - maps[1]).mean() < 0.01


def test_a_service_answers_images_of_many_sizes_as_offline(parts):
    paths = sorted((parts / "bad").iterdir())
    scorer = Scorer(parts / "m.onnx")
    wanted = (-scorer.score_samples(paths)).tolist()
    with serving(parts / "m.onnx") as service:
        answer = service.send([(path.name, path.read_bytes()) for path in paths])
        (shown,) = service.score(paths[0].read_bytes(), "anomaly_map=true").json["results"]
    results = answer.json["results"]
    assert [result["raw_score"] for result in results] == pytest.approx(wanted, abs=1e-6)
    heights = [(result["height"], result["width"]) for result in results]
    assert heights == [SIZES[number % 3] for number in range(6)]
    for result, path in zip(results, paths, strict=True):
        regions = [region._asdict() for region in scorer(path).regions]
        assert result.get("regions", []) == regions
    found = scorer.anomaly_map(paths[0])
    row, column = np.unravel_index(found.argmax(), found.shape)
    peak = shown["anomaly_map"]["peak"]
    assert peak == pytest.approx([(row + 0.5) / found.shape[0], (column + 0.5) / found.shape[1]])


def test_the_service_finds_regions_above_the_threshold_of_the_request(parts):
    path = next((parts / "bad").iterdir())
    scorer = Scorer(parts / "m.onnx")
    raw = scorer(path).raw
    with serving(parts / "m.onnx") as service:
        for threshold in (raw + 0.01, raw - 0.01, raw - 0.05):
            found = service.score(path.read_bytes(), f"threshold={threshold}").json["results"][0]
            score = scorer.set_threshold(scorer.threshold.moved_to(threshold))(path)
            assert found["pred_label"] == int(threshold < raw) == bool(score.regions)
            assert found.get("regions", []) == [region._asdict() for region in score.regions]


def test_an_image_flagged_by_many_places_has_regions_of_these(parts):
    detector = AnomalyDetector.load(parts / "m.adacl", device="cpu")
    scorer = detector.model_
    scorer.header = replace(scorer.header, peak_scale=PeakScale(0.3, 1.0))
    faint = np.full((30, 40), 0.1, np.float32)
    faint[5:25, 5:35] = 0.4
    detector.set_threshold(0.5)
    assert scorer.peaks(faint[None])[0] > 0.5
    image = np.zeros((60, 80, scorer.spec.channels), scorer.spec.dtype)
    (region,) = scorer.verdict(image, faint, "", 0.0).regions
    assert (region.top, region.left, region.bottom, region.right) == (10, 10, 50, 70)
