"""Numbers that are NaN or infinite, which compare with nothing, are refused at every door."""

import json
import math

import numpy as np
import pytest

from adacl import AnomalyDetector, PyODDetector
from adacl.config import AnomalyConfig
from adacl.config.sections import finite
from adacl.data.video import Clip
from adacl.errors import AdaclError, ConfigError, ModelFileError
from adacl.model.header import ModelHeader
from adacl.model.threshold import Threshold
from adacl.serve.limits import Limits
from adacl.video.alarms import Alarm
from adacl.video.detector import VideoAnomalyDetector
from support.helpers import TINY, call, refused

BAD = [math.nan, math.inf, -math.inf, np.float32("nan")]


@pytest.fixture(scope="module")
def fitted(digits):
    return AnomalyDetector(config=TINY).fit(digits.of(3)[:60])


@pytest.fixture(scope="module")
def model(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("finite") / "m.adacl"
    fitted.save(path)
    return path


@pytest.mark.parametrize("value", [*BAD, 10**400, "nan", "many", None, [1, 2]])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ConfigError, match="rate: need a finite number"):
        finite("rate", value)


@pytest.mark.parametrize("value", [0, 0.5, np.float32(0.5), "0.5", True])
def test_finite_numbers_are_taken(value):
    assert finite("rate", value) == float(value)
    with pytest.raises(ConfigError, match="above 2"):
        finite("rate", value, above=2)


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize(
    "door",
    [
        lambda d, x, v: d.predict(x, threshold=v),
        lambda d, x, v: d.set_threshold(v),
        lambda d, x, v: d.calibrate(x, fpr=v),
        lambda d, x, v: AnomalyDetector(config=TINY, fpr=v).fit(x),
        lambda d, x, v: AnomalyDetector(config=TINY, contamination=v).fit(x),
        lambda d, x, v: PyODDetector(v, config=TINY).fit(x),
        lambda d, x, v: TINY.replace(threshold__confidence=v),
        lambda d, x, v: AnomalyConfig(options={"cut_paste": {"area": v}}),
        lambda d, x, v: AnomalyConfig(options={"cut_paste": {"area": [0.1, v]}}),
        lambda d, x, v: Threshold(0.5, "hold-out", v, 10, 0.1, 0.95),
        lambda d, x, v: Threshold(0.5, "hold-out", 0.01, 10, v, 0.95),
        lambda d, x, v: Limits(seconds=v),
        lambda d, x, v: Clip("a", "a.mp4", v),
        lambda d, x, v: Alarm(0.5).at(v),
        lambda d, x, v: VideoAnomalyDetector(false_alarms_per_hour=v).fit("a.mp4"),
    ],
)
def test_doors_of_python(door, value, fitted, digits):
    before = fitted.threshold_
    with pytest.raises(AdaclError):
        door(fitted, digits.of(3)[:60], value)
    assert fitted.threshold_ == before


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("command", ["score", "explain", "evaluate"])
def test_thresholds_of_the_command_line(command, value, model, threes, tmp_path):
    images = [threes.test_normal]
    if command == "evaluate":
        images = ["--normal", threes.test_normal, "--abnormal", threes.test_abnormal]
    code, _, err = call(command, model, *images, f"--threshold={value}")
    assert (code, err) == (2, f"adacl: threshold: need a finite number, got {value}\n")


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_further_numbers_of_the_command_line(value, model, threes, tmp_path):
    out = tmp_path / "new.adacl"
    content = model.read_bytes()
    for command in (
        ["calibrate", model, threes.test_normal, "--fpr", value],
        ["fit", threes.train, "-o", out, "--fpr", value],
        ["fit", threes.train, "-o", out, "--set", f"training.rate_max={value}"],
        ["serve", model, "--max-body", value],
        ["serve", model, "--max-seconds", value],
        ["serve", model, "--max-megapixels", value],
        ["video", "fit", threes.train, "-o", out, "--frame-rate", value],
        ["video", "fit", threes.train, "-o", out, "--false-alarms", value],
    ):
        refused(2, *command)
    assert model.read_bytes() == content
    assert not out.exists()


@pytest.mark.parametrize("name", ["value", "fpr", "upper_bound", "confidence"])
def test_model_files(name, fitted):
    tree = json.loads(json.dumps(fitted.header.to_dict()))
    assert ModelHeader.from_dict(tree).threshold == fitted.header.threshold
    tree["threshold"][name] = math.nan
    with pytest.raises(ConfigError, match="need a finite number"):
        ModelHeader.from_dict(tree)


def test_scores_that_are_not_finite_are_no_verdict(model, digits):
    detector = AnomalyDetector.load(model)
    detector.model_.network.output.bias.data.fill_(math.inf)
    with pytest.raises(ModelFileError, match="not finite"):
        detector.predict(digits.of(3)[:5])


def test_a_finite_threshold_still_overrides(fitted, digits):
    images = digits.of(3)[:5]
    assert (fitted.predict(images, threshold=-9) == -1).all()
    assert (fitted.predict(images, threshold=np.float32(9)) == 1).all()
