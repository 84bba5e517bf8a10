"""The threshold of a fitted model, set anew from normals and a few labelled defects."""

import copy
import json

import numpy as np
import pytest

from adacl import AnomalyDetector, Scorer
from adacl.config import ThresholdConfig
from adacl.deploy.export import export_model
from adacl.errors import ConfigError, DataError
from adacl.model.calibration import Scored, calibrated
from support.helpers import LEARNING, call, refused, write_images


@pytest.fixture(scope="module")
def sets(digits):
    return digits.of(3)[:100], digits.of(3)[100:160], digits.other_than(3)[:12]


@pytest.fixture(scope="module")
def fitted(sets):
    return AnomalyDetector(config=LEARNING).fit(sets[0])


def test_defects_change_nothing_but_what_is_known_of_the_threshold(fitted, sets):
    _, good, bad = sets
    plain = copy.deepcopy(fitted).calibrate(good, fpr=0.1)
    judged = copy.deepcopy(fitted).calibrate(good, fpr=0.1, defects=bad)
    assert judged.threshold_ == plain.threshold_
    told = judged.header.threshold.defects
    assert told.found == (-judged.score_samples(bad) > judged.threshold_).sum()
    assert told.n == 12
    for name, tensor in fitted.model_.network.state_dict().items():
        assert (judged.model_.network.state_dict()[name] == tensor).all()


def test_fewer_images_that_promise_less_are_warned_of(fitted, sets, caplog):
    copy.deepcopy(fitted).calibrate(sets[1], fpr=0.5)
    assert not caplog.text
    copy.deepcopy(fitted).calibrate(sets[1])
    assert "the new threshold rests on 60 normals, the old one on 100 normals: " in caplog.text


def test_defects_that_were_learnt_as_normal_are_told(fitted, sets, caplog):
    learnt, good, bad = sets
    copy.deepcopy(fitted).calibrate(good, fpr=0.5, defects=bad)
    assert not caplog.text
    copy.deepcopy(fitted).calibrate(good, fpr=0.5, defects=np.concatenate([bad, learnt[:2]]))
    assert "2 of these defects were used in fitting; fit again without" in caplog.text


def test_a_share_of_the_defects_is_found(fitted, sets):
    _, good, bad = sets
    found = copy.deepcopy(fitted).calibrate(good, defects=bad, find=0.8)
    caught = (-found.score_samples(bad) > found.threshold_).sum()
    assert caught == found.header.threshold.defects.found == 11
    flagged = (-found.score_samples(good) > found.threshold_).sum()
    assert found.header.threshold.defects.flagged == flagged


