"""Small changes that raise unseen normal images above the threshold are counted and told."""

import numpy as np
import pytest

from adacl import AnomalyDetector
from adacl.config.presets import preset
from adacl.data.samples import Samples
from adacl.imaging.changes import CHANGES, LEVEL
from adacl.imaging.spec import ImageSpec
from adacl.imaging.tiles import Tiling
from adacl.model.advice import advice
from adacl.model.header import ModelHeader
from adacl.model.history import EpochRecord, History
from adacl.model.info import facts
from adacl.model.learnt import Learnt
from adacl.model.scoring import ScoringModel
from adacl.model.sensitivity import Sensitivity
from adacl.model.threshold import Threshold
from adacl.training.sensitivity import FEWEST, MOST, sensitivity

HISTORY = History([EpochRecord(0, 0.1, 0.95, {}, 0.001)], 0)


class Brightness(ScoringModel):
    """Scores an image by its mean level."""

    def __init__(self, dtype="uint8", config=None, tiling=None, channels=1):
        spec = ImageSpec(16, 16, channels, dtype)
        config = config or preset("paper")
        threshold = Threshold(0.55, "hold-out", 0.01, 400, 0.02, 0.95)
        self.header = ModelHeader(spec, config, tiling, None, threshold, HISTORY)

    def raw(self, samples):
        return samples.mean((1, 2, 3)) / 255


def grey(count, channels=1, owner=None):
    images = np.full((count, 16, 16, channels), 130, np.uint8)
    return Samples(images, owner=owner)


def test_only_what_raises_the_score_is_named():
    found = sensitivity(Brightness(), grey(40), np.arange(40))
    assert (found.images, found.as_they_are) == (MOST, 0)
    assert list(found.raising.items()) == [("exposure +10 %", MOST)]
    assert set(CHANGES) - set(found.changed) == {"exposure -30 %"}
    assert found.words(3) == "exposure +10 % flags 30 of 30 normal images held out (0 as they are)"


def test_images_that_are_longer_than_jpeg_takes_are_not_looked_at():
    images = np.full((20, 1, 65_501, 1), 130, np.uint8)
    assert sensitivity(Brightness(), Samples(images), np.arange(20)) is None


def test_an_image_of_tiles_counts_once_and_by_its_worst_tile():
    tiles = grey(40, owner=np.repeat(np.arange(20), 2))
    tiles.pixels[::2] = 20
    found = sensitivity(Brightness(tiling=Tiling(16, 16)), tiles, np.arange(20))
    assert (found.images, found.changed["exposure +10 %"]) == (20, 20)


def test_a_fixed_light_is_left_out_of_the_changes():
    fixed = preset("inspect").replace(training__light=0.0, training__tint=0.0, network__shrink=1)
    model = Brightness(config=fixed, channels=3)
    found = sensitivity(model, grey(FEWEST, 3), np.arange(FEWEST))
    assert not set(found.changed) & set(LEVEL)
    assert found.words(3) == ""


def test_other_depths_few_and_very_large_images_are_not_measured():
    assert sensitivity(Brightness(), grey(FEWEST - 1), np.arange(FEWEST - 1)) is None
    assert sensitivity(Brightness("uint16"), grey(40), np.arange(40)) is None
    large = Samples(np.zeros((FEWEST, 600, 600, 1), np.uint8))
    assert sensitivity(Brightness(), large, np.arange(FEWEST)) is None


def test_a_fit_ends_with_it_and_its_file_holds_it(tmp_path):
    images = np.random.default_rng(0).integers(90, 140, (80, 16, 16), np.uint8)
    detector = AnomalyDetector("paper", epochs=1, device="cpu").fit(images)
    counts = detector.header.training["sensitivity"]
    assert counts["images"] == detector.header.training["validation"]
    detector.save(tmp_path / "m.adacl")
    loaded = AnomalyDetector.load(tmp_path / "m.adacl").header
    assert loaded.training["sensitivity"] == counts

    counts["changed"] = {"blur, 1 pixel": counts["images"]}
    words = f"blur of 1 pixel flags {counts['images']} of {counts['images']} normal images held out"
    assert advice(detector.header).sensitive.startswith(words)
    assert dict(facts(detector.header))["Sensitive to"].startswith(words)


def test_the_threshold_of_its_own_leaves_all_that_is_known_of_it():
    header = Brightness().header
    header.training["sensitivity"] = Sensitivity(9, 1).to_dict()
    assert header.with_threshold(header.threshold) == header
    moved = header.with_threshold(header.threshold.moved_to(0.1))
    assert "sensitivity" not in moved.training


def test_a_share_of_the_training_images_says_nothing_of_unseen_ones():
    images = np.random.default_rng(0).integers(90, 140, (20, 16, 16), np.uint8)
    detector = AnomalyDetector("paper", epochs=1, contamination=0.1, device="cpu").fit(images)
    assert "sensitivity" not in detector.header.training


def test_a_resized_model_says_at_which_size():
    header = Brightness().header
    header.training["sensitivity"] = Sensitivity(9, 1, {"noise, 5 levels": 3}).to_dict()
    assert header.sensitive_to(1).endswith("(1 as they are)")
    learnt = Learnt((0.1,) * 5, (0.1, 0.1), (), ((480, 640), (480, 640)))
    header.training["learnt"] = learnt.to_dict()
    resized = ModelHeader(
        header.spec, header.config, None, (48, 64), header.threshold, HISTORY, header.training
    )
    assert resized.sensitive_to(1).endswith("(1 as they are), once resized to 48 × 64")


@pytest.mark.parametrize(
    "forged",
    [
        5,
        {"images": 3},
        {"images": 3, "as_they_are": 4},
        {"images": 3, "as_they_are": 0, "changed": {"blur, 1 pixel": "x"}},
        {"images": 3, "as_they_are": 0, "changed": {"surprise": 1}},
        {"images": 3, "as_they_are": 0, "changed": [1]},
    ],
)
def test_forged_counts_are_refused(forged):
    with pytest.raises((AttributeError, TypeError, ValueError)):
        Sensitivity.from_training({"sensitivity": forged})
