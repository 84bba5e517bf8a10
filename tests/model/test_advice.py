"""What a model is worth, in words, and what would help most."""

import re
import shlex
from dataclasses import replace

import numpy as np
import pytest

from adacl.config.presets import preset
from adacl.imaging.mask import Mask
from adacl.imaging.spec import ImageSpec
from adacl.imaging.tiles import Tiling
from adacl.model.advice import advice
from adacl.model.header import Exported, ModelHeader
from adacl.model.history import EpochRecord, History
from adacl.model.threshold import Threshold
from adacl.model.threshold_rules import from_defects

SURE = Threshold(0.5, "hold-out", 0.01, 400, 0.02, 0.95)
ROUGH = Threshold(0.5, "hold-out", 0.01, 41, 0.11, 0.95)
COMMAND = re.compile(r"adacl [a-z]+( (--?[a-z]+|[a-z0-9.]+|[A-Z_]+))*: ")


def header(name="inspect", area=0.95, threshold=SURE, train=200, **changes):
    history = History([EpochRecord(0, 0.1, area, {"local": area}, 0.001)], 0)
    training = {"train": train, "validation": 0, "calibration": threshold.n}
    made = ModelHeader(ImageSpec(64, 64, 1), preset(name), None, None, threshold, history, training)
    return replace(made, **changes)


def figures(auroc=0.97, tpr=0.9, fpr=0.0, normal=50, abnormal=40):
    return {
        "auroc": auroc,
        "tpr": tpr,
        "fpr": fpr,
        "n_normal": normal,
        "n_abnormal": abnormal,
        "n_seen_in_fit": 0,
    }


def told(found):
    return [str(step) for step in found.steps]


@pytest.mark.parametrize(("highest", "careful"), [(0.25, True), (0.4, False), (None, False)])
def test_a_threshold_far_too_careful_is_doubted_and_calibrate_named(highest, careful):
    curve = ((0.2, 0.5), (0.5, 0.01), (0.6, 0.0))
    threshold = Threshold(0.5, "cross-fitting", 0.01, 120, 0.03, 0.95, curve)
    made = header("paper", threshold=threshold)
    made.training.update(validation=24, validation_highest=highest)
    found = advice(made, model="m")
    assert ("may be far too careful: of 24 normal images" in found.why) == careful
    assert any("adacl calibrate m" in str(step) for step in found.steps) == careful
    held_out = replace(made, threshold=replace(threshold, method="hold-out"))
    assert "too careful" not in advice(held_out, model="m").why


@pytest.mark.parametrize(
    ("given", "grade", "why", "steps"),
    [
        ({}, "good", "real ones may differ", ["evaluate m --planted"]),
        ({"area": 0.8}, "usable", "not always distinguish", ["--epochs 20"]),
        ({"area": 0.55}, "weak", "hardly distinguishes", ["--epochs 20"]),
        ({"name": "paper", "area": 0.7}, "weak", "hardly distinguishes", ["inspect", "accurate"]),
        ({"name": "paper", "area": 0.7, "train": 50}, "weak", "hardly",
         ["MORE_NORMALS", "inspect"]),
        ({"name": "paper", "area": 0.7, "tiling": Tiling(32, 32, 32, 1)}, "weak",
         "hardly distinguishes", ["inspect", "--epochs"]),
        ({"threshold": ROUGH}, "usable", "up to 11% of new ones", ["give more than 41"]),
        ({"threshold": replace(ROUGH, n=8, upper_bound=0.31)}, "weak", "up to 31% of new ones",
         ["give more than 8"]),
        ({"threshold": replace(ROUGH, n=20, upper_bound=0.22)}, "usable", "up to 22%",
         ["give more than 20"]),
        ({"threshold": ROUGH, "area": 0.5}, "weak", "hardly distinguishes",
         ["--epochs", "calibrate m"]),
        ({"threshold": replace(SURE, value=1.2)}, "weak", "outside [0, 1]", ["--epochs"]),
        ({"threshold": Threshold(0.5, "contamination", 0.1, 200)}, "usable", "nothing is known",
         ["calibrate m"]),
        ({"train": 6}, "weak", "learnt from 6 images only", ["MORE_NORMALS", "--epochs"]),
    ],
)  # fmt: skip
def test_a_fit_is_judged(given, grade, why, steps):
    found = advice(header(**given), model="m")
    assert found.grade == grade
    assert why in found.why
    assert len(found.steps) == len(steps)
    for step, word in zip(map(str, found.steps), steps, strict=True):
        assert COMMAND.match(step), step
        assert word in step


