import json
import logging
import re
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from adacl import AnomalyDetector, Scorer
from adacl.config import Config
from adacl.data.arrays import as_images
from adacl.data.folders import list_images
from adacl.datasets import catalogue
from adacl.deploy.export import export_model
from adacl.errors import (
    AdaclError,
    ConfigError,
    DataError,
    ImageError,
    InputError,
    MissingDataError,
    ModelFileError,
)
from adacl.imaging.tiles import Tiling
from adacl.metrics import auroc
from adacl.model.threshold import margin
from support.helpers import LEARNING, TINY, write_images

EXPECTED_FAILED: dict[str, str] = {}
"""Checks of scikit-learn that are expected to fail, with the reason."""


@parametrize_with_checks(
    [AnomalyDetector(config=TINY, device="cpu")],
    expected_failed_checks=lambda _: EXPECTED_FAILED,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def tiny(**parameters):
    return AnomalyDetector(**({"config": TINY, "device": "cpu"} | parameters))


@pytest.fixture(scope="module")
def normal(digits):
    return digits.of(3)[:60]


@pytest.fixture(scope="module")
def fitted(normal):
    return tiny().fit(normal)


@pytest.fixture
def detector(normal):
    """Return a detector that a test may change."""
    return tiny().fit(normal)


def write_threes(folder, normal):
    return write_images(folder, normal[:20])


def test_it_learns(digits):
    detector = tiny(config=LEARNING).fit(digits.of(3)[:120])
    scores = [detector.anomaly_score(x) for x in (digits.of(3)[120:], digits.other_than(3))]
    assert auroc(*scores) > 0.85
    assert all(s.min() >= 0 and s.max() <= 1 for s in scores)
    assert scores[1].std() > 0.05


@pytest.mark.realdata
def test_it_learns_a_class_of_mnist(data_dir):
    images, labels = catalogue.load("mnist", "train", data_dir)
    detector = tiny(config=LEARNING).fit(images[labels == 3][:1000])
    images, labels = (part[:2000] for part in catalogue.load("mnist", "test", data_dir))
    raw = -detector.score_samples(images)
    assert auroc(raw[labels == 3], raw[labels != 3]) > 0.8


def test_the_scores_and_the_decision_agree(fitted, digits):
    images = digits.images[:200]
    raw = -fitted.score_samples(images)
    assert (fitted.anomaly_score(images) == raw.clip(0, 1)).all()
    assert (fitted.decision_function(images) == -raw - fitted.offset_).all()
    flagged = raw > fitted.threshold_
    assert (fitted.predict(images) == np.where(flagged, -1, 1)).all()
    assert (flagged == (fitted.decision_function(images) < 0)).all()


def test_forms_of_the_same_images_give_the_same_scores(normal, fitted, digits):
    def scores(convert, **parameters):
        detector = tiny(**parameters).fit(convert(normal))
        return detector.score_samples(convert(digits.images[:50]))

    expected = fitted.score_samples(digits.images[:50])
    assert (scores(lambda x: x[..., None]) == expected).all()
    assert (scores(lambda x: x.reshape(len(x), -1)) == expected).all()
    assert (scores(lambda x: x.reshape(len(x), -1), image_shape=(8, 8)) == expected).all()
    assert (scores(lambda x: pd.DataFrame(x.reshape(len(x), -1))) == expected).all()
    assert (scores(lambda x: np.asfortranarray(x)) == expected).all()
    for convert in (
        lambda x: x / 255,
        lambda x: (x / 255).astype(np.float32),
        lambda x: x.astype(np.uint16) * 257,
        lambda x: x.tolist(),
    ):
        assert scores(convert) == pytest.approx(expected, abs=1e-3)


def test_colour(digits):
    colour = np.stack([digits.images, digits.images // 2, 255 - digits.images], axis=3)
    detector = tiny().fit(colour[:50])
    assert detector.model_.spec.channels == 3
    assert detector.score_samples(colour[:5]).shape == (5,)
    assert detector.n_features_in_ == 8 * 8 * 3


def test_deep_images_of_a_shallow_camera_use_their_own_range(normal):
    detector = tiny().fit(normal.astype(np.uint16) * 16)
    assert (detector.model_.spec.low, detector.model_.spec.high) == (0, 16 * int(normal.max()))


def test_names_of_columns_are_kept(normal):
    frame = pd.DataFrame(normal.reshape(60, -1), columns=[f"pixel {n}" for n in range(64)])
    detector = tiny().fit(frame)
    assert list(detector.feature_names_in_) == list(frame.columns)


def test_what_was_noted_of_rows_goes_with_the_model(normal, digits, tmp_path):
    wide = digits.images[:60].repeat(2, 2).reshape(60, -1)
    frame = pd.DataFrame(wide, columns=[f"pixel {n}" for n in range(128)])
    detector = tiny(image_shape=(8, 16)).fit(frame)
    scores = detector.score_samples(frame[:5])
    with pytest.raises(DataError, match="at least 4 normal images"):
        detector.set_params(image_shape=None).fit(wide[:2, :64])
    assert (detector.set_params(image_shape=(8, 16)).score_samples(frame[:5]) == scores).all()
    detector.set_params(image_shape=None).fit(write_threes(tmp_path / "threes", normal))
    assert not hasattr(detector, "n_features_in_")
    assert not hasattr(detector, "feature_names_in_")
    assert detector.score_samples(normal[:2].reshape(2, -1)).shape == (2,)
    with pytest.raises(InputError, match=r"rows of shape \(5, 128\) do not go with a model"):
        detector.score_samples(wide[:5])


def test_a_folder_and_an_array_of_the_same_images_are_one(threes, digits):
    arrays = tiny().fit(digits.of(3)[:120])
    files = tiny().fit(threes.train)
    expected = arrays.score_samples(digits.other_than(3)[:100])
    for folder in (threes.test_abnormal, str(threes.test_abnormal), [threes.test_abnormal]):
        assert (files.score_samples(folder) == expected).all()
    paths = list_images(threes.test_abnormal)
    for some in (
        paths[:7],
        [str(path) for path in paths[:7]],
        np.array([str(p) for p in paths[:7]]),
    ):
        assert (arrays.score_samples(some) == expected[:7]).all()
    assert (files.score_samples(digits.other_than(3)[:100]) == expected).all()


@pytest.mark.parametrize("tile", [None, (8, 8)])
def test_scores_depend_on_neither_batch_nor_order(digits, tile):
    images = np.pad(digits.images[:600], ((0, 0), (0, 4), (0, 4))) if tile else digits.images[:600]
    detector = tiny(tile=tile).fit(images[:50])
    scores = detector.score_samples(images)
    order = np.random.default_rng(0).permutation(len(images))
    assert (detector.score_samples(images[order]) == scores[order]).all()
    for size in (1, 3, 17, 100, 300):
        parts = [
            detector.score_samples(images[i : i + size]) for i in range(0, min(600, 5 * size), size)
        ]
        assert (np.concatenate(parts) == scores[: sum(map(len, parts))]).all()


def test_the_order_of_files_does_not_matter(threes, fitted):
    paths = list_images(threes.test_abnormal)
    scores = {score.path: score.raw for score in fitted.score_files(paths)}
    again = {score.path: score.raw for score in fitted.score_files(paths[::-1])}
    assert scores == again


def weights(detector):
    return {name: t.numpy().tobytes() for name, t in detector.model_.network.state_dict().items()}


def test_the_seed_decides_everything(normal, fitted):
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    again = tiny().fit(normal)
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert weights(again) == weights(fitted)
    assert again.threshold_ == fitted.threshold_
    assert weights(tiny(random_state=1).fit(normal)) != weights(fitted)
    seeded = [tiny(random_state=np.random.RandomState(4)).fit(normal) for _ in range(2)]
    assert weights(seeded[0]) == weights(seeded[1])


def test_a_clone_fits_alike(normal, fitted):
    assert weights(clone(fitted).fit(normal)) == weights(fitted)


@pytest.mark.parametrize("contamination", [0, 0.0, 0.05, 0.5])
def test_contamination_flags_that_share_of_the_training_images(contamination, normal):
    labels = tiny(contamination=contamination).fit_predict(normal)
    assert (labels == -1).sum() == round(contamination * len(normal))


@pytest.mark.parametrize("contamination", [-0.1, 0.6, "much", float("nan"), None])
def test_impossible_contamination_is_refused(contamination, normal):
    with pytest.raises(ConfigError, match="contamination"):
        tiny(contamination=contamination).fit(normal)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"random_state": -1}, "random_state: need a whole number from 0"),
        ({"random_state": 2**64}, "random_state: need a whole number from 0"),
        ({"random_state": "0"}, "random_state: need a whole number, a RandomState of NumPy or"),
        ({"tile": (8, 8), "top_k": 1.5}, "top_k: need a whole number, got 1.5"),
        ({"tile": (8, 8), "stride": 2.5}, "stride: need a whole number, got 2.5"),
        ({"stride": 4}, "they go with tile"),
        ({"top_k": 2}, "they go with tile"),
        ({"config": {"preset": "paper"}, "epochs": None}, "need a Config, got dict"),
        ({"on_epoch": "x"}, "on_epoch: need a function of the name of the training"),
    ],
)
def test_what_no_training_can_use_is_refused_before_it(parameters, words, normal):
    with pytest.raises(ConfigError, match=re.escape(words)):
        tiny(**parameters).fit(normal)


