"""The data sheet of a model."""

import pytest

from adacl.config.presets import preset
from adacl.imaging.spec import ImageSpec
from adacl.model.header import ModelHeader
from adacl.model.history import EpochRecord, History
from adacl.model.info import facts
from adacl.model.threshold import Threshold

TRAINING = {
    "images": 50, "train": 40, "validation": 0, "calibration": 10, "parameters": 9, "seed": 0,
    "device": "cpu", "adacl": "0", "torch": "2",
}  # fmt: skip


@pytest.mark.parametrize(("name", "light", "told"), [
    ("inspect", 0.0, True), ("inspect", 0.1, False), ("paper", 0.0, False),
])  # fmt: skip
def test_a_fixed_light_is_named(name, light, told):
    config = preset(name).replace(training__light=light)
    history = History([EpochRecord(0, 0.1, 0.9, {"local": 0.9}, 0.001)], 0)
    threshold = Threshold(0.5, "hold-out", 0.01, 10, 0.3, 0.95)
    header = ModelHeader(
        ImageSpec(64, 64, 1), config, None, None, threshold, history, dict(TRAINING)
    )
    assert ("Light" in dict(facts(header))) == told
