"""Anomaly maps on defects planted at a known place, and the commands that show them."""

import json
import re
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from sklearn.metrics import roc_auc_score

from adacl import AnomalyDetector, Scorer
from adacl.cli.support.localisation import localisation
from adacl.data.images import read_image
from adacl.data.masks import check_masks, find_masks, read_mask
from adacl.data.video import Clip
from adacl.datasets import ucsd
from adacl.deploy.export import export_model
from adacl.errors import ConfigError, DataError, InputError, MissingDataError
from adacl.explain.heatmap import colours, overlay, to_png
from adacl.explain.maps import anomaly_map
from adacl.explain.occlusion import occlusion_map
from adacl.explain.picture import Shown, explained, peak_of
from adacl.imaging.blending import Blend
from adacl.imaging.spec import ImageSpec
from adacl.imaging.tiles import Tiling
from adacl.metrics import Localisation
from adacl.model.header import ModelHeader
from adacl.model.map_scale import MapScale
from adacl.model.threshold import Threshold
from support.helpers import LEARNING, call, refused, write_images

SIDE = 16
SCALE = MapScale(0.2, 0.3, 0.4)
FULL = SCALE.far - SCALE.usual


@pytest.fixture(scope="module")
def large_threes(digits):
    """Real 3s, enlarged to 16 x 16 pixels."""
    resized = [
        np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        for image in digits.of(3)
    ]
    return np.stack(resized)


@pytest.fixture(scope="module")
def detector(large_threes):
    return AnomalyDetector(config=LEARNING, contamination=0.02).fit(large_threes[:130])


@pytest.fixture(scope="module")
def planted(large_threes, detector):
    """Held-out 3s with a bright or dark square that the model flags, and where it is."""
    generator = np.random.default_rng(0)
    found = []
    for image in large_threes[130:]:
        for _ in range(2):
            top, left = generator.integers(0, SIDE - 4, 2)
            mask = np.zeros((SIDE, SIDE), bool)
            mask[top : top + 4, left : left + 4] = True
            changed = np.where(mask, 255 - image, image)
            if detector.predict(changed[None])[0] == -1:
                found.append((changed, mask))
    assert len(found) > 20
    return found


@pytest.fixture(scope="module")
def tile_detector(large_threes):
    """A model of tiles of 16 pixels, learned from sheets of 3s with nothing between them."""
    sheets = large_threes[:128].reshape(2, 8, 8, SIDE, SIDE).swapaxes(2, 3)
    sheets = sheets.reshape(2, 8 * SIDE, 8 * SIDE)
    cut = np.stack(
        [sheet[i : i + 64, j : j + 64] for sheet in sheets for i in (0, 64) for j in (0, 64)]
    )
    return AnomalyDetector(config=LEARNING, contamination=0.1, tile=(16, 16), stride=4).fit(cut)


@pytest.fixture(scope="module")
def files(detector, large_threes, planted, tmp_path_factory):
    """A model file, an exported one, and folders of good and bad images with their masks."""
    root = tmp_path_factory.mktemp("explain")
    detector.save(root / "m.adacl")
    export_model(root / "m.adacl", root / "m.onnx", dynamic_batch=True)
    write_images(root / "good", large_threes[130:136])
    write_images(root / "bad" / "inner", np.stack([image for image, _ in planted[:6]]))
    masks = np.stack([mask for _, mask in planted[:6]]).astype(np.uint8)
    for path, mask in zip(sorted((root / "bad" / "inner").iterdir()), masks, strict=True):
        target = root / "masks" / "inner" / f"{path.stem}_mask.bmp"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(target)
    return root


@pytest.mark.parametrize(("method", "least"), [("occlusion", 0.9), ("gradient", 0.8)])
def test_planted_defects_are_found(detector, planted, method, least):
    found = Localisation()
    for image, mask in planted:
        found.add(detector.anomaly_map(image, method), mask)
    assert found.pixel_auroc > least
    assert found.peaks_inside > 0.75


def test_normal_images_stay_quiet(detector, planted, large_threes):
    quiet = [detector.anomaly_map(image).max() for image in large_threes[130:142]]
    loud = [detector.anomaly_map(image).max() for image, _ in planted[:12]]
    scale = detector.header.map_scale
    assert np.median(quiet) < (scale.far - scale.usual) / 4
    assert np.median(loud) > 2 * np.median(quiet)