def test_numbers_of_numpy_are_taken_and_saved(normal, tmp_path):
    numbers = {"stride": np.int64(4), "top_k": np.int32(2), "epochs": np.int64(1)}
    rates = {"fpr": np.float32(0.05), "random_state": np.int64(3), "white_level": np.int64(4095)}
    deep = normal.astype(np.uint16) * 16
    tiny(tile=(8, 8), **numbers, **rates).fit(deep).save(tmp_path / "tiles.adacl")
    read = AnomalyDetector.load(tmp_path / "tiles.adacl")
    assert read.white_level == 4095
    assert (read.stride, read.top_k, read.config.training.epochs) == (4, 2, 1)
    assert read.config.threshold.fpr == pytest.approx(0.05)


def test_a_threshold_that_is_no_score_is_remarked_on(fitted, digits, caplog):
    images = digits.images[:2]
    caplog.clear()
    fitted.predict(images, threshold=1)
    assert not caplog.records
    assert (fitted.predict(images, threshold=40) == 1).all()
    assert "threshold 40: scores lie in [0, 1]" in caplog.text
    assert "hardly anything may be flagged" in caplog.text


def test_the_threshold_can_be_overridden_at_prediction(fitted, digits):
    images = digits.images[:100]
    raw = -fitted.score_samples(images)
    for threshold in (-100, float(np.median(raw)), 100):
        assert (
            fitted.predict(images, threshold=threshold) == np.where(raw > threshold, -1, 1)
        ).all()


