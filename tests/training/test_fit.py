import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adacl import AnomalyDetector
from adacl.config import ThresholdConfig
from adacl.model.info import notes
from adacl.training.splits import fold_splits, networks_to_train, split_normals, split_once
from support.helpers import TINY

RULE = ThresholdConfig()


def parts(split):
    return [*split.train, *split.validation, *split.calibration]


@given(st.integers(4, 5000), st.booleans(), st.integers(0, 9))
def test_every_normal_is_used_once(count, calibrate, seed):
    split = split_normals(count, 150, RULE, calibrate, seed)
    assert sorted(parts(split)) == list(range(count))
    assert len(split.train) >= max(3, count / 2)
    assert len(split.validation) >= 1


@pytest.mark.parametrize(
    ("count", "held_out"), [(1494, 0), (1495, 299), (3000, 300), (8000, 800), (60000, 1000)]
)
def test_normals_are_held_out_where_there_are_many(count, held_out):
    assert len(split_normals(count, 150, RULE, True, 0).calibration) == held_out
    assert not len(split_normals(count, 150, RULE, False, 0).calibration)


@pytest.mark.parametrize(("count", "held_out"), [(4, 1), (120, 24), (1494, 298), (1495, 299)])
def test_one_fold_holds_out_a_fifth_instead(count, held_out):
    one = ThresholdConfig(folds=1)
    split = split_normals(count, 150, one, True, 0)
    assert len(split.calibration) == held_out
    assert sorted(parts(split)) == list(range(count))
    assert len(split.train) >= 2
    assert not len(split_normals(count, 150, one, False, 0).calibration)


def test_one_fold_trains_one_network(digits):
    trained = []
    config = TINY.replace(threshold__folds=1)
    detector = AnomalyDetector(config=config, on_epoch=lambda stage, _: trained.append(stage))
    detector.fit(digits.of(3)[:60])
    assert trained == ["network"]
    assert networks_to_train(60, config) == 1
    assert networks_to_train(60, TINY) == 3
    threshold = detector.header.threshold
    assert (threshold.method, threshold.n) == ("hold-out", 12)


@pytest.mark.parametrize(
    ("count", "held_out"),
    [(4, 1), (100, 20), (1000, 200), (1495, 299), (2000, 299), (8000, 800), (60000, 1000)],
)
def test_a_network_with_a_map_learns_from_all_that_set_no_threshold(count, held_out):
    split = split_once(count, 150, RULE, 0)
    assert sorted(parts(split)) == list(range(count))
    assert (len(split.validation), len(split.calibration)) == (0, held_out)
    assert len(split_once(1000, 150, ThresholdConfig(fpr=0.2), 0).calibration) == 150


@pytest.mark.parametrize("once", [False, True])
def test_the_seed_decides_the_split(once):
    first, again, other = (
        split_once(100, 20, RULE, seed) if once else split_normals(100, 20, RULE, True, seed)
        for seed in (0, 0, 1)
    )
    assert (first.train == again.train).all()
    assert (first.train != other.train).any()


def test_the_seed_decides_what_training_begins_with(digits):
    still = TINY.replace(training__rate_min=0, training__rate_max=1e-30)
    first, again, other = (
        AnomalyDetector(config=still, random_state=seed).fit(digits.of(3)[:20]).model_.network
        for seed in (0, 0, 1)
    )
    weights = [
        next(iter(network.parameters())).detach().numpy() for network in (first, again, other)
    ]
    assert (weights[0] == weights[1]).all()
    assert (weights[0] != weights[2]).any()


@given(st.integers(4, 400), st.integers(2, 10), st.integers(0, 9))
def test_every_normal_is_scored_by_one_network_that_did_not_see_it(count, folds, seed):
    splits = fold_splits(count, 150, folds, seed)
    assert sorted(np.concatenate([split.calibration for split in splits])) == list(range(count))
    for split in splits:
        assert sorted(parts(split)) == list(range(count))
        assert len(split.train)
        assert len(split.validation)


@pytest.mark.parametrize(("flagged", "warned"), [(1, False), (60, True), (None, False)])
def test_a_network_that_scores_unlike_those_of_the_folds_is_pointed_out(digits, flagged, warned):
    model = AnomalyDetector(config=TINY).fit(digits.of(3)).model_
    assert model.threshold.method == "cross-fitting"
    training = model.header.training
    assert training["validation_flagged"] < 0.2 * training["validation"]
    above = training["validation_highest"] > model.threshold.value
    assert (training["validation_flagged"] > 0) == above
    training.update({"validation": 90, "validation_flagged": flagged})
    assert any("more than the threshold promises" in line for line in notes(model.header)) == warned
