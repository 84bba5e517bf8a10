"""Input that cannot be what was learnt is converted where that is certain, else refused."""

import csv
import logging

import numpy as np
import pytest
import torch
from PIL import Image

from adacl import AnomalyDetector
from adacl.data.images import read_image
from adacl.errors import ImageError, InputError
from adacl.model.header import ModelHeader
from adacl.pyod_adapter import PyODDetector
from adacl.runtime import Scorer
from support.helpers import TINY, call, refused, write_images
from support.textures import textures

SIDE = 16
QUICK = ["--epochs", 1, "--set", "training.min_epoch_images=64", "--device", "cpu"]


def parts(count, channels=1, seed=0):
    """Grey or coloured images of 8 bits, values 60 to 190, each channel darker than the last."""
    rng = np.random.default_rng(seed)
    images = rng.integers(120, 191, (count, SIDE, SIDE, channels))
    return (images * np.linspace(1, 0.5, channels)).astype(np.uint8)


def dark(images, factor=0.5):
    return (images * factor).astype(np.uint8)


@pytest.fixture(scope="module")
def learnt():
    return parts(40), parts(10, seed=1)


@pytest.fixture(scope="module")
def grey(learnt):
    return AnomalyDetector(config=TINY, device="cpu").fit(learnt[0])


@pytest.fixture(scope="module")
def doors(grey, tmp_path_factory):
    """The same model behind every door for arrays."""
    folder = tmp_path_factory.mktemp("doors")
    grey.save(folder / "m.adacl")
    assert call("export", folder / "m.adacl", folder / "m.onnx", "--quiet")[0] == 0
    pyod = PyODDetector()
    pyod.detector, pyod.threshold_ = grey, grey.threshold_
    return {
        "detector": grey.score_samples,
        "loaded": AnomalyDetector.load(folder / "m.adacl").score_samples,
        "scorer": Scorer(folder / "m.onnx").score_samples,
        "pyod": lambda images: -pyod.decision_function(images),
    }


@pytest.fixture(scope="module")
def floating(learnt):
    return AnomalyDetector(config=TINY, device="cpu").fit(learnt[0] / 255)


FORMS = {
    "floats": lambda x: x / 255,
    "floats, rounded badly": lambda x: x / 255 * 1.0005 - 1e-4,
    "doubled depth": lambda x: x.astype(np.uint16) * 257,
    "pixel values as floats": lambda x: x.astype(float),
    "integers": lambda x: x.astype(np.int64),
    "channels first": lambda x: x.transpose(0, 3, 1, 2),
    "tensor": lambda x: torch.tensor(x / 255).permute(0, 3, 1, 2).requires_grad_(),
    "list of tensors": lambda x: [torch.tensor(image) for image in x],
    "pictures": lambda x: [Image.fromarray(image[..., 0]) for image in x],
    "deep pictures": lambda x: [Image.fromarray(i[..., 0].astype(np.uint16) * 257) for i in x],
    "pictures in colour": lambda x: [Image.fromarray(i[..., 0]).convert("RGB") for i in x],
}


@pytest.mark.parametrize("door", ["detector", "loaded", "scorer", "pyod"])
@pytest.mark.parametrize("form", FORMS)
def test_certain_forms_give_the_same_scores_at_every_door(form, door, doors, learnt):
    expected = doors[door](learnt[1])
    assert doors[door](FORMS[form](learnt[1])) == pytest.approx(expected, abs=1e-6)


def test_a_black_image_is_black_in_every_type(grey):
    black = np.zeros((1, SIDE, SIDE), np.uint8)
    assert grey.score_samples(black.astype(float)) == grey.score_samples(black)


@pytest.mark.parametrize("form", ["floats", "doubled depth", "tensor", "pictures"])
def test_a_model_of_floats_takes_full_scale(form, floating, learnt):
    expected = floating.score_samples(learnt[1] / 255)
    for given in (learnt[1], FORMS[form](learnt[1])):
        assert floating.score_samples(given) == pytest.approx(expected, abs=1e-4)
    assert (floating.predict(learnt[0]) == floating.predict(learnt[0] / 255)).all()


