"""Copies and groups of images: kept together, and counted once for the threshold."""

import copy
import shutil

import numpy as np
import pytest
from PIL import Image

from adacl import AnomalyDetector
from adacl.config.presets import preset
from adacl.data.copies import distinct
from adacl.errors import ConfigError, DataError, InputError
from adacl.training.splits import Split
from support.helpers import TINY, call, refused, write_images
from support.textures import textures

TINY_MAP = preset("inspect").replace(
    training__epochs=1,
    training__min_epoch_images=8,
    training__batch_size=4,
    training__crop=32,
    network__channels=[4, 8],
    network__place="no",
)
QUICK = ["--epochs", 1, "--set", "training.min_epoch_images=64", "--set", "threshold.folds=2"]


@pytest.fixture(scope="module")
def fitted(digits):
    return AnomalyDetector(config=TINY).fit(digits.of(3)[:60])


def test_distinct_images_are_numbered_in_the_order_of_their_first():
    first, group = distinct([7, 3, 7, 5, 3])
    assert first.tolist() == [0, 1, 3]
    assert group.tolist() == [0, 1, 0, 2, 1]


def test_copies_stay_on_one_side_and_are_held_out_once():
    first, group = distinct([7, 3, 7, 5, 3, 9])
    split = Split(np.array([0]), np.array([1]), np.array([3, 2])).of_images(first, group)
    assert split.train.tolist() == [0, 2]
    assert split.validation.tolist() == [1]
    assert split.calibration.tolist() == [3, 5]


@pytest.mark.parametrize(
    ("config", "n"), [(TINY, 30), (TINY.replace(threshold__fpr=0.5), 5), (TINY_MAP, 6)]
)
def test_a_fit_counts_distinct_images(config, n, caplog):
    images = textures(30, (32, 32))
    once = AnomalyDetector(config=config).fit(images).header
    assert "distinct" not in caplog.text
    six_times = AnomalyDetector(config=config).fit(np.tile(images, (6, 1, 1))).header
    assert "180 images, 30 distinct" in caplog.text
    assert once.threshold.n == six_times.threshold.n == n
    assert once.threshold.upper_bound == six_times.threshold.upper_bound
    for part in ("distinct", "validation", "calibration"):
        assert six_times.training[part] == once.training[part]
    assert six_times.training["train"] == 6 * once.training["train"]


def test_copies_of_fewer_than_four_images_are_refused(digits):
    with pytest.raises(DataError, match="got 30 images, 3 distinct"):
        AnomalyDetector(config=TINY).fit(np.tile(digits.of(3)[:3], (10, 1, 1)))


@pytest.mark.parametrize("given", ["arrays", "files"])
def test_a_calibration_counts_distinct_images(fitted, digits, given, tmp_path, caplog):
    others = digits.other_than(3)[:40]
    copies = np.tile(others, (8, 1, 1))
    if given == "files":
        write_images(tmp_path / "once", others)
        write_images(tmp_path / "copies", copies)
        others, copies = tmp_path / "once", tmp_path / "copies"
    once, often = copy.deepcopy(fitted), copy.deepcopy(fitted)
    assert once.calibrate(others).header.threshold.n == 40
    assert "distinct" not in caplog.text
    assert often.calibrate(copies).header.threshold == once.header.threshold
    assert "320 images, 40 distinct" in caplog.text


def test_the_command_line_says_how_many_are_distinct(fitted, threes, tmp_path):
    model, folder = tmp_path / "m.adacl", tmp_path / "copies"
    fitted.save(model)
    picture = sorted(threes.test_abnormal.iterdir())[0]
    folder.mkdir()
    for number in range(320):
        shutil.copy(picture, folder / f"{number}.png")
    code, _, err = call("calibrate", model, folder)
    assert code == 0
    assert "320 images, 1 distinct" in err
    assert "from 1 calibration normal to flag" in err
    assert "cannot be assured with 1 normal," in err
    evaluation = call("evaluate", model, "--normal", threes.test_normal, "--abnormal", folder)
    assert "320 anomalous images, 1 distinct" in evaluation[2]
    assert "normal images, " not in evaluation[2].replace("anomalous images, ", "")
    assert "320 images, 1 distinct" in refused(3, "fit", folder, "-o", tmp_path / "n.adacl")


def test_a_folder_given_twice_counts_once(threes, tmp_path):
    code, _, err = call("fit", threes.train, threes.train, "-o", tmp_path / "m", *QUICK)
    assert code == 0
    assert "240 images, 120 distinct" in err
    assert "from 120 normals" in err
    assert "240 normal images, 120 distinct" in call("info", tmp_path / "m")[1]


