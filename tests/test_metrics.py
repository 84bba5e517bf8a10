import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from adacl.errors import InputError
from adacl.metrics import (
    auroc,
    auroc_interval,
    average_precision,
    equal_error_rate,
    evaluation,
    roc,
)

scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=20)


@given(scores, scores)
def test_auroc_counts_the_pairs_in_order_and_ties_by_half(normal, abnormal):
    pairs = list(itertools.product(normal, abnormal))
    wins = sum((a > n) + (a == n) / 2 for n, a in pairs)
    assert auroc(normal, abnormal) == pytest.approx(wins / len(pairs))


@given(scores, scores)
def test_measures_are_those_of_scikit_learn_to_the_last_bit(normal, abnormal):
    normal, abnormal = np.array(normal) / 7, np.array(abnormal) / 7
    labelled = np.r_[np.zeros(len(normal)), np.ones(len(abnormal))], np.r_[normal, abnormal]
    assert auroc(normal, abnormal) == roc_auc_score(*labelled)
    assert average_precision(normal, abnormal) == average_precision_score(*labelled)
    wanted = roc_curve(*labelled, drop_intermediate=False)
    for found, expected in zip(roc(normal, abnormal), wanted, strict=True):
        np.testing.assert_array_equal(found, expected)


@given(scores, scores)
def test_measures_depend_on_the_order_alone(normal, abnormal):
    normal, abnormal = np.array(normal), np.array(abnormal)
    for measure in (auroc, average_precision, equal_error_rate):
        value = measure(normal, abnormal)
        assert 0 <= value <= 1
        assert measure(normal**3 / 7 + 2, abnormal**3 / 7 + 2) == pytest.approx(value)


@pytest.mark.parametrize(
    ("normal", "abnormal", "area", "rate"),
    [
        ([0.1, 0.2], [0.8, 0.9], 1.0, 0.0),
        ([0.8, 0.9], [0.1, 0.2], 0.0, 1.0),
        ([0.5] * 3, [0.5] * 5, 0.5, 0.5),
        ([0.1], [0.2], 1.0, 0.0),
        ([1, 2, 3, 4], [3.5, 5, 6, 7], 15 / 16, 0.25),
        ([1, 2, 3, 4, 5], [4.5, 6, 7, 8], 19 / 20, 0.2),
        ([1, 2, 2], [2, 3], 10 / 12, 2 / 7),
    ],
)
def test_known_values(normal, abnormal, area, rate):
    assert auroc(normal, abnormal) == pytest.approx(area)
    assert equal_error_rate(normal, abnormal) == pytest.approx(rate)


@given(scores, scores)
def test_equal_error_rate_is_the_same_seen_from_the_other_side(normal, abnormal):
    mirrored = equal_error_rate([-a for a in abnormal], [-n for n in normal])
    assert equal_error_rate(normal, abnormal) == pytest.approx(mirrored)


def test_average_precision_by_hand():
    assert average_precision([0.1, 0.5], [0.4, 0.9]) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([0.1], [0.9]) == 1


def test_roc_by_hand():
    fpr, tpr, thresholds = roc([0, 2], [1, 3])
    assert fpr.tolist() == [0, 0, 0.5, 0.5, 1]
    assert tpr.tolist() == [0, 0.5, 0.5, 1, 1]
    assert thresholds[1:].tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize("measure", [auroc, auroc_interval, average_precision, equal_error_rate])
def test_both_kinds_of_sample_are_needed(measure):
    for normal, abnormal in (([], [1]), ([1], []), ([], [])):
        with pytest.raises(InputError, match="normal"):
            measure(normal, abnormal)
    with pytest.raises(InputError, match="not finite"):
        measure([1], [float("nan")])


def test_evaluation():
    normal, abnormal = np.array([1, 2, 3, 4.0]), np.array([3.5, 5, 6, 7, 8])
    assert evaluation(normal, abnormal, normal > 3, abnormal > 5.5) == {
        "auroc": auroc(normal, abnormal),
        "eer": equal_error_rate(normal, abnormal),
        "average_precision": average_precision(normal, abnormal),
        "fpr": 0.25,
        "tpr": 0.6,
        "n_normal": 4,
        "n_abnormal": 5,
    }


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    true = float(norm.cdf(1.5 / np.sqrt(2)))
    covered = 0
    for _ in range(100):
        low, high = auroc_interval(rng.normal(0, 1, 60), rng.normal(1.5, 1, 40), draws=200)
        covered += low <= true <= high
    assert 87 <= covered <= 99


def test_the_interval_of_ties_and_of_perfect_scores():
    assert auroc_interval([0.1, 0.2], [0.5]) == (1.0, 1.0)
    assert auroc_interval([1, 1, 1], [1, 1]) == (0.5, 0.5)
    scores = np.random.default_rng(1).random((2, 30))
    assert auroc_interval(*scores) == auroc_interval(*scores)
    low, high = auroc_interval(*scores, confidence=0.5)
    assert low < auroc(*scores) < high


@pytest.mark.parametrize("labels", [[0, 0, 1], [1, -1, -1], [False, True, True]])
@pytest.mark.parametrize("measure", [auroc, auroc_interval, average_precision, equal_error_rate])
def test_labels_beside_scores_are_not_taken_for_scores(measure, labels):
    scores = [0.2, 0.3, 0.9]
    for pair in ((labels, scores), (scores, labels)):
        with pytest.raises(InputError, match="got labels and scores; pass the scores of normal"):
            measure(*pair)
    assert 0 <= auroc([0, 1, 1], [0, 0, 1]) <= 1