def test_calibration_sets_the_threshold_alone(detector, digits):
    before = weights(detector)
    raw = np.sort(-detector.score_samples(digits.of(3)[60:159]))
    assert detector.calibrate(digits.of(3)[60:159], fpr=0.1) is detector
    assert detector.threshold_ == raw[89] + margin(raw[89])
    assert detector.offset_ == -detector.threshold_
    threshold = detector.model_.threshold
    assert (threshold.method, threshold.n, threshold.fpr) == ("calibration", 99, 0.1)
    assert (detector.predict(digits.of(3)[60:159]) == -1).sum() == 9
    assert weights(detector) == before
    assert detector.calibrate(digits.of(3)[60:]).model_.threshold.fpr == TINY.threshold.fpr
    with pytest.raises(ConfigError, match="fpr"):
        detector.calibrate(digits.of(3)[60:], fpr=2)


def test_calibration_leaves_out_what_was_learnt(detector, digits, caplog):
    learnt, fresh = digits.of(3)[:60], digits.of(3)[60:]
    alone = detector.calibrate(fresh).threshold_
    with caplog.at_level("INFO", "adacl"):
        assert detector.calibrate(np.concatenate([learnt, fresh])).threshold_ == alone
    assert "60 of these images were used in fitting; they are left out" in caplog.text
    assert "calibration normals" in caplog.text
    with pytest.raises(DataError, match="all of these images were used in fitting"):
        detector.calibrate(learnt)


def test_a_threshold_by_hand(detector, digits):
    detector.set_threshold(0.25)
    assert detector.threshold_ == 0.25
    raw = -detector.score_samples(digits.images[:50])
    assert ((raw > 0.25) == (detector.predict(digits.images[:50]) == -1)).all()


def test_few_normals_are_cross_fitted_and_many_held_out(digits):
    config = TINY.replace(threshold__fpr=0.2, threshold__confidence=0.5)
    few = tiny(config=config).fit(digits.of(3)[:19]).model_
    assert (few.threshold.method, few.threshold.n) == ("cross-fitting", 19)
    assert few.header.training["calibration"] == 0
    many = tiny(config=config).fit(digits.of(3)[:20]).model_
    assert (many.threshold.method, many.threshold.n) == ("hold-out", 4)
    assert many.header.training["train"] + many.header.training["validation"] == 16


def test_what_was_done_is_logged(normal, caplog):
    with caplog.at_level(logging.INFO, "adacl"):
        detector = tiny().fit(normal)
    text = " ".join(caplog.messages)
    for part in ("parameters", "12 for early stopping", f"{detector.threshold_:.4f}", "299"):
        assert part in text


def test_a_network_that_has_hardly_learnt_warns(normal, caplog):
    """Whoever fits from Python sees no verdict, and by default no more than warnings."""
    config = TINY.replace(training__rate_min=0.0, training__rate_max=1e-9)
    detector = tiny(config=config).fit(normal)
    area = detector.history_.best.validation_auroc
    assert area < 0.75
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == [
        f"made anomalies are hardly distinguished from normal (AUROC {area:.2f}): train longer "
        "(--epochs); if that does not help, do not rely on this model"
    ]


@pytest.mark.parametrize(
    ("parameters", "error", "name"),
    [
        ({"epochs": 0}, ConfigError, "epochs"),
        ({"epochs": 1.5}, ConfigError, "epochs"),
        ({"fpr": 0}, ConfigError, "fpr"),
        ({"preset": "papers", "config": None}, ConfigError, "papers"),
        ({"preset": "inspect"}, ConfigError, "'inspect': the config .* has the preset 'paper'"),
        ({"config": Config("inspect")}, ConfigError, r"start it from adacl.preset\('inspect'\)"),
        ({"image_size": (16, 16)}, ConfigError, "image_size: arrays keep their size"),
        ({"group": "folder"}, ConfigError, "group: it names files"),
        ({"device": "tpu"}, ConfigError, "tpu"),
        ({"tile": (4, 4)}, ConfigError, "tile"),
        ({"tile": (8, 8), "stride": 9}, ConfigError, "stride"),
        ({"tile": (8, 8), "top_k": 0}, ConfigError, "top_k"),
        ({"tile": 8}, ConfigError, "tile"),
        ({"image_shape": (4, 4)}, InputError, "image_shape"),
        ({"image_shape": 8}, InputError, r"image_shape: need \(H, W\)"),
    ],
)
def test_impossible_parameters_are_refused_by_name(parameters, error, name, normal):
    with pytest.raises(error, match=name):
        tiny(**parameters).fit(normal.reshape(60, -1) if "image_shape" in parameters else normal)


