"""Which of the normal images look least normal."""

import numpy as np
import pytest

from adacl.training.least_normal import NAMED, PIXELS, least_normal, some_of

HELD_OUT = np.arange(20)
LEARNT = np.arange(20, 100)


@pytest.mark.parametrize(
    ("held_out", "learnt", "named"),
    [
        ({}, {}, []),
        ({3: 0.9, 7: 0.95}, {}, [7, 3]),
        ({3: 0.9}, {30: 0.99, 40: 0.6}, [30, 3, 40]),
        ({3: 0.35}, {30: 0.4}, [3]),  # learnt, and nearer to normal images
        ({3: 0.29}, {}, []),
        # 0.6 is no more than others have that were not learnt
        (dict.fromkeys(range(5), 0.7), {30: 0.6, 31: 0.8}, [31, 0, 1, 2, 3, 4]),
    ],
)
def test_high_scores_are_named_in_order(held_out, learnt, named):
    scores, taught = np.full(20, 0.2), np.full(80, 0.2)
    for number, score in held_out.items():
        scores[number] = score
    for number, score in learnt.items():
        taught[number - 20] = score
    assert least_normal(HELD_OUT, scores, 0.3, LEARNT, taught) == named


def test_held_out_images_that_set_the_threshold_are_named_if_they_look_anomalous():
    scores = np.append(np.full(17, 0.2), [0.7, 0.8, 0.9])
    assert least_normal(HELD_OUT, scores, 0.9, LEARNT, np.full(80, 0.2)) == [19, 18]
    assert least_normal(HELD_OUT, scores, 0.6, LEARNT, np.full(80, 0.2)) == [19, 18, 17]


def test_no_more_are_named_than_can_be_looked_at():
    taught = np.linspace(0.6, 0.9, 80)
    named = least_normal(HELD_OUT, np.full(20, 0.2), 0.3, LEARNT, taught)
    assert named == LEARNT[::-1][:NAMED].tolist()


def test_of_many_learnt_images_some_are_scored():
    numbers = np.random.default_rng(0).permutation(1000)
    assert some_of(numbers, PIXELS // 1001).tolist() == list(range(1000))
    assert 100 <= len(some_of(numbers, PIXELS // 200)) <= 200
    assert len(some_of(numbers, 10 * PIXELS)) == 1