def test_floats_around_zero_are_taken_as_they_were_learnt(caplog):
    """Noise of a dark field, which is below 0 in half of the pixels, is no other range."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 2e-4, (30, SIDE, SIDE)).clip(-9e-4)
    lit = noise.copy()
    lit[:, 6:9, 6:9] += rng.random((30, 3, 3)) * 0.9
    for images, low, high in ((lit, 0, 1), (noise, noise.min(), noise.max())):
        detector = AnomalyDetector(config=TINY, device="cpu").fit(images)
        assert (detector.header.spec.low, detector.header.spec.high) == pytest.approx((low, high))
        caplog.clear()
        assert detector.score_samples(images).shape == (30,)
        assert not caplog.messages


def test_pictures_and_channels_first_can_be_fitted(grey, learnt):
    expected = grey.score_samples(learnt[1])
    pictures = [Image.fromarray(image[..., 0]) for image in learnt[0]]
    again = AnomalyDetector(config=TINY, device="cpu").fit(pictures)
    assert (again.score_samples(learnt[1]) == expected).all()
    first = torch.tensor(parts(20, 3)).permute(0, 3, 1, 2)
    detector = AnomalyDetector(config=TINY, device="cpu").fit(first)
    assert detector.header.spec.channels == 3
    pictures[3] = pictures[3].resize((20, 20))
    with pytest.raises(InputError, match="2 different sizes; resize them"):
        AnomalyDetector(config=TINY, device="cpu").fit(pictures)


@pytest.mark.parametrize("door", ["detector", "loaded", "scorer", "pyod"])
def test_what_cannot_be_right_is_refused_at_every_door(door, doors, learnt):
    for wrong, why in (
        (learnt[1] / 255.0 - 0.5, "float values"),
        ((learnt[1] > 130).astype(float), "pass uint8"),
        (learnt[1].repeat(3, 3), "convert them to grey"),
        (learnt[1][:, :5], "pass N x H x W x C"),
        (learnt[1][0, ..., 0], "shape|rows|holds|features"),
    ):
        with pytest.raises(ValueError, match=why):
            doors[door](wrong)


NO_IMAGES = [
    (np.full((2, SIDE, SIDE), np.nan), "NaN or infinity in 2 of 2, the first is number 0"),
    (np.where(np.arange(3) == 1, np.inf, np.zeros((SIDE, SIDE, 3))).T, "1 of 3, .* number 1"),
    (np.ma.masked_equal(np.eye(SIDE)[None], 0), "masked array are masked"),
    ([np.ma.masked_less(np.arange(SIDE**2).reshape(SIDE, SIDE), 9)], "masked array are masked"),
    (np.zeros((0, SIDE, SIDE)), "there are none"),
    ([], "there are none"),
    ((image for image in ()), "there are none"),
    (np.zeros(SIDE), r"shape \(16,\)"),
    ([[[1, 2], [3]]], "different lengths"),
    (None, "got NoneType"),
    ({"a": 1}, "got dict"),
]


@pytest.mark.parametrize(("wrong", "why"), NO_IMAGES)
def test_what_no_image_can_be_is_refused_everywhere(wrong, why, doors):
    calls = [*doors.values(), AnomalyDetector(config=TINY, device="cpu").fit]
    for call_with in calls:
        with pytest.raises(InputError, match=why):
            call_with(wrong)


def test_floats_far_outside_are_refused(floating, learnt):
    with pytest.raises(InputError, match=r"image number 0: 100% .* \(0 to 1\); scale the values"):
        floating.score_samples(learnt[1].astype(float))
    images = [*learnt[1] / 255] * 10 + [learnt[1][0].astype(float)]
    with pytest.raises(InputError, match="image number 100: 100% "):
        floating.score_samples(iter(images))


@pytest.mark.parametrize("form", ["grey", "colour", "deep"])
def test_arrays_of_another_size_are_resized_as_files_are(form, learnt, tmp_path):
    images = textures(12, (40, 60))
    if form == "colour":
        images = np.stack([images, images // 2, 255 - images], 3)
    elif form == "deep":
        images = images.astype(np.uint16) * 257
    files = write_images(tmp_path / "a", images)
    detector = AnomalyDetector(config=TINY, image_size=(16, 24), device="cpu").fit(tmp_path / "a")
    detector.save(tmp_path / "m.adacl")
    assert call("export", tmp_path / "m.adacl", tmp_path / "m.onnx", "--quiet")[0] == 0
    for scorer in (detector, Scorer(tmp_path / "m.onnx")):
        expected = scorer.score_samples(files)
        assert (scorer.score_samples(images) == expected).all()
        assert scorer.anomaly_map(images[0]).shape == (40, 60)
        assert (scorer.anomaly_map(images[0]) == scorer.anomaly_map(files[0])).all()


@pytest.mark.parametrize("door", ["detector", "loaded", "scorer", "pyod"])
def test_a_change_of_light_is_told_in_the_same_words(door, doors, learnt, caplog):
    doors[door](learnt[1])
    assert not caplog.messages
    doors[door](dark(learnt[1], 0.88))
    line = caplog.messages[0]
    assert line.startswith("these images are 12% darker than those learnt (mean 0.5")
    caplog.clear()
    doors[door](dark(learnt[1][:2]))
    (line,) = caplog.messages
    assert line.startswith("image number 0: darker than any learnt: mean 0.30, learnt 0.")
    assert line.endswith("(2 of 2 images differ from those learnt)")


def test_saturation_and_exchanged_channels_are_told(caplog):
    colour = parts(40, 3)
    detector = AnomalyDetector(config=TINY, device="cpu").fit(colour)
    detector.score_samples(colour[..., ::-1])
    assert "red and blue look exchanged; give RGB, not BGR" in caplog.text
    caplog.clear()
    caught = colour[:1].copy()
    caught[:, :7] = 255
    caught[:, 7:] = caught[:, 7:] // 30
    detector.score_samples(caught)
    assert "saturated: 44% of it is white, of those learnt at most 0%" in caplog.text


def deep_files(folder, count=30):
    """Images of a camera of 12 bits, values 707 to 3620."""
    images = textures(count, (SIDE, SIDE)).astype(float)
    images = (images - images.min()) / (images.max() - images.min())
    return write_images(folder, (707 + images * (3620 - 707)).astype(np.uint16))


def shallow(path, folder):
    """Write the same picture with 8 bits."""
    folder.mkdir(exist_ok=True)
    values = np.asarray(Image.open(path)).astype(float)
    Image.fromarray((values * 255 / 4095).round().astype(np.uint8)).save(folder / path.name)
    return folder / path.name


def test_eight_bits_for_a_model_of_twelve_are_refused_at_every_door(tmp_path, doors):
    files = deep_files(tmp_path / "good")
    detector = AnomalyDetector(config=TINY, device="cpu").fit(tmp_path / "good")
    detector.save(tmp_path / "m.adacl")
    assert call("export", tmp_path / "m.adacl", tmp_path / "m.onnx", "--quiet")[0] == 0
    wrong = shallow(files[0], tmp_path / "bad")
    noise = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE), np.uint8)
    for scorer in (detector, Scorer(tmp_path / "m.onnx")):
        for given in (wrong, [wrong], tmp_path / "bad"):
            with pytest.raises(ImageError, match=r"outside those learnt \(707 to 3620\); it has 8"):
                scorer.score_samples(given)
        for given in (noise, noise / 255, [Image.fromarray(noise[0])]):
            with pytest.raises(InputError, match=r"outside those learnt \(707 to 3620\)"):
                scorer.score_samples(given)
        assert len(scorer.score_samples(files)) == len(files)
    for model in ("m.adacl", "m.onnx"):
        err = refused(3, "score", tmp_path / model, wrong, "--on-error", "fail")
        assert "it has 8 bits, those learnt 16" in err
        assert "--white-level 4095" in err


def test_a_stated_white_level_makes_both_depths_one(tmp_path):
    files = deep_files(tmp_path / "good")
    command = ["fit", tmp_path / "good", "-o", tmp_path / "m.adacl", "--preset", "paper"]
    code, _, err = call(*command, "--white-level", 4095, *QUICK)
    assert code == 0, err
    detector = AnomalyDetector.load(tmp_path / "m.adacl")
    spec = detector.header.spec
    assert (spec.low, spec.high, spec.white) == (0, 4095, 4095)
    for file in files[:5]:
        small = shallow(file, tmp_path / "bad")
        assert (read_image(small, 1, "uint16", white=4095)[::2] <= 4095).all()
        assert detector.score_samples(small) == pytest.approx(
            detector.score_samples(file), abs=0.02
        )
    assert "white level" in refused(2, *command, "--white-level", 70000)


def test_pictures_of_both_depths_are_learnt_as_files_are(tmp_path):
    deep = deep_files(tmp_path / "good")
    files = [*deep[5:], *(shallow(file, tmp_path / "good" / "flat") for file in deep[:5])]
    by_files, by_pictures = (
        AnomalyDetector(config=TINY, device="cpu", white_level=4095).fit(images)
        for images in (files, [Image.open(file) for file in files])
    )
    assert (by_pictures.score_samples(files) == by_files.score_samples(files)).all()


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_stated_white_level_holds_for_arrays_and_pictures_of_either_depth(dtype, learnt):
    twelve_bits = [(x * (4095 / 255)).round().astype(np.uint16) for x in learnt]
    detector = AnomalyDetector(config=TINY, device="cpu", white_level=4095)
    detector.fit(twelve_bits[0] if dtype == "uint16" else learnt[0] / 255)
    expected = detector.score_samples(learnt[1] / 255)
    given = [learnt[1], twelve_bits[1]]
    if dtype == "uint16":
        given += [[Image.fromarray(image[..., 0]) for image in images] for images in given]
    for images in given:
        assert detector.score_samples(images) == pytest.approx(expected, abs=1e-3)


def test_mixed_depths_are_told_in_fitting(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    files = deep_files(tmp_path / "good")
    files += [shallow(file, tmp_path / "more") for file in files[:3]]
    for images in ([tmp_path / "good", tmp_path / "more"], [Image.open(file) for file in files]):
        caplog.clear()
        AnomalyDetector(config=TINY, device="cpu").fit(images)
        assert "3 of 33 images have 8 bits, the others 16" in caplog.text


def test_files_of_another_kind_or_shape_are_remarked_on(grey, tmp_path):
    write_images(tmp_path / "good", parts(30)[..., 0])
    command = ["fit", tmp_path / "good", "-o", tmp_path / "m.adacl", "--preset", "paper"]
    assert call(*command, *QUICK, "--quiet")[0] == 0
    write_images(tmp_path / "new", parts(1)[..., 0])
    Image.fromarray(parts(1, 3)[0]).save(tmp_path / "new" / "colour.png")
    Image.fromarray(parts(1)[0, :8, :, 0]).save(tmp_path / "new" / "wide.png")
    assert call("export", tmp_path / "m.adacl", tmp_path / "m.onnx", "--quiet")[0] == 0
    for model in ("m.adacl", "m.onnx"):
        code, out, _ = call("score", tmp_path / model, tmp_path / "new", "--format", "csv")
        assert code == 0
        rows = csv.DictReader(out.splitlines())
        usual, colour, wide = (row["remark"] for row in rows)
        assert usual == ""
        assert colour.endswith("in colour, those learnt are grey")
        assert wide == "of another shape than those learnt: 8x16, learnt 16x16"


@pytest.mark.parametrize(("learns", "sees"), [("L", "RGB"), ("RGB", "L"), ("RGB", "RGBA")])
def test_pictures_of_another_kind_are_remarked_on(learns, sees, learnt, caplog):
    pictures = [Image.fromarray(image[..., 0]) for image in learnt[0]]
    detector = AnomalyDetector(config=TINY, device="cpu").fit([p.convert(learns) for p in pictures])
    caplog.clear()
    expected = detector.score_samples([picture.convert(learns) for picture in pictures])
    assert not caplog.messages
    scores = detector.score_samples([picture.convert(sees) for picture in pictures])
    assert scores == pytest.approx(expected, abs=1e-6)
    kinds = {"L": "grey", "RGB": "in colour"}
    told = [f"images: {kinds[sees]}, those learnt are {kinds[learns]}"] if sees in kinds else []
    assert caplog.messages == told


def test_pictures_of_another_size_are_remarked_on_once_by_an_exported_file(doors, learnt, caplog):
    pictures = [Image.fromarray(image[..., 0]).resize((8, 16)) for image in learnt[1]]
    for door in ("detector", "scorer"):
        caplog.clear()
        doors[door](pictures)
        shape = "images: of another shape than those learnt: 16x8, learnt 16x16"
        assert caplog.messages.count(shape) == 1


def test_pictures_of_colours_that_are_not_converted_are_refused(grey):
    multiplied = [Image.new("LA", (SIDE, SIDE)).convert("La")] * 4
    words = "conversion from La to L not supported; save it as grey or RGB"
    with pytest.raises(InputError, match=f"image number 0: {words}"):
        grey.score_samples(multiplied)
    with pytest.raises(InputError, match=f"PIL images: {words}"):
        AnomalyDetector(config=TINY, device="cpu").fit(multiplied)


def test_pictures_for_a_model_of_other_channels_are_refused():
    for channels in (2, 4):
        detector = AnomalyDetector(config=TINY, device="cpu").fit(parts(20, channels))
        with pytest.raises(InputError, match=f"takes {channels}-channel arrays cannot score PIL"):
            detector.score_samples([Image.fromarray(parts(1)[0, ..., 0])])


def test_older_model_files_open_and_say_less(grey, learnt, caplog):
    tree = grey.header.to_dict()
    del tree["training"]["learnt"], tree["spec"]["white"]
    model = grey.model_
    kept, model.header = model.header, ModelHeader.from_dict(tree)
    try:
        scores = grey.score_samples(dark(learnt[1]))
    finally:
        model.header = kept
    assert not caplog.messages
    assert (grey.score_samples(dark(learnt[1])) == scores).all()


@pytest.mark.parametrize(
    "broken", [{}, [], {"level": [1]}, {"level": [0, 0, 0, 0, "x"], "ends": [0, 0], "channels": []}]
)
def test_a_record_that_is_not_sound_is_refused(broken, grey):
    tree = grey.header.to_dict()
    tree["training"] = tree["training"] | {"learnt": broken}
    with pytest.raises((KeyError, TypeError, ValueError)):
        ModelHeader.from_dict(tree)


def test_one_image_for_several_and_several_for_one_are_told_apart(learnt, grey, tmp_path):
    colour = AnomalyDetector(config=TINY, device="cpu").fit(parts(40, 3))
    image = parts(1, 3, seed=2)[0]
    with pytest.raises(InputError, match="pass N x H x W x C, with N = 1 for one image"):
        colour.score_samples(image)
    colour.save(tmp_path / "m.adacl")
    assert call("export", tmp_path / "m.adacl", tmp_path / "m.onnx", "--quiet")[0] == 0
    scorer = Scorer(tmp_path / "m.onnx")
    assert -scorer(image).raw == scorer.score_samples(image[None])[0]
    with pytest.raises(InputError, match="one image is N x H x W with N = 1"):
        scorer.score_samples(image[..., 0])
    paths = write_images(tmp_path / "files", parts(2, 3))
    several = r"need one, .*got {} of shape {}; anomaly_score and score_files take several"
    for given, kind, shape in (
        (parts(2, 3), "ndarray", r"\(2, 16, 16, 3\)"),
        (paths, "list", r"\(2,\)"),
    ):
        with pytest.raises(InputError, match=several.format(kind, shape)):
            scorer(given)
    with pytest.raises(InputError, match="convert them to grey"):
        grey.anomaly_map(image)
    with pytest.raises(InputError, match="this looks like one image with 3 channels"):
        grey.score_samples(image)
    with pytest.raises(InputError, match="like one image; pass N x H x W, with N = 1 for one"):
        grey.score_samples(parts(1)[0, ..., 0])
    for given, kind in ((b"\x89PNG", "bytes"), (None, "NoneType")):
        with pytest.raises(InputError, match=f"a PIL image or a tensor, got {kind}$"):
            scorer(given)
