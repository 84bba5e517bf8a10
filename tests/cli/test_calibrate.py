"""``adacl calibrate``, as a user meets it."""

from pathlib import Path

from adacl.model import tensor_file
from support.helpers import call, refused


def test_calibrate_changes_the_threshold_and_the_colours_alone(parts: Path, tmp_path: Path) -> None:
    target = tmp_path / "calibrated"
    code, _, err = call("calibrate", parts / "model", parts / "good", "-o", target, "--fpr", "0.2")
    assert code == 0
    assert "63 calibration normals" in err
    assert "the old one on" not in err
    before, after = (tensor_file.read(path) for path in (parts / "model", target))
    assert after[1]["threshold"]["fpr"] == 0.2
    assert after[1]["threshold"]["method"] == "calibration"
    assert after[1]["map_scale"]["threshold"] == after[1]["threshold"]["value"]
    for moved in ("threshold", "map_scale"):
        before[1][moved] = after[1][moved]
    before[1]["training"].pop("sensitivity")  # counted at the threshold before
    assert before[1] == after[1]
    assert all((before[0][name] == after[0][name]).all() for name in before[0])


def test_calibrate_checks_the_rate_before_the_work(parts: Path) -> None:
    code, _, err = call("calibrate", parts / "model", parts / "train", "--fpr", "2")
    assert (code, err) == (2, "adacl: --fpr: need a rate between 0 and 1, got 2.0\n")


def test_calibrate_names_a_model_that_is_not_there(parts: Path, tmp_path: Path) -> None:
    for model in (tmp_path / "model", tmp_path / "none" / "model"):
        assert f"{model}: no such file" in refused(3, "calibrate", model, parts / "good")


def test_calibrate_warns_of_fewer_images_and_of_those_seen_in_fit(
    parts: Path, tmp_path: Path
) -> None:
    command = ("calibrate", parts / "model", "-o", tmp_path / "x")
    err = refused(3, *command, parts / "train")
    assert "all of these images were used in fitting" in err
    assert not (tmp_path / "x").exists()
    alone = call(*command, parts / "good")[2]
    rests = "warning: the new threshold rests on 63 normals, the old one on 120 normals: with 95%"
    assert f"{rests} confidence at most 4.6% of new normal images are flagged, before 2.5%" in alone
    assert "keep the old file (-o)" in alone
    both = call(*command, parts / "good", parts / "train")[2]
    assert "120 of these images were used in fitting; they are left out" in both
    assert alone.splitlines()[-3:] == both.splitlines()[-3:]