def grouped_textures(folder, parts=12, each=3, seed=0):
    """Write images of some parts, each seen several times with little noise, and return them."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for part, image in enumerate(textures(parts, (80, 80), seed)):
        for view in range(each):
            noisy = np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"part{part:02}_{view}.png")
    return folder


def test_images_of_one_part_stay_together_and_count_once(tmp_path, caplog):
    folder = grouped_textures(tmp_path)
    found = AnomalyDetector(config=TINY_MAP, group=r"part(\d+)").fit(folder)
    training, threshold = found.header.training, found.header.threshold
    assert training["groups"] == 12
    assert training["train"] % 3 == training["calibration"] % 3 == 0
    assert (threshold.n, threshold.groups) == (training["calibration"] // 3, True)
    apart = AnomalyDetector(config=TINY_MAP).fit(folder).header
    assert apart.threshold.n == apart.training["calibration"] == 36 // 5
    labels = np.repeat(np.arange(12), 3)
    images = np.stack([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])
    same = AnomalyDetector(config=TINY_MAP).fit(images, groups=labels)
    assert same.threshold_ == pytest.approx(found.threshold_, abs=1e-6)
    fresh = grouped_textures(tmp_path / "fresh", seed=1)
    images = np.stack([np.asarray(Image.open(path)) for path in sorted(fresh.iterdir())])
    assert same.calibrate(images, groups=labels).header.threshold.n == 12
    assert found.calibrate(fresh).header.threshold.n == 12
    assert "is now calibrated without" not in caplog.text
    same.calibrate(images)
    assert "fitted with groups, and is now calibrated without" in caplog.text


def test_groups_that_share_a_copy_are_one():
    images = textures(24, (32, 32))
    images[3] = images[0]
    found = AnomalyDetector(config=TINY_MAP).fit(images, groups=np.repeat(np.arange(12), 2))
    training = found.header.training
    assert (training["images"], training["distinct"], training["groups"]) == (24, 23, 11)


def test_groups_count_once_in_cross_fitting_too():
    first = textures(24, (32, 32))
    second = first.copy()
    second[:, 0, 0] ^= 1  # another image, though hardly
    images, labels = np.stack([first, second], 1).reshape(48, 32, 32), np.repeat(np.arange(24), 2)
    found = AnomalyDetector(config=TINY.replace(threshold__fpr=0.3)).fit(images, groups=labels)
    threshold = found.header.threshold
    assert (threshold.method, threshold.n, threshold.groups) == ("cross-fitting", 24, True)
    assert threshold.fpr_at(threshold.value) == pytest.approx(6 / 24)


def test_groups_that_were_learnt_from_count_once_for_the_threshold():
    first = textures(150, (32, 32))
    second = first.copy()
    second[:, 0, 0] ^= 1
    images, labels = np.stack([first, second], 1).reshape(-1, 32, 32), np.repeat(np.arange(150), 2)
    threshold = AnomalyDetector(config=TINY_MAP).fit(images, groups=labels).header.threshold
    assert (threshold.method, threshold.n, threshold.learnt) == ("hold-out", 30, 120)


def test_a_loaded_detector_keeps_the_rule_of_its_groups(tmp_path, caplog):
    rule, path = r"part(\d+)", tmp_path / "m.adacl"
    found = AnomalyDetector(config=TINY_MAP, group=rule).fit(grouped_textures(tmp_path / "good"))
    found.save(path)
    loaded = AnomalyDetector.load(path)
    assert loaded.group == rule
    fresh = grouped_textures(tmp_path / "fresh", seed=1)
    assert loaded.calibrate(fresh).header.threshold == found.calibrate(fresh).header.threshold
    assert "is now calibrated without" not in caplog.text


def test_groups_that_cannot_be_are_refused(tmp_path):
    folder = grouped_textures(tmp_path, 4, 2)
    with pytest.raises(DataError, match="at least 4 groups of normal images are needed, got 1"):
        AnomalyDetector(config=TINY_MAP, group="folder").fit(folder)
    with pytest.raises(ConfigError, match="set the parameter group"):
        AnomalyDetector(config=TINY_MAP).fit(folder, groups=np.arange(8))
    with pytest.raises(InputError, match="one label for each of"):
        AnomalyDetector(config=TINY_MAP).fit(textures(8, (32, 32)), groups=[1, 2])


def test_the_commands_take_groups(tmp_path):
    folder = grouped_textures(tmp_path)
    small = [f"--set={name}" for name in ("training.crop=32", "network.channels=[4, 8]")]
    fit = ["fit", folder, "-o", tmp_path / "m.adacl", "--preset", "inspect", *QUICK, *small]
    code, _, err = call(*fit, "--group", r"part(\d+)")
    assert code == 0, err
    assert "from 2 groups of normals kept out" in err
    fresh = grouped_textures(tmp_path / "fresh", seed=1)
    code, _, err = call("calibrate", tmp_path / "m.adacl", fresh, "--group", r"part(\d+)")
    assert (code, "from 12 groups of calibration normals" in err) == (0, True)
    code, _, err = call("calibrate", tmp_path / "m.adacl", fresh)
    assert r"the model was fitted with --group 'part(\d+)', and is now calibrated without" in err
    assert "not a regular expression" in refused(
        2, "calibrate", tmp_path / "m.adacl", folder, "--group", "("
    )
    for command in (fit, ["calibrate", tmp_path / "m.adacl", fresh]):
        assert "the rule is empty" in refused(2, *command, "--group", "")
    assert "part00_0.png: the name does not" in refused(3, *fit, "--group", "kos")


def test_the_command_takes_a_single_group_and_says_that_it_assures_nothing(tmp_path):
    images = grouped_textures(tmp_path)
    AnomalyDetector(config=TINY_MAP, group=r"part(\d+)").fit(images).save(tmp_path / "m.adacl")
    one = grouped_textures(tmp_path / "fresh", 1, 3, seed=1)
    code, _, err = call("calibrate", tmp_path / "m.adacl", one, "--group", r"part(\d+)")
    assert (code, "cannot be assured with 1 group of normals" in err) == (0, True)
    assert "the new threshold rests on 1 group of normals, the old one on " in err
