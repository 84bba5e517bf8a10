import numpy as np
import pytest
from pyod.utils.data import evaluate_print
from pyod.utils.utility import get_label_n, precision_n_scores, score_to_label

from adacl import PyODDetector
from adacl.metrics import auroc
from adacl.model.threshold import margin
from support.helpers import LEARNING, TINY


@pytest.fixture(scope="module")
def train(digits):
    return digits.of(3)[:100]


@pytest.fixture(scope="module")
def detector(train):
    return PyODDetector(config=LEARNING, device="cpu").fit(train)


def test_names_and_signs(detector, train):
    scores = detector.decision_scores_
    assert (scores == detector.decision_function(train)).all()
    assert (detector.labels_ == (scores > detector.threshold_)).all()
    assert detector.labels_.sum() == 10
    assert (detector.labels_ == score_to_label(scores, detector.contamination)).all()
    assert (detector.predict(train) == detector.labels_).all()


def test_the_helpers_of_pyod_agree(detector, digits, capsys):
    normal, abnormal = digits.of(3)[100:], digits.other_than(3)[:200]
    target = np.r_[np.zeros(len(normal)), np.ones(len(abnormal))]
    scores = detector.decision_function(np.concatenate([normal, abnormal]))
    area = auroc(scores[target == 0], scores[target == 1])
    assert area > 0.85
    evaluate_print("adacl", target, scores)
    assert f"ROC:{np.round(area, 4)}" in capsys.readouterr().out
    assert precision_n_scores(target, scores) > 0.8
    assert get_label_n(target, scores).sum() == len(abnormal)


def test_probabilities(detector, digits):
    probabilities = detector.predict_proba(digits.images[:50])
    assert probabilities.shape == (50, 2)
    assert probabilities.min() >= 0
    assert probabilities.sum(axis=1) == pytest.approx(1)
    scores = detector.decision_function(digits.images[:50])
    assert probabilities[:, 1] == pytest.approx(np.clip(scores, 0, 1))


def test_contamination_zero_flags_no_training_image(train):
    detector = PyODDetector(contamination=0, config=TINY, device="cpu")
    assert not detector.fit_predict(train).any()
    highest = detector.decision_scores_.max()
    assert detector.threshold_ == highest + margin(highest)


def test_contamination_counts_as_it_is_when_fitted(train):
    detector = PyODDetector(config=TINY, device="cpu")
    detector.contamination = 0.3
    assert detector.fit_predict(train).sum() == 30
    assert detector.contamination == 0.3


def test_rows_with_a_shape(train):
    rows = PyODDetector(config=TINY, device="cpu", image_shape=(8, 8)).fit(train.reshape(100, -1))
    images = PyODDetector(config=TINY, device="cpu").fit(train)
    assert (rows.decision_scores_ == images.decision_scores_).all()


def test_a_generator_is_learnt_from_and_then_labelled(train):
    detector = PyODDetector(config=TINY, device="cpu")
    labels = detector.fit_predict(image for image in train[:20])
    assert (labels == detector.predict(train[:20])).all()


def test_labels_that_differ_are_said_to_be_ignored(train, caplog):
    PyODDetector(config=TINY, device="cpu").fit_predict(train, np.arange(len(train)) % 2)
    assert "y has 2 different labels, and is ignored" in caplog.text
