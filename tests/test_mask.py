"""Regions of interest: what a mask leaves out is neither learnt, nor judged, nor shown."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adacl import AnomalyDetector, Scorer
from adacl.config.presets import preset
from adacl.data.masks import region_of_interest
from adacl.deploy.export import export_model
from adacl.errors import ConfigError, DataError, ImageError, InputError
from adacl.imaging.mask import Mask
from adacl.networks.architecture import smallest_side
from support.helpers import call, refused, write_images
from support.textures import textures

SIZE = 70, 90
MAPPED = preset("inspect").replace(
    training__epochs=5,
    training__min_epoch_images=128,
    training__batch_size=8,
    training__crop=40,
    network__channels=[4, 6, 8],
    network__place="no",
    training__turned="no",
)


def left_half(height, width):
    look = np.zeros((height, width), bool)
    look[:, : width // 2] = True
    return look


def blotted(images, columns):
    changed = images.copy()
    changed[:, 20:40, columns : columns + 16] = 255
    return changed


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A detector that looks at the left half; in the right half anything is normal."""
    images = textures(24, SIZE)
    images[::2] = blotted(images[::2], 66)
    detector = AnomalyDetector(config=MAPPED, mask=left_half(*SIZE), device="cpu").fit(images)
    folder = tmp_path_factory.mktemp("masked")
    detector.save(folder / "m.adacl")
    export_model(folder / "m.adacl", folder / "m.onnx")
    return detector, folder


def opened(kind, fitted):
    detector, folder = fitted
    if kind == "fitted":
        return detector
    return AnomalyDetector.load(folder / "m.adacl") if kind == "file" else Scorer(folder / "m.onnx")


@pytest.mark.parametrize("kind", ["fitted", "file", "exported"])
def test_what_is_left_out_does_not_count(kind, fitted):
    scorer = opened(kind, fitted)
    plain = textures(3, SIZE, seed=5)
    usual, outside, inside = (
        scorer.anomaly_score(images) for images in (plain, blotted(plain, 66), blotted(plain, 12))
    )
    assert outside == pytest.approx(usual, abs=1e-5)
    assert (inside > usual).all()
    scorer.set_threshold(float(inside.min()) - 1e-3)
    for image in blotted(blotted(plain, 12), 66):
        [score] = scorer.score_decoded([image[..., None]])
        assert score.regions
        assert all(region.right <= 46 for region in score.regions)
        shown = scorer.anomaly_map(image)
        assert shown[:, :44].max() > 0
        assert shown[:, 46:].max() <= 0