@pytest.mark.parametrize(
    ("measured", "given", "grade", "why", "steps"),
    [
        ({}, {}, "good", "90% of the anomalies are found", ["score m"]),
        ({"auroc": 0.9}, {}, "usable", "AUROC 0.90", ["--epochs"]),
        ({"auroc": 0.7}, {}, "weak", "hardly score higher", ["--preset paper", "--epochs"]),
        ({"auroc": 0.1}, {}, "weak", "normal images score higher", ["swapped", "--preset paper"]),
        ({"auroc": 0.7, "tpr": 0.1}, {"name": "paper"}, "weak", "hardly", ["inspect", "accurate"]),
        ({"tpr": 0.4}, {}, "usable", "only 40% of them score above", ["--fpr", "--epochs"]),
        ({"tpr": 0.1}, {"threshold": ROUGH}, "weak", "do score higher", ["rests on 41", "--fpr"]),
        ({"tpr": 0.1}, {"threshold": SURE.moved_to(9)}, "weak", "only 10%", ["--fpr", "--epochs"]),
        ({"fpr": 0.1}, {}, "usable", "5 of 50 normal images are flagged, more", ["calibrate m"]),
        ({"fpr": 0.5}, {"threshold": SURE.moved_to(0)}, "weak", "25 of 50", ["calibrate m"]),
        ({"abnormal": 4}, {}, "usable", "with 4 images of a kind", ["more labelled"]),
        ({"n_seen_in_fit": 7}, {}, "usable", "7 of these images were used", ["that are new"]),
    ],
)
def test_figures_are_judged(measured, given, grade, why, steps):
    seen = {"n_seen_in_fit": measured.pop("n_seen_in_fit", 0)}
    found = advice(header(**given), figures(**measured) | seen, "m")
    assert found.grade == grade
    assert why in found.why
    assert len(found.steps) == len(steps)
    for step, word in zip(map(str, found.steps), steps, strict=True):
        assert COMMAND.match(step), step
        assert word in step


@pytest.mark.parametrize(
    ("n", "groups", "words"),
    [
        (8, False, "rests on 8 normal images: up to 31%"),
        (1, False, "rests on 1 normal image: up to 31%"),
        (8, True, "rests on 8 groups of normal images: up to 31%"),
        (1, True, "rests on 1 group of normal images: up to 31%"),
    ],
)
def test_the_verdict_counts_groups_as_groups(n, groups, words):
    threshold = replace(ROUGH, n=n, groups=groups, upper_bound=0.31)
    assert words in advice(header(threshold=threshold)).why


@pytest.mark.parametrize(
    ("training", "options"),
    [
        ({}, "--fpr 0.05"),
        ({"groups": 9, "group": r"part ([0-9]+)"}, "--fpr 0.05 --group 'part ([0-9]+)'"),
        ({"groups": 9}, "--fpr 0.05 --group RULE"),  # labels of an array, or an older file
    ],
)
def test_the_rule_of_groups_is_repeated_where_calibrate_is_named(training, options):
    made = header()
    made.training.update(training)
    steps = advice(made, figures(tpr=0.1), "m").steps
    assert any(f"adacl calibrate m MORE_NORMALS {options}: " in str(step) for step in steps)


def test_a_threshold_that_defects_set_is_not_said_to_rest_on_normals():
    threshold = from_defects([0.3, 0.8], [0.1, 0.4, 0.5], 0.6, 0.95)
    [step] = advice(header(threshold=threshold), figures(fpr=0.5), "m").steps
    assert COMMAND.match(str(step))
    assert (
        "set by 2 labelled defects; one that normal images set flags fewer of them" in step.reason
    )