def test_copies_and_groups_of_either_kind_count_once():
    normals = Scored([0.1, 0.1, 0.2, 0.3, 0.4, 0.5], [1, 1, 2, 3, 4, 5], np.arange(6) // 2)
    bad = Scored([0.25, 0.9, 0.9, 0.35], [11, 12, 12, 13], np.array([0, 1, 1, 0]))
    judged = calibrated(normals, bad, ThresholdConfig(), fpr=0.5)
    assert judged.value == pytest.approx(0.3, abs=1e-4)
    assert (judged.n, judged.defects.n, judged.defects.found) == (3, 2, 2)
    found = calibrated(normals, bad, ThresholdConfig(), find=0.5)
    assert found.value == pytest.approx(0.35, abs=1e-4)
    assert (found.n, found.defects.n, found.defects.flagged) == (3, 2, 1)
    alone = calibrated(normals._replace(groups=None), bad._replace(groups=None), ThresholdConfig())
    assert (alone.n, alone.defects.n) == (5, 3)


def test_the_files_say_what_the_defects_were_used_for(fitted, sets, tmp_path):
    _, good, bad = sets
    good, bad = (write_images(tmp_path / n, s)[0].parent for n, s in (("g", good), ("b", bad)))
    model, exported = tmp_path / "m.adacl", tmp_path / "m.onnx"
    fitted.save(model)
    code, _, err = call("calibrate", model, good, "--defects", bad, "--find", 0.8)
    assert code == 0, err
    assert "set by 12 labelled defects to find 80%" in err
    code, out, err = call("info", model)
    assert code == 0, err
    assert "They set the threshold; no training saw them" in out
    export_model(model, exported)
    assert Scorer(exported).threshold == AnomalyDetector.load(model).header.threshold
    tree = json.loads(call("info", exported, "--json")[1])["threshold"]
    assert (tree["method"], tree["defects"]["wanted"]) == ("defects", 0.8)
    code, _, err = call("calibrate", model, good, "--defects", bad)
    assert (code, "They judged the threshold" in err) == (0, True)


@pytest.mark.parametrize("fpr", [0.01, 0.1])
def test_exported_models_flag_as_many_of_the_normals_as_is_stated(fitted, sets, tmp_path, fpr):
    files = write_images(tmp_path / "good", sets[1])
    model, exported = copy.deepcopy(fitted).calibrate(files, fpr=fpr), tmp_path / "m.onnx"
    model.save(tmp_path / "m.adacl")
    export_model(tmp_path / "m.adacl", exported)
    threshold = model.header.threshold
    stated = round(threshold.fpr_at(threshold.value) * threshold.n)
    assert (stated > 0) == (fpr == 0.1)
    for scorer in (model, Scorer(exported)):
        raw = [score.raw for score in scorer.score_files(files)]
        assert sum(value > threshold.value for value in raw) == stated


def test_evaluate_names_the_images_that_set_the_threshold(fitted, sets, tmp_path):
    learnt, good, bad = sets
    folders = {"learnt": learnt, "good": good, "bad": bad}
    learnt, good, bad = (write_images(tmp_path / n, i)[0].parent for n, i in folders.items())
    write_images(tmp_path / "more" / "good", folders["good"][:7], ".bmp")
    model, exported, report = (tmp_path / name for name in ("m.adacl", "m.onnx", "r.html"))
    fitted.save(model)

    def evaluated(path, normal, *more):
        both = ["--normal", normal, "--abnormal", bad, "--report", report, "--json", *more]
        code, out, err = call("evaluate", path, *both)
        assert code == 0, err
        return json.loads(out)["n_set_threshold"], err + report.read_text(encoding="utf-8")

    assert evaluated(model, good)[0] == 0
    assert call("calibrate", model, good, learnt, "--defects", bad)[0] == 0
    count, told = evaluated(model, tmp_path / "more")
    assert (count, "7 of the normal images set the threshold" in told) == (7, True)
    assert "7 of the images listed set the" in told
    assert "anomalous images set" not in told
    count, told = evaluated(model, learnt)
    assert (count, "set the threshold" in told) == (0, False)
    count, told = evaluated(model, good, "--threshold", 0.5)
    assert (count, "images set the threshold" in told) == (0, False)
    export_model(model, exported)
    assert evaluated(exported, good)[0] is None
    assert call("calibrate", model, good, "--defects", bad, "--find", 0.8)[0] == 0
    count, told = evaluated(model, good)
    assert (count, "12 of the anomalous images set the threshold" in told) == (12, True)
    assert AnomalyDetector.load(model).set_threshold(0.5).model_.set_by == frozenset()


def test_rates_of_numpy_are_kept_in_the_model_file(fitted, sets, tmp_path):
    _, good, bad = sets
    for rates in ({"fpr": np.float32(0.25)}, {"defects": bad, "find": np.float32(0.5)}):
        told = copy.deepcopy(fitted).calibrate(good, **rates)
        told.save(tmp_path / "m.adacl")
        kept = AnomalyDetector.load(tmp_path / "m.adacl")
        assert kept.header.threshold == told.header.threshold


def test_defects_that_cannot_be_used_are_refused(fitted, sets, tmp_path):
    _, good, bad = sets
    with pytest.raises(DataError, match="2 of the defects are also among the normal images"):
        fitted.calibrate(good, defects=np.concatenate([bad, good[:2]]))
    with pytest.raises(ConfigError, match="give some"):
        fitted.calibrate(good, find=0.9)
    with pytest.raises(ConfigError, match="keep one rate only"):
        fitted.calibrate(good, defects=bad, find=0.9, fpr=0.1)
    fitted.save(tmp_path / "m.adacl")
    assert "between 0 and 1" in refused(
        2, "calibrate", tmp_path / "m.adacl", tmp_path, "--defects", tmp_path, "--find", 1
    )


def test_a_model_that_was_written_meanwhile_is_not_replaced(fitted, sets, tmp_path, monkeypatch):
    model = tmp_path / "m.adacl"
    fitted.save(model)
    write_images(tmp_path / "good", sets[1])
    newer = copy.deepcopy(fitted).set_threshold(0.9)

    def calibrated_while_another_writes(*args):
        newer.save(model)
        return calibrated(*args)

    monkeypatch.setattr("adacl.cli.calibrate.calibrated", calibrated_while_another_writes)
    refusal = refused(3, "calibrate", model, tmp_path / "good")
    assert "another command wrote it meanwhile" in refusal
    assert AnomalyDetector.load(model).threshold_ == 0.9


def test_a_model_that_was_removed_meanwhile_is_not_written_again(
    fitted, sets, tmp_path, monkeypatch
):
    model = tmp_path / "m.adacl"
    fitted.save(model)
    write_images(tmp_path / "good", sets[1])

    def calibrated_while_another_removes(*args):
        model.unlink()
        return calibrated(*args)

    monkeypatch.setattr("adacl.cli.calibrate.calibrated", calibrated_while_another_removes)
    refusal = refused(3, "calibrate", model, tmp_path / "good")
    assert "m.adacl: was removed meanwhile" in refusal
    assert not model.exists()