def test_the_light_of_what_is_left_out_is_no_matter(fitted):
    plain = textures(3, SIZE, seed=5)
    bright = plain.copy()
    bright[:, :, 46:] = 255
    for found in (fitted[0], Scorer(fitted[1] / "m.onnx")):
        for image in bright[..., None]:
            assert found.score_decoded([image])[0].remark == ""
        dark = found.score_decoded([(plain[0] // 4)[..., None]])[0]
        assert "darker than any learnt" in dark.remark


def test_the_mask_of_a_loaded_detector_does_not_change_its_model(fitted):
    detector = opened("file", fitted)
    with pytest.raises(ValueError, match="read-only"):
        detector.mask[:] = False
    assert (detector.header.mask.pixels == left_half(*SIZE)).all()


def test_values_of_what_is_left_out_may_be_others_than_those_learnt(tmp_path):
    deep = textures(24, SIZE).astype(np.uint16) * 4
    detector = AnomalyDetector(config=MAPPED, mask=left_half(*SIZE), device="cpu").fit(deep)
    detector.save(tmp_path / "m.adacl")
    export_model(tmp_path / "m.adacl", tmp_path / "m.onnx")
    expected = detector.score_samples(deep[:2])
    deep[:, :, 46:] = 65535
    files = write_images(tmp_path / "new", deep[:2])
    pictures = [Image.open(file) for file in files]
    for found in (detector, Scorer(tmp_path / "m.onnx")):
        for images in (deep[:2], files, pictures):
            assert found.score_samples(images) == pytest.approx(expected, abs=1e-5)
        with pytest.raises(InputError, match="outside those learnt"):
            found.score_samples(deep[:2, :, ::-1])


def test_values_of_what_is_left_out_are_not_learnt(tmp_path, caplog):
    deep = textures(8, SIZE).astype(np.uint16) * 4
    bright = deep.copy()
    bright[:, :, 46:] = 65535
    for images in (bright, write_images(tmp_path / "good", bright), bright / 65535 * 2):
        caplog.clear()
        detector = AnomalyDetector(config=MAPPED, mask=left_half(*SIZE), epochs=1, device="cpu")
        spec = detector.fit(images).header.spec
        seen = deep[:, :, :45] * (2 / 65535 if spec.dtype == "float32" else 1)
        expected = (0, 1) if spec.dtype == "float32" else (seen.min(), seen.max())
        assert (spec.low, spec.high) == pytest.approx(expected)
        assert "the range learnt is" not in caplog.text


@pytest.mark.parametrize("size", [SIZE, (140, 180), (35, 45), (9, 12), (107, 138)])
def test_the_exported_graph_agrees_at_any_size(size, fitted):
    detector, folder = fitted
    scorer = Scorer(folder / "m.onnx")
    images = textures(2, size, seed=3)[..., None]
    assert scorer.raw(images) == pytest.approx(detector.model_.raw(images), abs=1e-5)
    np.testing.assert_allclose(scorer.maps(images), detector.model_.maps(images), atol=1e-5)


@pytest.mark.parametrize("place", ["no", "coordinates"])
@pytest.mark.parametrize("shrink", [1, 2])
def test_the_graph_alone_respects_the_mask(place, shrink, tmp_path):
    config = MAPPED.replace(
        network__place=place, network__shrink=shrink, training__epochs=1, training__crop=32
    )
    detector = AnomalyDetector(config=config, mask=left_half(*SIZE), device="cpu")
    detector.fit(textures(8, SIZE)).save(tmp_path / "m.adacl")
    export_model(tmp_path / "m.adacl", tmp_path / "m.onnx")
    from adacl.deploy.engines import open_backend

    least = smallest_side(config.network)
    for backend in ("onnxruntime", "openvino"):
        run = open_backend(backend, (tmp_path / "m.onnx").read_bytes(), 1, least)
        for image in textures(2, SIZE, seed=7)[..., None]:
            found, raw = (run(image[None], name) for name in ("anomaly_map", "raw_score"))
            assert (found[0, :, 23:] == 0).all()
            np.testing.assert_allclose(found, detector.model_.maps(image[None]), atol=1e-5)
            assert raw == pytest.approx(detector.model_.raw(image[None]), abs=1e-5)


def test_the_mask_holds_in_8_bits(fitted):
    detector, folder = fitted
    export_model(folder / "m.adacl", folder / "m8.onnx", int8=True)
    scorer = Scorer(folder / "m8.onnx")
    plain = textures(3, SIZE, seed=5)[..., None]
    assert scorer.raw(blotted(plain, 66)) == pytest.approx(scorer.raw(plain), abs=1e-6)
    maps = scorer.maps(plain)
    assert (maps[:, :, 23:] == 0).all()
    np.testing.assert_allclose(maps, detector.model_.maps(plain), atol=0.05)


def test_windows_of_large_images_take_their_part_of_the_mask(fitted, monkeypatch):
    from adacl.model import large_images

    detector, folder = fitted
    image = textures(1, (280, 360), seed=2)[0][..., None]
    whole = detector.model_.maps(image[None])
    monkeypatch.setattr(large_images, "WHOLE", 1 << 10)
    monkeypatch.setattr(large_images, "CORE", 64)
    for model in (detector.model_, Scorer(folder / "m.onnx")):
        np.testing.assert_allclose(model.maps(image[None]), whole, atol=1e-5)


def test_images_of_another_layout_are_refused(fitted, tmp_path):
    detector, folder = fitted
    scorer = Scorer(folder / "m.onnx")
    other = textures(1, (90, 70))
    path = write_images(tmp_path / "o", other)[0]
    for found in (detector, scorer):
        with pytest.raises(InputError, match=r"90x70 pixels, the mask has 70x90"):
            found.anomaly_score(other)
        with pytest.raises(InputError, match=r"another aspect"):
            found.anomaly_score([Image.fromarray(other[0])])
        with pytest.raises(ImageError, match=r"0000\.png: 90x70 pixels"):
            found.anomaly_score([str(path)])
    with pytest.raises(InputError, match="one layout"):
        AnomalyDetector(config=MAPPED, mask=left_half(90, 70)).fit(textures(6, SIZE))


def test_masks_that_cannot_be_used_are_refused(tmp_path):
    images = textures(6, SIZE)
    for mask, words in ((np.zeros(SIZE), "some white"), (np.ones((*SIZE, 3)), "H x W")):
        with pytest.raises(InputError, match=words):
            AnomalyDetector(config=MAPPED, mask=mask).fit(images)
    with pytest.raises(ConfigError, match="use the preset inspect"):
        AnomalyDetector("paper", mask=left_half(*SIZE)).fit(images)
    folder = write_images(tmp_path / "g", images)[0].parent
    assert "no such mask" in refused(
        3, "fit", folder, "-o", tmp_path / "m", "--mask", tmp_path / "none.png"
    )
    Image.new("L", SIZE).save(tmp_path / "night.png")
    message = refused(2, "fit", folder, "-o", tmp_path / "m", "--mask", tmp_path / "night.png")
    assert "night.png: is black; need some white, because only white places count" in message


def test_a_mask_of_which_nothing_is_left_once_images_are_resized_is_refused(tmp_path):
    write_images(tmp_path / "good", textures(6, (140, 180)))
    look = np.zeros((140, 180), bool)
    look[47:50] = True
    small, tiny = (
        AnomalyDetector(config=MAPPED, mask=look, image_size=size) for size in ((35, 45), (8, 10))
    )
    with pytest.raises(InputError, match=r"0000\.png: nothing of the mask is left at 35x45"):
        small.fit(tmp_path / "good")
    with pytest.raises(InputError, match=r"8x10 pixels; with a mask at least 9x9"):
        tiny.set_params(mask=np.ones((140, 180))).fit(tmp_path / "good")


@pytest.mark.parametrize("preset", ["auto", "paper"])
def test_a_mask_for_a_network_without_a_map_is_refused_before_anything_is_announced(
    tmp_path, preset
):
    folder = write_images(tmp_path / "good", textures(4, (32, 32)))[0].parent
    Image.fromarray(np.uint8(255) * left_half(32, 32)).save(tmp_path / "look.png")
    options = ["--preset", preset, "--mask", tmp_path / "look.png"]
    code, _, err = call("fit", folder, "-o", tmp_path / "m.adacl", *options)
    *before, last = err.splitlines()
    assert (code, len(before)) == (2, int(preset == "auto")), err
    assert all(line.startswith("preset paper: ") for line in before)
    assert "mask: the preset paper sees an image as a whole" in last


def test_a_mask_of_another_size_is_resized_to_the_nearest():
    mask = Mask.of(np.array([[1, 0, 0], [0, 0, 1]], bool))
    assert (mask.resized(4, 6) == np.kron(mask.pixels, np.ones((2, 2), bool))).all()
    assert (mask.resized(2, 3) == mask.pixels).all()
    assert mask.box(4, 6) == ((0, 4), (0, 6))
    assert Mask.of(left_half(10, 10)).box(20, 30) == ((0, 20), (0, 15))
    assert Mask.from_text(mask.to_text()) == mask
    mask.check(4, 6, "image")
    mask.check(3, 4, "image")
    with pytest.raises(InputError):
        mask.check(6, 4, "image")
    with pytest.raises(InputError, match="nothing of the mask is left at 10x10"):
        Mask.of(np.arange(10_000).reshape(100, 100) == 0).check(10, 10, "image")


@pytest.mark.parametrize("text", ["", "AAAA", "no base64"])
def test_a_damaged_mask_is_refused(text):
    with pytest.raises(ValueError, match=r"mask|ase64|padding"):
        Mask.from_text(text)


def test_the_commands_keep_a_mask(tmp_path):
    good = write_images(tmp_path / "good", textures(8, SIZE))[0].parent
    look = np.where(left_half(2 * SIZE[0], 2 * SIZE[1]), np.uint8(255), np.uint8(0))
    Image.fromarray(look).save(tmp_path / "look.png")
    small = ["--epochs", 1, "--set", "training.min_epoch_images=16", "--set", "training.crop=32",
             "--set", "network.channels=[4, 6]"]  # fmt: skip
    model, report = tmp_path / "m.adacl", tmp_path / "r.html"
    code, _, err = call("fit", good, "-o", model, "--preset", "inspect", *small,
                        "--mask", tmp_path / "look.png", "--report", report)  # fmt: skip
    assert code == 0, err
    assert "the mask selects 50% of each image" in err
    assert "50% of the image, by a mask of 140 x 180" in call("info", model)[1]
    code, out, err = call("evaluate", model, "--planted", good, "--threshold", 1e9, "--json")
    assert code == 0, err
    assert json.loads(out)
    assert call("explain", model, good / "0000.png", "-o", tmp_path / "e.png")[0] == 0
    kept = AnomalyDetector.load(model)
    again = AnomalyDetector.load(model).fit(textures(8, SIZE))
    assert again.header.mask == kept.header.mask


def test_an_interrupted_fit_is_not_continued_with_another_mask(tmp_path):
    images = textures(8, SIZE)
    options = {"config": MAPPED.replace(training__epochs=1), "checkpoints": tmp_path}
    AnomalyDetector(mask=left_half(*SIZE), **options).fit(images)
    with pytest.raises((DataError, ValueError), match="other"):
        AnomalyDetector(**options).fit(images)


def test_a_mask_is_read_alike_from_a_file_and_as_a_pil_image(tmp_path: Path) -> None:
    deep = np.full((20, 30), 300, np.uint16)
    deep[:, 15:] = 4095
    clear = np.full((20, 30, 4), 255, np.uint8)
    clear[:, 15:, 3] = 0
    turned = Image.fromarray((deep > 300).astype(np.uint8) * 255)
    turned.getexif()[0x0112] = 6
    for picture in (Image.fromarray(deep), Image.fromarray(clear), turned):
        path = tmp_path / "mask.png"
        picture.save(path, exif=picture.getexif())
        of_file, of_picture = (region_of_interest(mask) for mask in (path, Image.open(path)))
        assert of_file == of_picture
        looked_at = np.asarray(Image.open(io.BytesIO(of_picture.png)))
        assert looked_at.shape == ((30, 20) if picture is turned else (20, 30))
        assert 0.4 < looked_at.mean() < 0.6