def test_the_highest_place_gets_what_the_score_has_above_the_usual(detector, planted):
    for image, _ in planted[:10]:
        found = detector.anomaly_map(image)
        assert found.shape == image.shape
        assert found.dtype == np.float32
        assert found.min() >= 0
        excess = -detector.score_samples(image[None])[0] - detector.threshold_
        falls = occlusion_map(detector.model_.raw, image[..., None])
        assert found.max() == pytest.approx(max(excess, falls.max()), rel=1e-5)


@pytest.mark.parametrize("method", ["occlusion", "gradient"])
def test_a_defect_in_a_large_image_is_found(tile_detector, large_threes, method):
    sheet = np.tile(large_threes[129], (8, 10))
    sheet[72:80, 100:108] = 255 - sheet[72:80, 100:108]
    found = tile_detector.anomaly_map(sheet, method)
    assert found.shape == sheet.shape
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 64 <= row < 88
    assert 92 <= column < 116
    mask = np.zeros(sheet.shape, bool)
    mask[72:80, 100:108] = True
    assert roc_auc_score(mask.ravel(), found.ravel()) > 0.95


def test_no_seams(tile_detector, large_threes):
    """Steps between neighbours at the borders of tiles are no larger than elsewhere."""
    generator = np.random.default_rng(0)
    sheet = np.concatenate([np.concatenate(generator.permutation(large_threes)[:8], 1)] * 6)
    found = tile_detector.anomaly_map(sheet)
    steps = np.abs(np.diff(found, axis=0))
    borders = np.arange(1, len(found)) % 4 == 0  # tiles begin at every fourth row
    assert steps[borders].mean() < 1.25 * steps[~borders].mean()
    assert steps.max() < 0.25 * np.ptp(found)


def test_images_smaller_than_a_tile(tile_detector, large_threes):
    assert tile_detector.anomaly_map(large_threes[0][:10, :13]).shape == (10, 13)


def fake(raw, tiling=None, side=32):
    threshold = Threshold(0.5, "manual", n=2, curve=((0.2, 0.5), (0.4, 0.0)))
    header = SimpleNamespace(map_scale=MapScale.of(threshold))
    spec = ImageSpec(side, side, 1)
    return SimpleNamespace(
        raw=raw, tiling=tiling, spec=spec, header=header, native_map=lambda image: None
    )


def test_tiles_count_from_what_is_usual():
    level = fake(lambda samples: np.full(len(samples), 0.7), Tiling(32, 32))
    found = anomaly_map(level, np.zeros((100, 90, 1), np.uint8))
    np.testing.assert_allclose(found, (0.7 - 0.2) / 2, rtol=1e-5)
    level.header.map_scale = MapScale.of(Threshold(0.6, "manual"))
    found = anomaly_map(level, np.zeros((100, 90, 1), np.uint8))
    np.testing.assert_allclose(found, (0.7 - 0.6) / 2, rtol=1e-5)


def test_memory_does_not_grow_with_the_image():
    """Beyond the image and its map, which is 4 bytes a pixel."""
    largest = 0

    def raw(samples):
        nonlocal largest
        largest = max(largest, samples.nbytes)
        return samples.mean((1, 2, 3)) / 255

    model = fake(raw, Tiling(32, 32))
    beyond = []
    for side in (1000, 2000):
        image = np.zeros((side, side, 1), np.uint8)
        tracemalloc.start()
        anomaly_map(model, image)
        beyond.append(tracemalloc.get_traced_memory()[1] - 4 * side**2)
        tracemalloc.stop()
    assert largest <= 1 << 21
    assert beyond[1] < 1.5 * beyond[0]


def test_exported_models_agree(files, detector, planted):
    scorer = Scorer(files / "m.onnx")
    for image, _ in planted[:5]:
        wanted = detector.anomaly_map(image)
        np.testing.assert_allclose(scorer.anomaly_map(image), wanted, atol=1e-4)


def test_exported_models_of_tiles_agree(tile_detector, large_threes, tmp_path):
    tile_detector.save(tmp_path / "t.adacl")
    export_model(tmp_path / "t.adacl", tmp_path / "t.onnx", dynamic_batch=True)
    sheet = np.concatenate([np.concatenate(large_threes[:5], 1)] * 3)
    wanted = tile_detector.anomaly_map(sheet)
    found = Scorer(tmp_path / "t.onnx").anomaly_map(sheet)
    assert np.abs(found - wanted).max() < 0.1 * np.ptp(wanted)