@pytest.mark.parametrize(
    ("convert", "words"),
    [
        (lambda x: x.astype(np.uint16) * 257, "uint16 and others uint8"),
        (lambda x: (x / 255).astype(np.float32), "float and others uint8"),
        (lambda x: torch.from_numpy(x).float() / 255, "float and others uint8"),
    ],
)
def test_images_of_several_depths_are_refused_or_read_each_by_its_own(
    convert, words, normal, fitted
):
    tensors = isinstance(convert(normal), torch.Tensor)
    own = torch.from_numpy(normal[:40]) if tensors else normal[:40]
    mixed = [convert(normal[n]) if n % 2 else own[n] for n in range(40)]
    for use in (tiny().fit, fitted.score_samples, fitted.anomaly_map):
        with pytest.raises(InputError, match=f"some are {words}"):
            use(mixed)
    scores = fitted.score_samples(image for image in mixed)
    assert scores == pytest.approx(fitted.score_samples(normal[:40]), abs=1e-5)


def test_a_shape_of_rows_is_refused_with_images(normal, tmp_path):
    for images in (normal, normal[..., None], list(normal)):
        with pytest.raises(ConfigError, match=r"image_shape: .* these are images of 8 x 8"):
            tiny(image_shape=(4, 16)).fit(images)
        assert tiny(image_shape=[8, 8]).fit(images).header.spec.height == 8
    with pytest.raises(ConfigError, match="with files leave it out"):
        tiny(image_shape=(4, 16)).fit(write_threes(tmp_path / "threes", normal))


@pytest.mark.parametrize(
    "parameters",
    [{"image_size": (4, 4)}, {"image_size": 32}, {"on_error": "ignore"}, {"group": 3}],
)
def test_impossible_parameters_of_files_are_refused_by_name(parameters, threes):
    with pytest.raises(ConfigError, match=next(iter(parameters))):
        tiny(**parameters).fit(threes.train)


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_images_are_refused(count, normal):
    with pytest.raises(DataError, match=f"got {count} sample"):
        tiny().fit(normal[:count])


def test_too_small_images_are_refused(normal):
    with pytest.raises(InputError, match="7 x 8"):
        tiny().fit(normal[:, 1:])
    with pytest.raises(InputError, match="if this is one image with 5 channels, pass it with N"):
        tiny().fit(np.zeros((40, 40, 5)))


def test_values_far_from_zero_are_not_learnt_rounded(normal):
    with pytest.raises(InputError, match="subtract one number from all images"):
        tiny().fit(normal + 1e12)


