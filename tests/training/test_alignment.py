"""Whether images have a common layout, and what the preset accurate becomes."""

import copy
import logging

import numpy as np
import pytest

from adacl import AnomalyDetector
from adacl.config import Config, TrainingConfig
from adacl.config.presets import PRESETS, from_toml, preset, suited
from adacl.data.samples import Samples
from adacl.errors import ConfigError
from adacl.imaging.mask import Mask
from adacl.training import alignment
from adacl.training.alignment import COMMON, TURNED, layout_auroc, settled, turned_auroc


def photographs(count=120):
    """Smooth random pictures: nothing is where it was in another."""
    noise = np.random.default_rng(0).normal(size=(count, 4, 4))
    large = np.kron(noise, np.ones((1, 3, 3)))
    return (128 + 40 * large).clip(0, 255).astype(np.uint8)[..., None]


def area(images, seed=0):
    return layout_auroc(Samples(images), seed)


def test_digits_have_a_common_layout_and_random_pictures_none(digits):
    for digit in (2, 3, 7):
        assert area(digits.of(digit)[..., None]) > COMMON
    assert abs(area(photographs()) - 0.5) < 0.2
    assert area(photographs(), 1) != area(photographs(), 2)


def turned_at_random(images):
    turns = np.random.default_rng(5).integers(4, size=len(images))
    return np.stack([np.rot90(image, n) for image, n in zip(images, turns, strict=True)])


def brushed(count=120, side=64):
    """Surfaces whose grain runs down, and which have no layout."""
    rows = np.random.default_rng(0).normal(128, 20, (count, 1, side)).repeat(side, axis=1)
    noise = np.random.default_rng(1).normal(0, 10, (count, side, side))
    return (rows + noise).clip(0, 255).astype(np.uint8)[..., None]


def test_turned_copies_are_told_by_layout_or_grain(digits):
    upright = digits.of(3)[:200, ..., None]
    for images in (upright, brushed()):
        assert turned_auroc(Samples(images), 0) > COMMON
        assert turned_auroc(Samples(turned_at_random(images)), 0) <= TURNED
    assert layout_auroc(Samples(brushed()), 0) < COMMON


@pytest.mark.parametrize(("side", "shrink"), [(400, 1), (401, 2), (1200, 4), (3300, 8)])
def test_large_images_are_seen_shrunk(side, shrink):
    samples = Samples(np.zeros((4, side, side + 9, 1), np.uint8))
    assert settled(preset("inspect"), samples, 0).network.shrink == shrink
    kept = settled(preset("inspect").replace(network__shrink=1), samples, 0)
    assert kept.network.shrink == 1


def test_a_network_with_a_map_learns_turned_copies_where_there_is_no_upright(caplog):
    caplog.set_level(logging.INFO, "adacl")
    config = preset("inspect")
    grain = brushed()
    found = [settled(config, Samples(x), 0) for x in (grain, turned_at_random(grain), grain[:10])]
    assert [each.training.turned for each in found] == ["no", "yes", "no"]
    for told in ("are not learnt, so turned parts may be flagged; ", "are learnt as normal; "):
        assert f"images turned by quarters {told}--turned yes or no decides it (" in caplog.text
    assert (
        "normal does not depend on the place in the image, because the images do not show the"
        in (caplog.text)
    )
    told = settled(config.replace(training__turned="yes"), Samples(grain), 0)
    assert (told.training.turned, told.network.place) == ("yes", "no")


def test_what_a_mask_hides_does_not_tell_whether_there_is_an_upright(caplog):
    caplog.set_level(logging.INFO, "adacl")
    look = np.zeros((64, 64), bool)
    look[16:48, 16:48] = True
    mask, grain = Mask.of(look), brushed()
    belt = turned_at_random((128 + 3 * (grain.astype(int) - 128)).clip(0, 255).astype(np.uint8))
    found = []
    for hidden in (grain, belt):
        samples = Samples(np.where(look[..., None], grain, hidden), mask=mask)
        caplog.clear()
        config = settled(preset("inspect"), samples, 0)
        found.append((config.training.turned, config.network.place, list(caplog.messages)))
    assert found[0][0] == "no"
    assert found[0] == found[1]


@pytest.mark.parametrize("count", [1, 4, 19])
def test_few_images_count_as_aligned(count):
    assert settled(preset("accurate"), Samples(photographs(count)), 0) == preset("aligned")


def test_the_images_for_the_threshold_are_not_looked_at(digits, monkeypatch):
    looked_at = []
    monkeypatch.setattr(alignment, "layout_auroc", lambda some, _: looked_at.append(some) or 1)
    config = preset("accurate").replace(
        training__epochs=1, training__min_epoch_images=64, network__channels=[4], network__blocks=[]
    )
    images = np.tile(digits.images, (1, 1, 1))
    detector = AnomalyDetector(config=config.replace(threshold__fpr=0.05)).fit(images)
    assert detector.model_.header.training["calibration"] > 0
    assert len(looked_at[0]) == detector.model_.header.training["train"]


def test_accurate_is_settled_and_others_are_left_alone(digits):
    images = Samples(digits.of(3)[..., None])
    assert settled(preset("accurate"), images, 0) == preset("aligned")
    assert settled(preset("accurate"), Samples(photographs()), 0) == preset("varied")
    for name in set(PRESETS) - {"accurate", "inspect"}:
        assert settled(preset(name), images, 0) == preset(name)


def test_what_was_changed_stays_changed():
    changed = preset("accurate").replace(training__epochs=2, network__hidden=32, threshold__fpr=0.1)
    for aligned, name in ((True, "aligned"), (False, "varied")):
        wanted = preset(name).replace(training__epochs=2, network__hidden=32, threshold__fpr=0.1)
        assert suited(changed, aligned) == wanted


def test_what_was_set_to_the_value_of_the_other_preset_stays_too(tmp_path):
    (tmp_path / "my.toml").write_text('preset = "accurate"\n[training]\nshift = 2\n')
    replaced = preset("accurate").replace(training__shift=2)
    told = Config.from_dict(replaced.to_dict(), replaced.explicit)
    for config in (replaced, told, copy.deepcopy(replaced), from_toml(tmp_path / "my.toml")):
        assert suited(config, True) == preset("aligned").replace(training__shift=2)
    again = suited(replaced, True).replace(training__tint=0.1)
    assert again.explicit == {"training__shift", "training__tint"}


def test_a_section_and_a_tree_that_were_given_whole_stay():
    labels = {"scheme": "discrete"}
    changed = preset("accurate").replace(labels=labels, training__epochs=2)
    assert suited(changed, True) == preset("aligned").replace(labels=labels, training__epochs=2)
    whole = Config("accurate", training=TrainingConfig(epochs=3))
    assert suited(whole, True) == whole.replace(preset="aligned")


def test_a_detector_keeps_what_it_became(digits, tmp_path):
    small = preset("accurate").replace(
        training__epochs=1,
        training__min_epoch_images=64,
        network__channels=[4, 8],
        network__blocks=[1],
    )
    detector = AnomalyDetector(config=small).fit(digits.of(3))
    assert detector.model_.config.preset == "aligned"
    assert detector.model_.config.network.channels == (4, 8)
    detector.save(tmp_path / "m.adacl")
    again = AnomalyDetector.load(tmp_path / "m.adacl")
    assert again.model_.config == detector.model_.config
    scores = detector.score_samples(digits.images)
    assert np.array_equal(again.score_samples(digits.images), scores)


def test_an_unknown_preset():
    with pytest.raises(ConfigError, match="accurate, aligned, inspect, paper, varied, video"):
        preset("best")