def test_a_file_gets_a_map_of_its_own_size(files, detector, planted, tmp_path):
    image, _ = planted[0]
    Image.fromarray(image).resize((48, 32)).save(tmp_path / "a.png")
    for model in (detector, Scorer(files / "m.onnx")):
        assert model.anomaly_map(tmp_path / "a.png").shape == (32, 48)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_any_kind_of_pixels(dtype):
    spread = fake(lambda samples: samples.astype(float).std((1, 2, 3)))
    image = np.zeros((24, 36, 2), dtype)
    image[6:10, 20:26] = 100
    found = anomaly_map(spread, image)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 6 <= row < 10
    assert 20 <= column < 26


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_white_images_stay_white_under_any_cover(dtype):
    white = np.iinfo(dtype).max

    def raw(samples):
        assert samples.min() > 0.999 * white
        return np.zeros(len(samples))

    occlusion_map(raw, np.full((64, 300, 1), white, dtype))


def test_unknown_and_impossible_methods(files, detector, planted):
    image, _ = planted[0]
    with pytest.raises(ConfigError, match="need one of occlusion, gradient"):
        detector.anomaly_map(image, "saliency")
    with pytest.raises(InputError, match="needs the model file, not an exported one"):
        Scorer(files / "m.onnx").anomaly_map(image, "gradient")
    with pytest.raises(InputError, match="do not go with a model"):
        detector.anomaly_map(image[:7])


@given(st.tuples(*[st.integers(8, 40)] * 2), st.tuples(*[st.integers(2, 8)] * 2), st.integers(1, 6))
def test_blends_keep_a_constant(shape, window, step):
    blend = Blend(shape, window, (min(step, window[0]), min(step, window[1])))
    for places in blend.batches(7):
        assert 1 <= len(places) <= 7
        for place in places:
            blend.add(place, 0.25)
    np.testing.assert_allclose(blend.finished(), 0.25, rtol=1e-4)


@given(
    arrays(np.float32, (6, 7), elements=st.integers(-8, 8).map(lambda n: n / 8)),
    arrays(bool, (6, 7)),
)
def test_pixel_auroc_is_that_of_scikit_learn(values, mask):
    if mask.all() or not mask.any():
        return
    found = Localisation()
    found.add(values[:4], mask[:4])
    found.add(values[4:], mask[4:])
    assert found.pixel_auroc == pytest.approx(roc_auc_score(mask.ravel(), values.ravel()))


def test_normal_images_count_as_normal_pixels():
    found = Localisation()
    found.add(np.array([[0.0, 1.0]]), np.array([[False, True]]))
    found.add(np.array([[2.0, 2.0]]), None)
    assert found.pixel_auroc == pytest.approx(1 / 3)
    found.add(np.array([[3.0, 0.0]]), np.array([[False, False]]))
    assert found.pixel_auroc == pytest.approx(2 / 5)
    assert (found.hits, found.n_masked, found.peaks_inside) == (1, 1, 1)


def test_colours_say_what_the_map_says():
    values = np.array([[-1.0, 0.0, FULL / 2, FULL, 9 * FULL]])
    layer = colours(values, SCALE)
    assert layer.shape == (1, 5, 4)
    assert (layer[0, :2, 3] == 0).all()
    assert 0 < layer[0, 2, 3] < layer[0, 3, 3]
    assert (layer[0, 3] == layer[0, 4]).all()
    image = np.full((1, 5, 3), 77, np.uint8)
    assert (overlay(image, np.minimum(values, 0), SCALE) == image).all()
    assert (overlay(image, values, SCALE)[0, 3] != 77).any()


def test_overlays_of_another_size_and_small_images():
    image = np.full((90, 60, 3), 20, np.uint8)
    values = np.zeros((9, 6), np.float32)
    values[2, 4] = FULL
    changed = (overlay(image, values, SCALE) != image).any(2)
    assert changed[25, 45]
    assert not changed[60:].any()


def test_colours_lie_on_grey_where_the_picture_is_colourful():
    image = np.full((9, 9, 3), (200, 40, 10), np.uint8)
    shown = overlay(image, np.zeros((9, 9), np.float32), SCALE)
    assert (np.ptp(shown, axis=2) == 0).all()


