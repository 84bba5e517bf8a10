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


@pytest.mark.parametrize(("name", "settings", "told"), [
    ("inspect", {"training__light": 0.0}, "fixed"),
    ("inspect", {"network__local_contrast": True}, "varies"),
    ("inspect", {"training__light_loss": 5.0}, "varies"),
    ("inspect", {}, None),
    ("paper", {}, None),
])  # fmt: skip
def test_what_was_told_of_the_light_is_named(name, settings, told):
    config = preset(name).replace(**settings)
    history = History([EpochRecord(0, 0.1, 0.9, {"local": 0.9}, 0.001)], 0)
    threshold = Threshold(0.5, "hold-out", 0.01, 10, 0.3, 0.95)
    header = ModelHeader(
        ImageSpec(64, 64, 1), config, None, None, threshold, history, dict(TRAINING)
    )
    found = dict(facts(header)).get("Light")
    assert found is None if told is None else found.startswith(told)