def test_blank_images_can_be_fitted():
    blank = np.arange(10, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    detector = tiny().fit(blank)
    assert np.isfinite(detector.score_samples(np.zeros((2, 8, 8), np.uint8))).all()
    detector = tiny().fit(blank / 20)
    assert np.isfinite(detector.score_samples(np.zeros((2, 8, 8)))).all()


def test_images_of_another_form_are_refused(fitted, digits):
    for images in (
        digits.images[:, :7],
        digits.images[..., None].repeat(3, 3),
        digits.images[:, None].repeat(3, 1),
    ):
        colours = images.shape[-1] == 3
        with pytest.raises(InputError, match=r"shape.* to grey" if colours else "shape"):
            fitted.score_samples(images[:5])
    for images in (digits.images[:5] / -255, digits.images[:5] / 250):
        with pytest.raises(InputError, match=r"float values .* pass uint8, or floats in \[0, 1\]"):
            fitted.score_samples(images)
    for images in (digits.images[:5] > 99, np.ones((1, 8, 8), np.float32)):
        with pytest.raises(
            InputError, match=r"read in two ways .* multiplied by 255 if 1 is white"
        ):
            fitted.score_samples(images)
    with pytest.raises(ValueError, match="there are none"):
        fitted.score_samples(digits.images[:0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value):
    images = np.zeros((5, 8, 8))
    images[2, 3, 3] = value
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        tiny().fit(images)


def test_use_before_fit_is_both_errors(digits):
    for use in (
        lambda d: d.predict(digits.images),
        lambda d: d.score_samples("folder"),
        lambda d: d.calibrate(digits.images),
        lambda d: d.threshold_,
        lambda d: d.history_,
        lambda d: d.set_threshold(0.5),
        lambda d: d.save("model.adacl"),
        lambda d: list(d.score_files([])),
    ):
        with pytest.raises(NotFittedError, match="fit") as caught:
            use(tiny())
        assert isinstance(caught.value, AdaclError)


def test_save_and_load(fitted, digits, tmp_path):
    path = tmp_path / "model.adacl"
    fitted.save(path)
    loaded = AnomalyDetector.load(path, device="cpu")
    assert (loaded.score_samples(digits.images) == fitted.score_samples(digits.images)).all()
    assert (loaded.predict(digits.images) == fitted.predict(digits.images)).all()
    assert loaded.threshold_ == fitted.threshold_
    assert loaded.history_.best_epoch == fitted.history_.best_epoch
    assert "seconds" in fitted.history_.table()[0]
    assert "seconds" not in loaded.history_.table()[0]
    assert "seconds" not in str(loaded.history_)
    with pytest.raises(ModelFileError):
        AnomalyDetector.load(tmp_path / write_images(tmp_path, digits.images[:1])[0])
    with pytest.raises(MissingDataError):
        AnomalyDetector.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["a.png", "a.mp4", "list.csv", "settings.toml", "page.html"])
def test_saving_replaces_nothing_but_models(fitted, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"work of years")
    with pytest.raises(ConfigError, match=f"{name}: is a.*, which would be replaced; name another"):
        fitted.save(path)
    assert path.read_bytes() == b"work of years"
    for _ in range(2):
        fitted.save(tmp_path / "parts.adacl")


@pytest.mark.parametrize("name", ["thesis.pdf", "faces.npz", "notes", "weights.safetensors"])
def test_saving_replaces_no_file_of_unknown_kind(fitted, tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file({"weight": np.ones(3)}, path)
    else:
        path.write_bytes(b"work of years")
    before = path.read_bytes()
    model = tmp_path / "parts.adacl"
    model.write_bytes(b"of a model that was cut off")
    fitted.save(model)
    for write in (fitted.save, partial(export_model, model)):
        with pytest.raises(ConfigError, match=f"{name}: is no model file, which would be replaced"):
            write(path)
    assert path.read_bytes() == before
    path.write_bytes(b"")
    for _ in range(2):
        fitted.save(path)


def test_a_model_is_not_saved_as_if_it_were_an_onnx_file(fitted, tmp_path):
    with pytest.raises(ConfigError, match=r"which is no ONNX file; name it \.adacl, and export"):
        fitted.save(tmp_path / "parts.onnx")
    assert not list(tmp_path.iterdir())


def test_no_image_has_no_map(fitted, tmp_path):
    fitted.save(tmp_path / "m.adacl")
    export_model(tmp_path / "m.adacl", tmp_path / "m.onnx")
    scorer = Scorer(tmp_path / "m.onnx")
    for call in (fitted.anomaly_map, scorer.anomaly_map, scorer):
        with pytest.raises(InputError, match=r"image: need one, as a path, .* got list"):
            call([])


def test_what_to_do_with_broken_files_is_checked_in_loading(fitted, tmp_path):
    fitted.save(tmp_path / "m.adacl")
    with pytest.raises(ConfigError, match="on_error: need skip or fail, got 'ignore'"):
        AnomalyDetector.load(tmp_path / "m.adacl", on_error="ignore")


def test_a_loaded_detector_can_be_cloned_and_fitted_again(digits, normal, tmp_path):
    tiles = tiny(tile=(8, 8), stride=4, top_k=2)
    tiles.fit(np.pad(normal, ((0, 0), (0, 4), (0, 4)))).save(tmp_path / "model.adacl")
    loaded = AnomalyDetector.load(tmp_path / "model.adacl", device="cpu")
    assert (loaded.tile, loaded.stride, loaded.top_k) == ((8, 8), 4, 2)
    again = clone(loaded).fit(np.pad(normal, ((0, 0), (0, 4), (0, 4))))
    assert weights(again) == weights(tiles)


def test_a_detector_of_whole_images_can_be_fitted_again_on_arrays(fitted, normal, tmp_path):
    fitted.save(tmp_path / "model.adacl")
    loaded = AnomalyDetector.load(tmp_path / "model.adacl", device="cpu")
    assert weights(clone(loaded).fit(normal)) == weights(fitted)


def test_a_detector_is_fitted_again_with_the_same_seed_and_contamination(normal, tmp_path):
    first = tiny(contamination=0.1, random_state=4).fit(normal)
    first.save(tmp_path / "model.adacl")
    again = clone(AnomalyDetector.load(tmp_path / "model.adacl", device="cpu")).fit(normal)
    assert (weights(again), again.threshold_) == (weights(first), first.threshold_)


def test_a_file_is_no_folder_for_checkpoints(normal, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="file: cannot be made"):
        tiny(checkpoints=tmp_path / "file").fit(normal)


def test_an_interrupted_fit_continues_from_its_checkpoints(normal, tmp_path):
    config = TINY.replace(training__epochs=3)
    undisturbed = tiny(config=config).fit(normal)
    stages = []

    def interrupt(stage, record):
        stages.append(stage)
        if len(stages) in (2, 5):
            raise KeyboardInterrupt

    detector = tiny(config=config, checkpoints=tmp_path / "new" / "folder", on_epoch=interrupt)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            detector.fit(normal)
    detector.fit(normal)
    assert stages == ["network"] * 3 + ["fold 1"] * 3 + ["fold 2"] * 3
    assert weights(detector) == weights(undisturbed)
    assert detector.threshold_ == undisturbed.threshold_


def stripes(count, seed, defects=False):
    """Return images of 64 x 64 with slanted stripes, and where a patch of them is turned."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((64, 64))
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 1))
    images = (
        128 + 90 * np.sin(rows * 0.9 + columns * 0.4 + phase) + rng.normal(0, 8, (count, 64, 64))
    )
    images = images.clip(0, 255).astype(np.uint8)
    corners = rng.integers(0, 52, (count, 2))
    if defects:
        for image, (top, left) in zip(images, corners, strict=True):
            patch = image[top : top + 12, left : left + 12]
            patch[:] = np.rot90(patch).copy()
    return images, corners


def test_small_defects_in_large_images_are_found_and_placed(tmp_path):
    folders = [tmp_path / name for name in ("train", "normal", "defects")]
    for seed, folder in enumerate(folders):
        write_images(folder, stripes(24, seed, folder.name == "defects")[0])
    detector = tiny(config=LEARNING, tile=(16, 16), stride=8).fit(folders[0])
    assert detector.model_.header.training["samples"] == 24 * 7 * 7

    scores = [list(detector.score_files(list_images(folder))) for folder in folders[1:]]
    raw = [[score.raw for score in some] for some in scores]
    assert auroc(*raw) > 0.9
    corners = stripes(24, 2)[1]
    found = [
        abs(score.tile[0] + 2 - top) < 14 and abs(score.tile[1] + 2 - left) < 14
        for score, (top, left) in zip(scores[1], corners, strict=True)
    ]
    assert np.mean(found) > 0.8


def test_tiles_of_images_of_any_size(digits):
    detector = tiny(tile=(8, 8), top_k=2).fit(np.pad(digits.of(3)[:20], ((0, 0), (0, 4), (4, 0))))
    for shape in ((8, 8), (30, 9), (5, 50)):
        image = np.random.default_rng(0).integers(0, 256, (1, *shape), np.uint8)
        tiles = Tiling(8, 8).cut(image[0, ..., None])
        expected = np.sort(detector.model_.raw(tiles))[-2:].mean()
        assert -detector.score_samples(image) == pytest.approx(expected)


def test_files_of_other_sizes_are_resized(tmp_path):
    rng = np.random.default_rng(0)
    for number, shape in enumerate([(100, 50), (100, 52), (90, 50), (100, 50)]):
        image = rng.integers(0, 256, shape, np.uint8)
        write_images(tmp_path / str(number), image[None])
    detector = tiny().fit(tmp_path)
    assert (detector.model_.spec.height, detector.model_.spec.width) == (64, 32)
    detector = tiny(image_size=(16, 24)).fit(tmp_path)
    assert (detector.model_.spec.height, detector.model_.spec.width) == (16, 24)
    assert len(detector.score_samples(tmp_path)) == 4


def test_one_colour_or_deep_image_decides_for_all(normal, tmp_path):
    write_threes(tmp_path, normal)
    Image.fromarray(normal[0]).convert("RGB").save(tmp_path / "colour.png")
    Image.fromarray(normal[0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    spec = tiny().fit(tmp_path).model_.spec
    assert (spec.channels, spec.dtype) == (3, "uint16")


@pytest.fixture(params=["truncated", "empty", "text"])
def some_broken(request, normal, tmp_path):
    paths = write_threes(tmp_path, normal)
    whole = paths[5].read_bytes()
    content = {"truncated": whole[: len(whole) - 30], "empty": b"", "text": b"no image"}
    paths[5].write_bytes(content[request.param])
    return tmp_path, paths


def test_a_broken_file_fails_the_fit_by_name(some_broken):
    folder, paths = some_broken
    with pytest.raises(ImageError, match=paths[5].name):
        tiny().fit(folder)


def test_a_broken_file_is_skipped_by_choice_and_counted(some_broken, caplog):
    folder, paths = some_broken
    with caplog.at_level(logging.INFO, "adacl"):
        detector = tiny(on_error="skip").fit(folder)
    assert detector.model_.header.training["images"] == 19
    assert any(str(paths[5]) in message for message in caplog.messages)
    assert any("1 of 20" in message for message in caplog.messages)
    skipped = []
    scores = list(detector.score_files(paths, skipped))
    assert [path for path, _ in skipped] == [paths[5]]
    assert [score.path for score in scores] == [p for p in paths if p != paths[5]]
    assert "shorter" not in caplog.text
    assert len(detector.predict(paths)) == 19
    assert "1 of 20 files was skipped, so this array is shorter than the list" in caplog.text
    detector.on_error = "fail"
    with pytest.raises(ImageError, match=paths[5].name):
        detector.score_samples(folder)


@pytest.mark.parametrize("cut", [30, 10_000])
@pytest.mark.parametrize("tile", [None, (8, 8)])
def test_nothing_but_broken_files(cut, tile, normal, tmp_path):
    for path in write_threes(tmp_path, normal):
        path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match="20"):
        tiny(on_error="skip", tile=tile).fit(tmp_path)


def test_images_that_were_trained_on_are_recognised(threes):
    detector = tiny().fit(threes.train)
    for folder, known in ((threes.train, True), (threes.test_abnormal, False)):
        scores = detector.score_files(list_images(folder))
        assert {score.trained_on for score in scores} == {known}


def test_a_detector_of_float_arrays_scores_no_files(normal, threes, caplog):
    caplog.set_level("INFO", "adacl")
    detector = tiny().fit(normal / 255)
    assert "float32 arrays cannot score image files; fit on files or on uint8" in caplog.text
    with pytest.raises(InputError, match="float32"):
        detector.score_samples(threes.test_normal)


LEAK_TEST = """
import json, sys
from pathlib import Path

seen = []
sys.addaudithook(lambda event, args: seen.append(str(args[0]))
                 if event in ("open", "os.scandir", "os.listdir") else None)
from adacl import AnomalyDetector
from adacl.config.presets import from_toml

AnomalyDetector(config=from_toml(sys.argv[1]), device="cpu").fit(sys.argv[2])
print(json.dumps(seen))
"""


def test_no_test_file_is_opened_during_fit(threes, tmp_path):
    shutil.copytree(threes.train.parent, tmp_path / "data")
    (tmp_path / "config.toml").write_text(TINY.to_toml())
    train = tmp_path / "data" / "train"
    run = subprocess.run(
        [sys.executable, "-c", LEAK_TEST, tmp_path / "config.toml", train],
        check=True,
        capture_output=True,
        text=True,
    )
    seen = set(json.loads(run.stdout))
    assert {str(path) for path in list_images(train)} <= seen
    assert not [path for path in seen if path.startswith(str(tmp_path / "data" / "test"))]


@pytest.fixture(scope="module")
def files(normal, tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("files"), normal[:40])


def test_files_are_scored_however_they_are_named(fitted, files, tmp_path):
    """A folder is not gone through letter by letter, and a generator is as good as a list."""
    fitted.save(tmp_path / "m.adacl")
    export_model(tmp_path / "m.adacl", tmp_path / "m.onnx")
    folder = files[0].parent
    for scorer in (fitted, Scorer(tmp_path / "m.onnx")):
        wanted = [score.raw for score in scorer.score_files(files)]
        forms = [str(folder), folder, [folder], (path for path in files)]
        for form in forms:
            assert [score.raw for score in scorer.score_files(form)] == wanted
        (one,) = scorer.score_files(str(files[0]))
        assert one.path == files[0]
        explained = list(scorer.explain_files(str(folder)))
        assert [found.score.raw for found in explained] == pytest.approx(wanted)
        np.testing.assert_allclose(scorer.score_samples(iter(files)), -np.array(wanted))
        with pytest.raises(ImageError, match=r"no-such-folder: no such file"):
            list(scorer.score_files("no-such-folder"))


def test_a_generator_is_fitted_as_a_list(normal, files, fitted, digits):
    again = tiny().fit(image for image in normal)
    assert weights(again) == weights(fitted)
    fresh = digits.of(4)[:30]
    assert again.calibrate(image for image in fresh).threshold_ == (
        clone(fitted).fit(normal).calibrate(fresh).threshold_
    )
    labels = tiny().fit_predict(image for image in normal)
    assert (labels == fitted.predict(normal)).all()
    by_path = tiny().fit(path for path in files)
    assert weights(by_path) == weights(tiny().fit(files))


def test_arrays_of_several_sizes_are_refused_with_the_remedy(fitted):
    mixed = [np.zeros((8, 8), np.uint8), np.zeros((9, 12), np.uint8)]
    for use in (fitted.score_samples, tiny().fit, fitted.anomaly_map):
        with pytest.raises(InputError, match=r"2 different shapes, such as \(8, 8\) and \(9, 12\)"):
            use(mixed)


def test_an_array_of_arrays_is_called_so(fitted, normal):
    nested = np.empty(2, object)
    nested[:] = list(normal[:2])
    for use in (fitted.score_samples, tiny().fit):
        with pytest.raises(InputError, match="an array of arrays; pass a list of them"):
            use(nested)


def test_images_with_their_labels_are_refused_with_the_remedy(fitted, normal, files):
    for kind, images in (
        ("ndarray, int", normal[:4]),
        ("Image, int", [Image.fromarray(image) for image in normal[:4]]),
        ("Tensor, int", torch.from_numpy(normal[:4, None])),
        ("str, int", [str(path) for path in files[:4]]),
    ):
        pairs = [(image, 3) for image in images]
        for use in (fitted.score_samples, tiny().fit, lambda them: fitted.predict(iter(them))):
            with pytest.raises(InputError, match=rf"a list of \({kind}\); pass the first of each"):
                use(pairs)
    assert len(fitted.score_samples([image.tolist() for image in normal[:2]])) == 2


def test_paths_among_arrays_are_refused_as_such(fitted, normal, files):
    mixed = [str(files[0]), normal[0], files[1]]
    for use in (fitted.score_samples, tiny().fit, fitted.anomaly_map, fitted.calibrate):
        with pytest.raises(InputError, match="2 of 3 are paths, the others are not; pass paths"):
            use(mixed)


def test_maps_of_a_batch_are_those_of_its_images(fitted, normal, files):
    wanted = np.stack([fitted.anomaly_map(image) for image in normal[:3]])
    for batch in (normal[:3], normal[:3, ..., None], list(normal[:3])):
        np.testing.assert_array_equal(fitted.anomaly_map(batch), wanted)
    assert fitted.anomaly_map(normal[0][..., None]).shape == (8, 8)
    assert fitted.anomaly_map(files[:2]).shape == (2, 8, 8)


def test_the_map_of_a_flat_row_is_that_of_its_image(fitted, normal, tmp_path):
    fitted.save(tmp_path / "m.adacl")
    export_model(tmp_path / "m.adacl", tmp_path / "m.onnx")
    for scorer in (fitted, Scorer(tmp_path / "m.onnx")):
        expected = scorer.anomaly_map(normal[0])
        assert (scorer.anomaly_map(normal[0].ravel()) == expected).all()


def test_a_grid_search_reaches_the_settings_of_the_method(normal):
    def least_surprised(detector, images, labels=None):
        return detector.score_samples(images).mean()

    grid = {"config__training__epochs": [1, 2], "random_state": [0, 1]}
    search = GridSearchCV(tiny(), grid, scoring=least_surprised, cv=2).fit(normal)
    assert search.best_params_.keys() == grid.keys()
    best = search.best_estimator_
    assert best.config.training.epochs == search.best_params_["config__training__epochs"]
    assert len(best.history_.epochs) == best.config.training.epochs
    named = AnomalyDetector("accurate").set_params(config__training__epochs=3)
    assert (named.config.preset, named.config.training.epochs) == ("accurate", 3)
    with pytest.raises(ConfigError, match="epochs=2 overrides it; leave epochs out"):
        AnomalyDetector("paper", epochs=2).set_params(config__training__epochs=3)
    with pytest.raises(ConfigError, match="of the preset auto"):
        AnomalyDetector().set_params(config__training__epochs=3)
    with pytest.raises(ConfigError, match=r"unknown section .* known are anomalies, "):
        tiny().set_params(config__nothing__epochs=3)


def test_a_callback_ends_the_training_and_keeps_it(normal):
    detector = tiny(
        config=TINY.replace(training__epochs=9), on_epoch=lambda stage, record: record.epoch == 1
    ).fit(normal)
    assert len(detector.history_.epochs) == 2
    assert np.isfinite(detector.score_samples(normal)).all()
    assert 0 <= detector.history_.best_epoch < 2


def test_the_history_is_a_table(normal):
    history = tiny(config=TINY.replace(training__epochs=3)).fit(normal).history_
    table = pd.DataFrame(history.table())
    assert table["epoch"].tolist() == [1, 2, 3]
    assert table["kept"].sum() == 1
    kept = table[table["kept"]].iloc[0]
    assert kept["validation_auroc"] == history.best.validation_auroc
    assert kept["cut_paste"] == history.best.kind_auroc["cut_paste"]
    lines = str(history).splitlines()
    assert len(lines) == 4
    assert "validation_auroc" in lines[0]
    assert sum("kept" in line for line in lines[1:]) == 1


def test_paths_of_pandas_are_paths(files, fitted):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"path": [str(path) for path in files]})
    wanted = fitted.score_samples(files)
    for paths in (table["path"], table["path"].astype("string"), table[["path"]]):
        np.testing.assert_array_equal(fitted.score_samples(paths), wanted)


def test_a_table_of_paths_and_more_is_refused_with_the_remedy(files, fitted):
    pandas = pytest.importorskip("pandas")
    paths = [str(path) for path in files]
    for more in (1, "good", paths):
        table = pandas.DataFrame({"image": paths, "more": more})
        words = r"a table with the columns image, more; pass only the column of the paths"
        with pytest.raises(InputError, match=words):
            fitted.score_samples(table)
        with pytest.raises(InputError, match=words):
            tiny().fit(table)
    with pytest.raises(InputError, match=r"\d+ of \d+ are paths, the others are not"):
        fitted.score_samples(pandas.Series([*paths, None]))


def test_labels_that_differ_are_said_to_be_ignored(normal, caplog):
    tiny().fit(normal, np.ones(len(normal)))
    assert "ignored" not in caplog.text
    for labels in (np.arange(len(normal)) % 2, ["good", *["bad"] * (len(normal) - 1)]):
        caplog.clear()
        tiny().fit(normal, labels)
        assert "y has 2 different labels, and is ignored: all images are learnt" in caplog.text
    caplog.clear()
    tiny().fit_predict(normal, np.arange(len(normal)) % 2)
    assert "y has 2 different labels" in caplog.text


def test_one_image_is_not_taken_for_many_in_silence(digits, caplog):
    tiny().fit(np.tile(digits.images[0], (2, 2))[:13, :13])
    assert "each of the 13 rows is taken for a flat image" in caplog.text
    caplog.clear()
    tiny().fit(digits.images[:30].reshape(30, -1))
    assert "flat image" not in caplog.text


def test_arrays_of_another_shape_are_remarked_on(fitted, normal, caplog):
    fitted.score_samples(np.repeat(normal[:2], 2, axis=2))
    assert "of another shape than those learnt: 8x16, learnt 8x8" in caplog.text
    caplog.clear()
    fitted.score_samples(normal[:2])
    assert "shape" not in caplog.text


@pytest.mark.parametrize("kind", [str, complex])
def test_pixels_that_are_no_numbers_are_refused(kind):
    with pytest.raises(InputError, match="need numbers, got values of the type"):
        as_images(np.zeros((2, 8, 8)).astype(kind))


def test_files_are_neither_fitted_nor_calibrated_with_labels_of_groups(fitted, files):
    for use in (tiny().fit, fitted.calibrate):
        with pytest.raises(ConfigError, match="groups: labels go with arrays; for files set the"):
            use(files, groups=range(20))


def test_missing_labels_of_groups_and_rates_that_are_no_numbers_are_refused(fitted, digits):
    images = digits.of(3)[100:104]
    for missing in (None, float("nan")):
        with pytest.raises(InputError, match="groups: 2 of 4 labels are missing"):
            fitted.calibrate(images, groups=["a", "b", missing, missing] if missing is None else
                             [1.0, 2.0, missing, missing])  # fmt: skip
    with pytest.raises(InputError, match="groups: labels of several types, int, str; give all one"):
        fitted.calibrate(images, groups=np.array([1, "a", 1, "a"], object))
    with pytest.raises(
        InputError, match=r"groups: got 'folder', .*AnomalyDetector\(group=\.\.\.\)"
    ):
        fitted.calibrate(images, groups="folder")
    with pytest.raises(ConfigError, match=r"fpr: need a rate between 0 and 1, got '0\.1'"):
        fitted.calibrate(images, fpr="0.1")