@pytest.mark.parametrize("side", [40, 1000])
def test_what_is_above_the_threshold_is_outlined(side):
    values = np.zeros((side, side), np.float32)
    values[side // 4 : side // 2, side // 4 : side // 2] = 0.15  # raw 0.35
    image = np.full((side, side, 3), 90, np.uint8)
    plain = overlay(image, values, SCALE)
    for threshold, drawn in ((0.3, True), (0.36, False), (None, False)):
        shown = overlay(image, values, SCALE, threshold)
        assert (shown != plain).any() == drawn
        assert (shown[values > 0] == plain[values > 0]).all(), "the line is drawn around"
    shown = overlay(image, values, SCALE, 0.3)
    assert (shown[side // 4 - 1, side // 3] == 255).all()
    assert (shown[side // 8, side // 3] == plain[side // 8, side // 3]).all()


def test_the_scale_runs_from_the_usual_over_the_threshold():
    threshold = Threshold(0.42, "hold-out", 0.01, 2, 1, 0.95, ((0.40, 0.5), (0.42, 0.0)))
    scale = MapScale.of(threshold)
    assert (scale.usual, scale.threshold, scale.far) == pytest.approx((0.40, 0.42, 0.44))
    for unknown in (Threshold(0.42, "contamination", 0.1, 9), Threshold(1e30, "manual")):
        scale = MapScale.of(unknown)
        assert scale.usual == scale.threshold == unknown.value < scale.far
    alike = Threshold(0.4, "calibration", 0.01, 2, 1, 0.95, ((0.4, 0.0),))
    assert MapScale.of(alike).far > 0.4
    for numbers in ((0.3, 0.2, 0.4), (0.1, 0.2, np.nan)):
        with pytest.raises(ValueError, match="map_scale"):
            MapScale(*numbers)


def test_a_threshold_by_hand_leaves_the_scale_and_calibrating_moves_it(
    detector, large_threes, tmp_path
):
    path = tmp_path / "m.adacl"
    detector.save(path)
    other = AnomalyDetector.load(path)
    scale = other.header.map_scale
    assert scale == detector.header.map_scale
    assert other.set_threshold(0.9).header.map_scale == scale
    assert other.calibrate(large_threes[130:], 0.1).header.map_scale != scale
    calibrated = other.header.map_scale
    assert calibrated.threshold == pytest.approx(other.threshold_)
    other.set_threshold(0.9).save(path)
    export_model(path, tmp_path / "m.onnx")
    assert AnomalyDetector.load(path).header.map_scale == calibrated
    assert Scorer(tmp_path / "m.onnx").header.map_scale == calibrated


def test_files_without_a_scale_get_that_of_their_threshold(detector):
    tree = detector.header.to_dict()
    del tree["map_scale"]
    assert ModelHeader.from_dict(tree).map_scale == MapScale.of(detector.header.threshold)


@pytest.mark.parametrize(
    ("raw", "threshold", "words"),
    [
        (0.35, 0.3, "0.3500"),
        (1.2, 0.3, "1.0000"),
        (1.2, 1.1, "1.0000 (raw 1.2000)"),
        (0.9, 1.1, "0.9000"),
        (-0.3, -0.2, "0.0000 (raw -0.3000)"),
    ],
)
def test_the_score_shown_agrees_with_the_verdict(raw, threshold, words):
    """Above 1 and below 0, scores are clipped, and thresholds are not."""
    empty = np.zeros((8, 8), np.float32)
    shown = Shown("part", np.zeros((8, 8, 3), np.uint8), empty, raw, threshold)
    assert shown.score == words


def test_the_picture_has_a_title_a_verdict_and_a_marker_for_anomalies_alone():
    values = np.full((40, 60), -0.1, np.float32)
    values[10, 20] = 0.15
    image = np.full((40, 60, 3), (200, 40, 10), np.uint8)
    shown = Shown("a very long name " * 20, image, values, 0.35, 0.3)
    picture = explained(shown, SCALE)
    normal = explained(shown._replace(raw=0.25), SCALE)
    differs = (picture != normal).any(2)
    middle, half = picture.shape[0] // 2, picture.shape[1] // 2
    assert half > 420
    assert not differs[100:middle, :half].any(), "the image itself stays"
    assert (picture[100:middle, :half] == (200, 40, 10)).all(2).any()
    assert (picture[100:middle, half:][differs[100:middle, half:]] == 255).all(1).any(), "marked"
    assert peak_of(values) == (10, 20)
    assert peak_of(np.minimum(values, 0)) is None


def test_the_picture_of_a_long_narrow_image_is_not_far_higher_than_the_image():
    values = np.zeros((300, 10_000), np.float32)
    shown = Shown("web", np.zeros((300, 10_000, 3), np.uint8), values, 0.35, 0.3)
    assert explained(shown, SCALE).shape[0] < 300 + 1000


def test_png_of_a_map(tmp_path):
    (tmp_path / "a.png").write_bytes(to_png(np.array([[-1, 0, FULL / 2, FULL, 1]]), SCALE))
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[0, 0, 128, 255, 255]]


def test_explain_writes_a_picture_and_says_where(files, planted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = sorted((files / "bad" / "inner").iterdir())[0]
    mask = planted[0][1]
    for model in ("m.adacl", "m.onnx"):
        code, out, err = call("explain", files / model, image, "--npy")
        assert code == 0, err
        assert "ANOMALOUS (threshold" in out
        values = np.load(tmp_path / f"{image.name}.heatmap.npy")
        row, column = np.unravel_index(values.argmax(), values.shape)
        assert f"row {row}, column {column} of 16x16" in out
        assert mask[row, column]
        with Image.open(tmp_path / f"{image.name}.heatmap.png") as picture:
            assert picture.width > 800
        code, out, err = call("explain", files / model, image, "--threshold", 2)
        assert "normal (threshold 2.0000); wrote" in out, "no place where nothing is wrong"


def test_explain_keeps_the_picture_of_another_image_of_the_same_name(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, image in zip("abc", sorted((files / "good").iterdir()), strict=False):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(image.read_bytes())

    def written(*arguments):
        code, out, err = call("explain", files / "m.adacl", *arguments)
        assert code == 0, err
        return out.strip().rpartition("; wrote ")[2]

    first = written("a/0.png")
    kept = Path(first).read_bytes()
    assert written("b/0.png", "--npy") == "0.png-2.heatmap.png"
    assert written("c") == "0.png-3.heatmap.png"
    assert written(tmp_path / "b" / "0.png") == "0.png-2.heatmap.png"
    assert written("a/0.png") == first == "0.png.heatmap.png"
    assert Path(first).read_bytes() == kept
    assert Path("0.png-2.heatmap.npy").exists()
    assert written("b/0.png", "-o", first) == first


def test_explain_replaces_no_values_of_others(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = sorted((files / "good").iterdir())[0]
    command = ["explain", files / "m.adacl", image, "--npy"]
    own, named = Path("own.npy"), [*command, "-o", "own.png"]
    np.save(own, np.zeros((3, 3), np.float32))
    before = own.read_bytes()
    assert "own.npy: is there" in refused(2, *named)
    assert own.read_bytes() == before
    assert not Path("own.png").exists()
    own.unlink()
    for _ in range(2):
        assert call(*named)[0] == 0
    np.save(own, np.arange(3))
    assert "own.npy: is there" in refused(2, *named)
    values = Path(f"{image.name}.heatmap.npy")
    values.write_text("notes")
    assert call(*command)[1].strip().endswith(f"wrote {image.name}-2.heatmap.png")
    assert values.read_text() == "notes"


def test_explain_several_images(files, tmp_path):
    code, out, err = call(
        "explain", files / "m.adacl", files / "good", files / "bad", "-o", tmp_path / "maps",
        "--method", "gradient",
    )  # fmt: skip
    assert code == 0, err
    assert len(out.splitlines()) == 12
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png")}
    assert "maps/good/0000.png.heatmap.png" in names
    assert "maps/bad/inner/0005.png.heatmap.png" in names
    assert len(names) == 12


@pytest.mark.parametrize("model", ["m.adacl", "m.onnx"])
def test_explain_passes_over_broken_images_as_score_does(files, tmp_path, model):
    folder, maps = tmp_path / "mixed", tmp_path / "maps"
    good = sorted((files / "good").iterdir())[0]
    folder.mkdir()
    for name in ("0.png", "2.png"):
        (folder / name).write_bytes(good.read_bytes())
    (folder / "1.png").write_text("no image")
    code, out, err = call("explain", files / model, folder, "-o", maps, "--npy")
    assert code == 0, err
    assert [line.split(":")[0] for line in out.splitlines()] == [
        str(folder / name) for name in ("0.png", "2.png")
    ]
    assert "skipped" in err
    assert "1.png: cannot be read (not an image)" in err
    assert "1 of 3 images was skipped" in err
    assert sorted(path.name for path in maps.iterdir()) == [
        f"{name}.png.heatmap.{kind}" for name in (0, 2) for kind in ("npy", "png")
    ]
    command = ["explain", files / model]
    assert "1.png" in refused(3, *command, folder, "-o", maps, "--on-error", "fail")
    assert "none of 1" in refused(3, *command, folder / "1.png", "-o", tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_explain_refuses(files, tmp_path):
    image = sorted((files / "good").iterdir())[0]
    before = image.read_bytes()
    assert "not an exported one" in refused(
        2, "explain", files / "m.onnx", image, "--method", "gradient", "-o", tmp_path / "a.png"
    )
    assert "is the model or the image" in refused(
        2, "explain", files / "m.adacl", image, "-o", image
    )
    assert image.read_bytes() == before
    assert "ends in .png" in refused(
        2, "explain", files / "m.adacl", image, "-o", tmp_path / "a.npy", "--npy"
    )
    for name in ("maps.png", "maps.jpg"):
        assert "name a folder" in refused(
            2, "explain", files / "m.adacl", files / "good", "-o", tmp_path / name
        )
        assert not (tmp_path / name).exists()
    message = refused(2, "explain", files / "m.adacl", files / "good", "-o", files / "m.onnx")
    assert "is a file, but a folder" in message
    assert "no such file" in refused(3, "explain", files / "m.adacl", tmp_path / "no.png")
    assert "does not exist" in refused(
        3, "explain", files / "m.adacl", image, "-o", tmp_path / "no" / "a.png"
    )


def test_score_writes_heat_maps(files, tmp_path):
    good, folder = files / "good", tmp_path / "heat"
    (tmp_path / "more" / "good").mkdir(parents=True)
    (tmp_path / "more" / "good" / "0000.png").write_bytes((good / "0000.png").read_bytes())
    (tmp_path / "more" / "good" / "broken.png").write_text("no image")
    plain = call("score", files / "m.adacl", good, tmp_path / "more")
    code, out, err = call("score", files / "m.adacl", good, tmp_path / "more", "--heatmaps", folder)
    assert code == 0, err
    assert out == plain[1]
    anomalous = out.count("ANOMALOUS")
    total = f"{anomalous} of 7 images {'is' if anomalous == 1 else 'are'} anomalous"
    assert err.splitlines()[-2:] == [total, f"heat maps in {folder}: 7"]
    assert plain[2].splitlines()[-1] == total
    written = sorted(folder.rglob("*.png"))
    assert len(written) == len({path.resolve() for path in written}) == 7
    with Image.open(written[0]) as picture:
        assert picture.size == (SIDE, SIDE)
        assert picture.mode == "RGB"


def test_heat_maps_of_other_images_are_kept(files, tmp_path):
    folder, names = tmp_path / "heat", ["0000.png", "0000.png-2"]
    for number, name in enumerate(names):
        (tmp_path / f"day{number}").mkdir()
        image = (files / "good" / f"000{number}.png").read_bytes()
        (tmp_path / f"day{number}" / "0000.png").write_bytes(image)
        for _ in range(2):
            code, _, err = call(
                "score", files / "m.adacl", tmp_path / f"day{number}", "--heatmaps", folder
            )
            assert code == 0, err
        made = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert sorted(made) == sorted(f"{n}.heatmap.png" for n in names[: number + 1]), name
    first, second = made.values()
    assert first != second


def test_heat_maps_among_the_images_are_refused(files):
    good = files / "good"
    places = {good: "is the folder of the images", good / "heat": f"lies in {good}"}
    for folder, place in places.items():
        for command, option in (("score", "--heatmaps"), ("explain", "-o")):
            message = refused(2, command, files / "m.adacl", good, option, folder)
            assert f"{folder}: {place}" in message
            assert "name a folder outside" in message


def test_evaluate_with_masks(files):
    arguments = ["evaluate", files / "m.onnx", "--normal", files / "good", "--abnormal"]
    arguments += [files / "bad", "--masks", files / "masks"]
    code, out, err = call(*arguments, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["pixel_auroc"] > 0.9
    assert found["peaks_inside"] > 0.6
    assert found["n_masked"] == 6
    code, out, err = call(*arguments)
    assert f"pixel AUROC        {found['pixel_auroc']:.4f}" in out
    assert f"peaks in the mask  {found['peaks_inside']:.2%} of 6 images" in out
    assert "inverted" not in err


def test_evaluate_doubts_inverted_masks(files, tmp_path):
    for mask in (files / "masks" / "inner").iterdir():
        target = tmp_path / "masks" / "inner" / mask.name
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - 255 * read_mask(mask, mask).astype(np.uint8)).save(target)
    code, _, err = call(
        "evaluate", files / "m.onnx", "--normal", files / "good", "--abnormal", files / "bad",
        "--masks", tmp_path / "masks",
    )  # fmt: skip
    assert code == 0, err
    assert re.search("the masks are white in [0-9]+% of their pixels, .* are they inverted", err)


def test_grey_levels_that_do_not_count_are_told(tmp_path, caplog):
    image = np.zeros((1, 24, 24), np.uint8)
    mask_of = {}
    for name, values in (("labels", (1, 3)), ("white", (255, 255)), ("soft", range(1, 256))):
        (path,) = write_images(tmp_path / name, image)
        pixels = image[0].copy()
        pixels[4:20, 4:20] = np.resize(values, 256).reshape(16, 16)
        mask_of[path] = path.with_suffix(".bmp")
        Image.fromarray(pixels).save(mask_of[path])
    missing = tmp_path / "gone.png"
    check_masks(mask_of | {missing: next(iter(mask_of.values()))})
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"{tmp_path / 'labels' / '0000.bmp'}: has several grey levels")


def test_an_image_that_vanishes_before_it_is_mapped_is_skipped(files, tmp_path, caplog):
    images = write_images(tmp_path / "bad", np.zeros((2, 16, 16), np.uint8))
    masks = write_images(tmp_path / "masks", np.eye(16, dtype=np.uint8)[None].repeat(2, 0))
    scorer = Scorer(files / "m.onnx", on_error="skip")
    scores = list(scorer.score_files(images))
    images[0].unlink()
    figures = localisation(scorer, [], scores, dict(zip(images, masks, strict=True)), quiet=True)
    assert figures["n_masked"] == 1
    assert f"skipped {images[0]}: no such file" in caplog.text


def test_an_image_or_mask_whose_size_changes_is_left_out_of_the_figures(files, tmp_path, caplog):
    images = write_images(tmp_path / "bad", np.zeros((3, 16, 16), np.uint8))
    masks = write_images(tmp_path / "masks", np.eye(16, dtype=np.uint8)[None].repeat(3, 0))
    scorer = Scorer(files / "m.onnx", on_error="skip")
    scores = list(scorer.score_files(images))
    Image.new("L", (24, 24)).save(images[0])
    Image.new("L", (8, 8)).save(masks[1])
    mask_of = dict(zip(images, masks, strict=True))
    assert localisation(scorer, [], scores, mask_of, quiet=True)["n_masked"] == 1
    assert f"skipped {masks[0]}: a mask of 16x16 pixels for {images[0]} of 24x24" in caplog.text
    assert f"skipped {masks[1]}: a mask of 8x8 pixels" in caplog.text
    assert "the figures of the maps leave 2 of 3 images out" in caplog.text
    masks[2].unlink()
    assert not localisation(scorer, [], scores, mask_of, quiet=True)
    assert "no masked image is left" in caplog.text
    with pytest.raises(DataError, match="a mask of 16x16"):
        localisation(Scorer(files / "m.onnx"), [], scores, mask_of, quiet=True)


def test_without_a_masked_pixel_that_can_be_measured_there_are_no_figures_of_maps(
    files, tmp_path, caplog
):
    """Broken images are not scored, and theirs may be all masks that are not black."""
    images = write_images(tmp_path / "bad", np.zeros((1, 16, 16), np.uint8))
    masks = write_images(tmp_path / "masks", np.zeros((1, 16, 16), np.uint8))
    scorer = Scorer(files / "m.onnx", on_error="skip")
    scores = list(scorer.score_files(images))
    assert localisation(scorer, [], scores, {images[0]: masks[0]}, quiet=True) == {}
    assert "no masked image is left" in caplog.text


def test_an_image_that_is_replaced_between_its_mask_and_its_map_is_left_out(
    files, tmp_path, caplog, monkeypatch
):
    images = write_images(tmp_path / "bad", np.zeros((2, 16, 16), np.uint8))
    masks = write_images(tmp_path / "masks", np.eye(16, dtype=np.uint8)[None].repeat(2, 0))
    scorer = Scorer(files / "m.onnx", on_error="skip")
    scores = list(scorer.score_files(images))
    measured = scorer.anomaly_map

    def replaced(path):
        Image.new("L", (24, 24)).save(images[0])
        return measured(path)

    monkeypatch.setattr(scorer, "anomaly_map", replaced)
    figures = localisation(scorer, [], scores, dict(zip(images, masks, strict=True)), quiet=True)
    assert figures["n_masked"] == 1
    assert f"skipped {images[0]}: has another size than before" in caplog.text


def test_masks_are_found_by_name(tmp_path):
    image = np.zeros((1, 8, 8), np.uint8)
    for name in ("large", "small"):
        write_images(tmp_path / "test" / name, image)
        write_images(tmp_path / "truth" / name, image)
    roots = [tmp_path / "test" / name for name in ("large", "small")]
    images = [root / "0000.png" for root in roots]
    wanted = [tmp_path / "truth" / name / "0000.png" for name in ("large", "small")]
    for given_roots in (roots, [tmp_path / "test"], images):
        found = find_masks(images, given_roots, tmp_path / "truth")
        assert [found[image] for image in images] == wanted
    with pytest.raises(DataError, match=r"is the mask of .* and of .*; put the masks of each"):
        find_masks(images, roots, tmp_path / "truth" / "large")


def test_masks_that_do_not_fit(tmp_path, files):
    (image,) = write_images(tmp_path / "bad", np.zeros((1, 16, 16), np.uint8))
    arguments = ["evaluate", files / "m.adacl", "--normal", files / "good"]
    arguments += ["--abnormal", tmp_path / "bad", "--masks", tmp_path / "masks"]
    assert "no such folder of masks" in refused(3, *arguments)
    (tmp_path / "masks").mkdir()
    missing = refused(3, *arguments)
    assert "has no mask in" in missing
    assert "; add it, or take the image out of the folder" in missing
    Image.new("L", (8, 8)).save(tmp_path / "masks" / "0000_gt.png")
    assert "a mask of 8x8 pixels" in refused(3, *arguments)
    Image.new("L", (16, 16)).save(tmp_path / "masks" / "0000.png")
    assert "has two masks" in refused(3, *arguments)
    (tmp_path / "masks" / "0000_gt.png").unlink()
    assert "0000.png: is black, and so are all the masks" in refused(3, *arguments)
    with pytest.raises(MissingDataError, match="has no mask"):
        find_masks([image], [image], tmp_path / "bad")


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize("value", [1, 255])
def test_masks_of_any_brightness(tmp_path, value, kind):
    pixels = np.zeros((8, 8), kind)
    pixels[2:4, 3:6] = value
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (read_mask(tmp_path / "a.png", tmp_path / "a.png") == (pixels > 0)).all()


@pytest.mark.realdata
def test_pedestrian_zone(data_dir):
    """Real frames and masks: better than by chance, and than a guess that all is in the middle."""
    root = data_dir / "ucsd_ped1"
    spans = ucsd.read_ground_truth(root / "UCSDped1")
    clip = Clip("Test001", root / "avi" / "Test001.avi")
    abnormal = ucsd.abnormal_frames(spans["Test001"], 200)
    normal = [frame.image for frame in clip.frames() if not abnormal[frame.number]][::4]
    detector = AnomalyDetector(config=LEARNING, contamination=0.05, tile=(32, 32)).fit(normal)
    found, middle = Localisation(), Localisation()
    masks = sorted((root / "UCSDped1" / "Test" / "Test014_gt").glob("*.png"))
    for frame in Clip("Test014", root / "avi" / "Test014.avi").frames():
        if frame.number % 20 == 0:
            mask = read_image(masks[frame.number], 1)[..., 0] > 0
            rows, columns = np.indices(mask.shape)
            values = -np.hypot(rows - mask.shape[0] / 2, columns - mask.shape[1] / 2)
            middle.add(values, mask)
            found.add(detector.anomaly_map(frame.image, "gradient"), mask)
    assert found.pixel_auroc > max(0.75, middle.pixel_auroc + 0.05)