def test_steps_name_what_the_command_was_given():
    weak = header(area=0.5)
    assert told(advice(weak, model="m", normals=["good parts"])) == [
        "adacl fit 'good parts' -o NEW --epochs 20: trains twice as long",
    ]
    swapped = ("--normal", "bad", "--abnormal", "good")
    found = advice(weak, figures(auroc=0.1), "m", swapped=swapped)
    assert str(found.steps[0]) == (
        "adacl evaluate m --normal bad --abnormal good: if the two were swapped"
    )


def test_a_fit_is_advised_with_what_the_model_was_fitted_with():
    made = header("accurate", area=0.5, train=50, tiling=Tiling(32, 48))
    made.training.update(groups=9, group="folder")
    tried = "--group folder --preset accurate --tile 32x48"
    assert told(advice(made, model="m", normals=["good"])) == [
        f"adacl fit MORE_NORMALS -o NEW {tried}: it learnt from 50 images",
        "adacl fit good -o NEW --group folder --preset inspect: if the defects are small parts of "
        "the image",
    ]


def test_a_fit_is_advised_with_its_mask_and_no_preset_that_takes_none():
    mask = Mask.of(np.eye(64, dtype=bool))
    masked = header(area=0.5, mask=mask)
    for found in (advice(masked, model="m"), advice(masked, figures(auroc=0.5), "m")):
        assert told(found) == [
            "adacl fit NORMALS -o NEW --mask MASK --epochs 20: trains twice as long",
        ]


def test_a_fit_is_advised_with_overlapping_tiles_and_all_that_the_caller_names():
    tiles = Tiling(32, 48, 16, 3)
    steps = told(advice(header("paper", area=0.5, tiling=tiles, train=50), model="m"))
    assert " --tile 32x48 --stride 16 --top-k 3: it learnt" in steps[0]
    steps = told(advice(header(area=0.5), model="m", same=("--mask", "a b.png")))
    assert steps[0].startswith("adacl fit NORMALS -o NEW --mask 'a b.png' --epochs 20: ")
    steps = told(advice(header(area=0.5), model="m", same=("--epochs", "10", "--fpr", "0.2")))
    assert steps[0].startswith("adacl fit NORMALS -o NEW --fpr 0.2 --epochs 20: ")


def test_an_exported_file_is_calibrated_before_it_is_exported():
    exported = Exported("0.1", "MIT", 17, "float32", None, None, {})
    found = advice(header(exported=exported), figures(tpr=0.3), "m.onnx")
    assert told(found)[0].startswith("adacl calibrate MODEL.adacl MORE_NORMALS --fpr 0.05, then")


def test_the_verdict_comes_before_the_steps():
    lines = list(advice(header(area=0.5, threshold=ROUGH), model="m").lines())
    assert lines[0].startswith("verdict: weak, do not rely on it. The network hardly distinguishes")
    assert [line.split()[:3] for line in lines[1:]] == [
        ["next:", "adacl", "fit"],
        ["next:", "adacl", "calibrate"],
    ]


def test_a_step_holds_its_command_apart_from_its_reason():
    exported = Exported("0.1", "MIT", 17, "float32", None, None, {})
    made = header(area=0.5, exported=exported)
    made.training.update(groups=9, group="line: (.*)")
    found = advice(made, figures(auroc=0.6, fpr=0.5), "my model: new.onnx")
    assert [step.kind for step in found.steps] == ["preset", "epochs"]
    assert [step.value for step in found.steps] == ["paper", "20"]
    assert found.steps[0].command[-4:] == ("--group", "line: (.*)", "--preset", "paper")
    (step,) = advice(made, figures(fpr=0.5), "m.onnx").to_dict()["steps"]
    assert shlex.split(step["command"]) == [
        "adacl", "calibrate", "MODEL.adacl", "MORE_NORMALS", "--group", "line: (.*)",
    ]  # fmt: skip
    assert step["then"] == "export it again"
    assert step["reason"].startswith("its threshold rests on")
