"""The next steps of a verdict, as the web page says them."""

import pytest

from adacl.config.presets import preset
from adacl.imaging.spec import ImageSpec
from adacl.model.advice import advice
from adacl.model.header import ModelHeader
from adacl.model.history import EpochRecord, History
from adacl.model.threshold import Threshold
from adacl.serve.training.remedies import MORE, remedies

SURE = Threshold(0.5, "hold-out", 0.01, 400, 0.02, 0.95)
ROUGH = Threshold(0.5, "hold-out", 0.01, 41, 0.11, 0.95)


@pytest.mark.parametrize(
    ("name", "epochs", "area", "train", "threshold", "said"),
    [
        ("inspect", 10, 0.95, 200, SURE, ["try it under Inspect"]),
        ("inspect", 10, 0.95, 200, ROUGH, [MORE]),
        ("inspect", 10, 0.8, 200, SURE, ["“Thorough”"]),
        ("inspect", 30, 0.8, 200, SURE, [MORE]),
        ("inspect", 30, 0.8, 50, ROUGH, [MORE]),
        ("paper", 10, 0.7, 200, SURE, ["“A small fault”", "“Accurate”"]),
        ("paper", 10, 0.7, 50, SURE, [MORE, "“A small fault”"]),
        ("accurate", 15, 0.7, 200, SURE, ["“A small fault”", MORE]),
        ("accurate", 15, 0.7, 50, SURE, [MORE, "“A small fault”"]),
    ],
)
def test_next_steps_fit_a_mouse(name, epochs, area, train, threshold, said):
    config = preset(name).replace(training__epochs=epochs)
    history = History([EpochRecord(0, 0.1, area, {"local": area}, 0.001)], 0)
    training = {"train": train, "validation": 0, "calibration": threshold.n}
    header = ModelHeader(ImageSpec(64, 64, 1), config, None, None, threshold, history, training)
    found = remedies(advice(header).steps, config)
    assert len(found) == len(said)
    for remedy, words in zip(found, said, strict=True):
        assert words in remedy
        assert "adacl" not in remedy
        assert "--" not in remedy
