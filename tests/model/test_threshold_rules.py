import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from adacl.errors import ConfigError, InputError
from adacl.model.threshold import Threshold, margin, normals_needed
from adacl.model.threshold_rules import (
    from_contamination,
    from_defects,
    from_normal_scores,
    with_learnt,
)


def shuffled(count):
    return np.random.default_rng(count).permutation(np.arange(1, count + 1)) / count


def just_above(score):
    return score + margin(score)


@given(
    st.integers(1, 2000), st.sampled_from(["0.001", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2"])
)
def test_the_threshold_is_the_conformal_quantile(count, fpr):
    threshold = from_normal_scores(shuffled(count), float(fpr), 0.95, "hold-out")
    rank = min(count, math.ceil((count + 1) * (1 - Fraction(fpr))))
    assert threshold.value == just_above(rank / count)
    assert (threshold.n, threshold.fpr, threshold.confidence) == (count, float(fpr), 0.95)
    assert 0 < threshold.upper_bound <= 1


@pytest.mark.parametrize("count", [20, 100, 299, 1000])
def test_the_bound_holds_as_often_as_stated(count):
    rng = np.random.default_rng(count)
    drawn = [from_normal_scores(rng.random(count), 0.05, 0.9, "hold-out") for _ in range(1000)]
    true_rates = np.array([1 - threshold.value for threshold in drawn])
    assert true_rates.mean() <= 0.055
    held = true_rates <= drawn[0].upper_bound
    assert held.mean() == pytest.approx(0.9, abs=0.03)


def test_the_bound_of_few_normals_is_that_of_their_maximum():
    threshold = from_normal_scores(shuffled(10), 0.01, 0.95, "cross-fitting")
    assert threshold.value == just_above(1)
    assert threshold.upper_bound == pytest.approx(1 - 0.05 ** (1 / 10))


@pytest.mark.parametrize(
    ("fpr", "confidence", "needed"), [(0.01, 0.95, 299), (0.05, 0.95, 59), (0.5, 0.75, 2)]
)
def test_normals_needed(fpr, confidence, needed):
    assert normals_needed(fpr, confidence) == needed
    assert (1 - fpr) ** needed <= 1 - confidence < (1 - fpr) ** (needed - 1)


def test_too_few_normals_are_said_to_assure_nothing():
    few = from_normal_scores(shuffled(100), 0.01, 0.95, "hold-out")
    enough = from_normal_scores(shuffled(299), 0.01, 0.95, "hold-out")
    many = from_normal_scores(shuffled(1000), 0.01, 0.95, "hold-out")
    assert not few.assured
    assert enough.assured
    assert many.assured
    assert "1.0% cannot be assured with 100 normals, whatever" in " ".join(few.notes())
    assert "at least 299" in " ".join(few.notes())
    assert "299" not in " ".join(many.notes())


@pytest.mark.parametrize(
    ("count", "aside", "above"), [(40, 1, 1), (10, 1, 0), (1700, 0, 16), (5000, 0, 49)]
)
def test_the_description_counts_the_normals_above_rather_than_promise_the_rate(count, aside, above):
    threshold = from_normal_scores(shuffled(count), 0.01, 0.95, "hold-out", set_aside=aside)
    told = f"to flag 1.0%: it flags {above} of these ({above / count:.1%}), and with 95%"
    assert told in threshold.notes()[0]
    assert (shuffled(count) > threshold.value).sum() == above


@pytest.mark.parametrize("method", ["hold-out", "cross-fitting", "calibration"])
def test_the_description_names_value_rate_size_and_bound(method):
    threshold = from_normal_scores(shuffled(400) / 2, 0.02, 0.95, method)
    text = " ".join(threshold.notes())
    for part in (f"{threshold.value:.4f}", "2.0%", "400", "95%", f"{threshold.upper_bound:.1%}"):
        assert part in text


@pytest.mark.parametrize(("value", "side"), [(1.2, "above 1"), (-0.1, "below 0")])
def test_a_saturated_threshold_is_pointed_out(value, side):
    threshold = from_normal_scores([value] * 400, 0.01, 0.95, "hold-out")
    assert side in " ".join(threshold.notes())


@pytest.mark.parametrize(
    ("method", "word"), [("calibration", "are they normal"), ("hold-out", "hardly")]
)
def test_a_threshold_above_1_is_laid_to_the_images_that_set_it(method, word):
    threshold = Threshold(1.2, method, 0.01, 100, 0.1, 0.95)
    assert word in threshold.notes()[-1]


@given(st.integers(2, 500), st.floats(0, 0.5))
def test_contamination_flags_its_share(count, contamination):
    scores = shuffled(count)
    threshold = from_contamination(scores, contamination)
    assert (scores > threshold.value).sum() == round(contamination * count)
    assert threshold.method == "contamination"


def test_contamination_zero_flags_nothing():
    scores = np.array([0.1, 0.9, 0.9])
    assert not (scores > from_contamination(scores, 0).value).any()


def test_contamination_is_described_as_saying_nothing_of_unseen_images():
    text = " ".join(from_contamination(shuffled(50), 0.1).notes())
    assert "10.0%" in text
    assert "unseen" in text


@pytest.mark.parametrize(
    ("count", "share", "told"),
    [(4, 0.1, "10.0%"), (10_000, 0.0004, "0.04%"), (4, 0.0, "0%")],
)
def test_contamination_is_not_said_to_flag_what_it_does_not(count, share, told):
    threshold = from_contamination(np.full(count, 0.2), share)
    assert f", set to flag {told} of the {count} training images" in threshold.notes()[0]


def test_a_threshold_by_hand():
    threshold = Threshold(0.5, "manual")
    assert "by hand" in threshold.notes()[0]
    assert not threshold.assured
    assert Threshold(**threshold.to_dict()) == threshold


@pytest.mark.parametrize(("count", "rank"), [(19, 1), (20, 2), (45, 2), (198, 2), (1000, 10)])
def test_one_odd_normal_alone_does_not_set_the_threshold(count, rank):
    scores = shuffled(count)
    threshold = from_normal_scores(scores, 0.01, 0.95, "hold-out", set_aside=1)
    assert threshold.value == just_above(np.sort(scores)[-rank])
    if rank == 2:
        strict = from_normal_scores(scores, 0.01, 0.95, "hold-out")
        assert threshold.upper_bound >= strict.upper_bound


@pytest.mark.parametrize("defects", [[0.97, 0.98, 0.99], [0.97, 0.98, 2.5]])
def test_defects_among_the_normals_do_not_set_the_threshold(defects):
    usual = shuffled(40) / 2
    mixed = from_normal_scores([*usual, *defects], 0.01, 0.95, "hold-out", set_aside=1)
    assert mixed.value == just_above(usual.max())
    assert "flags 3 of these" in mixed.notes()[0]
    assert mixed.upper_bound == pytest.approx(beta.ppf(0.95, 3 + 1 + 1, 39))


@pytest.mark.parametrize(
    ("highest", "defects", "set_aside"),
    [
        (0.1, [0.45, 0.46], 1),  # no nearer to anomalies than to normals
        (0.4, [0.55, 0.65, 0.75, 0.85], 1),  # no gap as wide as the rest
        (0.4, [0.9] * 6, 1),  # more than a tenth: another kind of normal
        (0.4, [0.98, 0.99], 0),  # other presets, and calibration
    ],
)
def test_high_scores_that_may_be_normal_set_the_threshold(highest, defects, set_aside):
    scores = [*highest * shuffled(40), *defects]
    threshold = from_normal_scores(scores, 0.01, 0.95, "hold-out", set_aside=set_aside)
    assert threshold.value == just_above(np.sort(scores)[-1 - set_aside])


def held_out_and_learnt(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.gumbel(0.2, 0.05, count), rng.gumbel(0.2, 0.05, 4 * count)


def test_normals_learnt_from_steady_a_threshold_that_few_held_out_ones_set():
    new = held_out_and_learnt(5000, 1000)[0]
    values, above = [], []
    for seed in range(200):
        scores, learnt = held_out_and_learnt(40, seed)
        alone = from_normal_scores(scores, 0.01, 0.95, "hold-out", set_aside=1)
        both = with_learnt(alone, scores, learnt)
        values.append((alone.value, both.value))
        above.append([(new > x).mean() for x in values[-1]])
    alone, both = np.transpose(values)
    assert both.std() < 0.75 * alone.std()
    assert np.mean(above, 0)[1] == pytest.approx(1.5 / 41, abs=0.006)


def test_the_bound_with_normals_learnt_from_holds_as_often_as_stated():
    new = held_out_and_learnt(5000, 1000)[0]
    kept = []
    for seed in range(400):
        scores, learnt = held_out_and_learnt(40, seed)
        threshold = from_normal_scores(scores, 0.01, 0.95, "hold-out", set_aside=1)
        threshold = with_learnt(threshold, scores, learnt)
        kept.append((new > threshold.value).mean() <= threshold.upper_bound)
    assert np.mean(kept) >= 0.95


def test_learnt_normals_that_score_lower_are_raised_first():
    scores, learnt = held_out_and_learnt(40)
    threshold = from_normal_scores(scores, 0.01, 0.95, "hold-out", set_aside=1)
    level = np.median(scores) - np.median(learnt)
    as_they_are, lower = (with_learnt(threshold, scores, x) for x in (learnt + level, learnt - 0.1))
    assert lower.value == pytest.approx(as_they_are.value)


def test_learnt_normals_that_score_higher_stay_as_they_are():
    scores, learnt = held_out_and_learnt(40)
    threshold = from_normal_scores(scores, 0.01, 0.95, "hold-out", set_aside=1)
    found = with_learnt(threshold, scores, learnt + 0.1)
    share = 1.5 / 41
    assert (learnt + 0.1 > found.value).mean() == pytest.approx(share, abs=share / 3)


@pytest.mark.parametrize(
    ("count", "learnt"),
    [
        (29, held_out_and_learnt(29)[1]),  # too few held out to judge the threshold
        (300, held_out_and_learnt(300)[1]),  # enough to assure the rate
        (40, np.full(160, 0.2)),  # remembered: a network that gives them all one score
    ],
)
def test_normals_learnt_from_do_not_count_where_they_cannot_help(count, learnt):
    scores = held_out_and_learnt(count)[0]
    threshold = from_normal_scores(scores, 0.01, 0.95, "hold-out", set_aside=1)
    assert with_learnt(threshold, scores, learnt) == threshold


def test_defects_among_the_normals_learnt_from_do_not_set_the_threshold():
    scores, learnt = held_out_and_learnt(40)
    threshold = from_normal_scores(scores, 0.01, 0.95, "hold-out", set_aside=1)
    found = with_learnt(threshold, scores, [*learnt, *np.linspace(0.9, 0.99, 9)])
    assert found.value < 0.5
    flagged = int((scores > found.value).sum())
    assert found.upper_bound == pytest.approx(beta.ppf(0.95, flagged + 1 + 1, 40 - flagged - 1))


def test_copies_and_groups_of_normals_learnt_from_count_once():
    scores, learnt = held_out_and_learnt(40)
    threshold = from_normal_scores(scores, 0.01, 0.95, "hold-out", set_aside=1)
    once = with_learnt(threshold, scores, learnt)
    copies = with_learnt(
        threshold, scores, np.repeat(learnt, 3), None, np.repeat(np.arange(len(learnt)), 3)
    )
    assert copies == once
    assert once.learnt == 160


def test_it_is_told_that_normals_learnt_from_set_the_threshold():
    scores, learnt = held_out_and_learnt(40)
    threshold = from_normal_scores(scores, 0.01, 0.95, "hold-out", set_aside=1)
    found = with_learnt(threshold, scores, learnt)
    flagged = int((scores > found.value).sum())
    told = found.notes()[0]
    assert (
        "from 40 normals kept out of training and early stopping, and 160 learnt from, to" in told
    )
    assert f"it flags {flagged} of those kept out ({flagged / 40:.1%}), and with 95%" in told
    assert Threshold(**found.to_dict()) == found
    assert found.moved_to(0.5).learnt == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_threshold_must_be_finite(value):
    with pytest.raises(ConfigError, match="finite"):
        Threshold(value, "manual")


@pytest.mark.parametrize("scores", [[], [0.1, math.nan], [math.inf]])
def test_scores_must_be_there_and_finite(scores):
    with pytest.raises(InputError, match="score"):
        from_normal_scores(scores, 0.01, 0.95, "calibration")


@pytest.mark.parametrize("fpr", [0, 1, -0.1, math.nan])
def test_the_rate_must_lie_between_zero_and_one(fpr):
    with pytest.raises(ConfigError, match="fpr"):
        from_normal_scores([0.5], fpr, 0.95, "calibration")


@given(st.integers(1, 3000), st.floats(0, 1))
def test_the_curve_tells_the_share_of_normals_above_any_score(count, value):
    scores = shuffled(count)
    threshold = from_normal_scores(scores, 0.01, 0.95, "hold-out")
    above = (scores > value).mean()
    assert threshold.fpr_at(value) == pytest.approx(above, abs=max(1 / count, 0.1 * above))
    assert threshold.fpr_at(1.0) == 0
    assert threshold.fpr_at(0.0) == 1
    assert len(threshold.curve) <= 100
    assert Threshold(**json.loads(json.dumps(threshold.to_dict()))) == threshold


def test_a_threshold_moved_by_hand_still_knows_the_normals():
    moved = from_normal_scores(shuffled(1000), 0.01, 0.95, "hold-out").moved_to(0.9)
    assert (moved.value, moved.method) == (0.9, "manual")
    assert "10.0% of 1000 normals scored higher" in moved.notes()[0]
    assert Threshold(0.5, "manual").fpr_at(0.5) is None


@pytest.mark.parametrize("curve", [[(0.1, math.nan)], [(math.inf, 0.0)]])
def test_a_curve_must_be_finite(curve):
    with pytest.raises(ConfigError, match="finite"):
        Threshold(0.5, "manual", curve=curve)


def test_a_threshold_is_refuted_by_far_more_flagged_normals_than_its_bound():
    threshold = from_normal_scores(shuffled(400), 0.01, 0.95, "cross-fitting")
    assert not threshold.refuted_by(3, 150)
    assert threshold.refuted_by(30, 150)
    assert not Threshold(0.5, "manual").refuted_by(150, 150)


def test_a_group_counts_once_for_the_threshold_by_its_highest_score():
    scores = np.arange(12.0)
    groups = np.arange(12) % 4
    threshold = from_normal_scores(scores, 0.3, 0.95, "calibration", groups=groups)
    assert (threshold.n, threshold.groups, threshold.value) == (4, True, just_above(11))
    assert (
        threshold.upper_bound == from_normal_scores(scores[-4:], 0.3, 0.95, "hold-out").upper_bound
    )
    assert (
        "from 4 groups of calibration normals to flag 30.0%: it flags 0.0% of their images"
        in (threshold.notes()[0])
    )
    assert "4 groups of normals, whatever" in threshold.notes()[1]
    alone = from_normal_scores(scores, 0.3, 0.95, "calibration", groups=np.zeros(12))
    assert "from 1 group of calibration normals" in alone.notes()[0]
    by_defects = from_defects([6.5], scores, 0.5, 0.95, groups=groups)
    assert (by_defects.n, by_defects.groups, by_defects.defects.flagged) == (4, True, 4)
    for found in (threshold, by_defects, by_defects.moved_to(0.5)):
        assert found.groups
        assert found.fpr_at(5.5) == pytest.approx(0.5, abs=0.1)


def test_groups_keep_the_promise_where_images_of_a_part_are_alike():
    rng = np.random.default_rng(0)
    kept = {False: 0, True: 0}
    for _ in range(300):
        parts = rng.normal(size=(520, 1)) + 0.1 * rng.normal(size=(520, 8))
        labels = np.repeat(np.arange(20), 8)
        for grouped in kept:
            found = from_normal_scores(
                parts[:20].ravel(), 0.01, 0.95, "hold-out", groups=labels if grouped else None
            )
            kept[grouped] += float((parts[20:] > found.value).mean()) <= found.upper_bound
    assert kept[False] < 0.8 * 300
    assert kept[True] > 0.95 * 300


def test_defects_judge_a_threshold_that_normals_set():
    threshold = from_normal_scores(shuffled(400) / 2, 0.01, 0.95, "calibration")
    judged = threshold.judged_by([0.2, 0.7, 0.8, 0.9])
    assert judged.value == threshold.value
    assert (judged.defects.n, judged.defects.found, judged.defects.wanted) == (4, 3, None)
    assert (judged.defects.low, judged.defects.high) == pytest.approx((0.194, 0.994), abs=1e-3)
    assert judged.notes()[: len(threshold.notes())] == threshold.notes()
    told = " ".join(judged.notes())
    assert "3 of 4 labelled defects; of all such defects 19% to 99%" in told
    assert "judged the threshold; no training saw" in told
    assert "4 labelled defects tell little" in told
    assert judged.judged_by([0.2, 0.9], [1, 1]).defects.n == 1
    assert threshold.judged_by([threshold.value]).defects.found == 0
    assert "defects" not in threshold.to_dict()
    assert Threshold(**json.loads(json.dumps(judged.to_dict()))) == judged


@pytest.mark.parametrize(("share", "count", "found"), [(0.9, 9, 9), (0.9, 19, 18), (0.5, 3, 2)])
def test_defects_set_a_threshold_that_normals_judge(share, count, found):
    defects = np.linspace(0.5, 0.9, count)
    threshold = from_defects(defects, shuffled(100) / 2, share, 0.95)
    assert (threshold.method, threshold.n, threshold.fpr) == ("defects", 100, None)
    assert (defects > threshold.value).sum() == threshold.defects.found == found
    assert threshold.defects.flagged == (shuffled(100) / 2 > threshold.value).sum()
    told = threshold.notes()
    assert f"set by {count} labelled defects to find {share:.0%}" in told[0]
    assert f"flags {threshold.defects.flagged} of 100 normals" in told[0]
    assert "They set the threshold; no training saw them" in told[1]
    assert Threshold(**json.loads(json.dumps(threshold.to_dict()))) == threshold


@pytest.mark.parametrize(
    ("share", "count", "words"),
    [
        (0.9, 9, ""),
        (
            0.9,
            8,
            "8 labelled defects are too few for 90%: a threshold just below the lowest finds 88.9%",
        ),
        (0.99, 14, "99% takes at least 99"),
        (0.995, 99, "99 labelled defects are too few for 99.5%"),
    ],
)
def test_a_share_that_so_few_defects_cannot_give_is_named(share, count, words):
    threshold = from_defects(np.linspace(0.5, 0.9, count), shuffled(100) / 2, share, 0.95)
    told = " ".join(threshold.notes())
    assert f"to find {100 * share:g}% of such defects" in told
    assert words in told
    assert ("too few" in told) == bool(words)


def test_a_defect_that_sets_a_threshold_is_found_by_the_exported_model_too():
    defects = np.array([0.5, 0.7, 0.9])
    threshold = from_defects(defects, shuffled(100) / 2, 0.7, 0.95)
    assert (defects - 3e-6 > threshold.value).all()


def score_below(threshold, scores):
    """Return the highest of the scores that is not flagged."""
    return max(score for score in scores if score <= threshold.value)


@pytest.mark.parametrize("level", [0, 50, -50])
def test_a_normal_that_sets_a_threshold_is_not_flagged_by_the_exported_model(level):
    scores, learnt = (level + some for some in held_out_and_learnt(40))
    held_out = from_normal_scores(scores, 0.01, 0.95, "hold-out", set_aside=1)
    both = with_learnt(held_out, scores, learnt)
    assert both.learnt
    raised = learnt + max(0, np.median(scores) - np.median(learnt))
    for threshold, setting in [
        (held_out, scores),
        (both, [*scores, *raised]),
        (from_normal_scores(scores, 0.01, 0.95, "cross-fitting", set_aside=1), scores),
        (from_normal_scores(scores, 0.1, 0.95, "calibration"), scores),
        (from_contamination(scores, 0.1), scores),
    ]:
        score = score_below(threshold, setting)
        assert threshold.value == just_above(score)
        assert score < np.float32(score) * (1 + np.sign(score) * 3e-6) < threshold.value
        if threshold.curve:
            stated = round(threshold.fpr_at(threshold.value) * threshold.n)
            assert stated == (scores > threshold.value).sum()


def test_next_to_no_defects_may_be_asked_for():
    assert from_defects([0.5, 0.7, 0.9], [0.1, 0.2], 1e-10, 0.95).defects.found == 1


def test_what_is_said_of_defects_holds_as_often_as_stated():
    rng = np.random.default_rng(0)
    for share in (None, 0.8):
        inside, below, caught = [], [], []
        for _ in range(500):
            normals, defects = rng.normal(size=60), rng.normal(1.5, size=15)
            if share is None:
                threshold = from_normal_scores(normals, 0.1, 0.95, "calibration")
                threshold = threshold.judged_by(defects)
            else:
                threshold = from_defects(defects, normals, share, 0.95)
            true = float((rng.normal(1.5, size=4000) > threshold.value).mean())
            flagged = float((rng.normal(size=4000) > threshold.value).mean())
            inside.append(threshold.defects.low <= true <= threshold.defects.high)
            below.append(flagged <= threshold.upper_bound)
            caught.append(true)
        assert np.mean(inside) > 0.93
        assert np.mean(below) > 0.93
        assert share is None or np.mean(caught) > share - 0.01


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"n": 2, "found": 3, "low": 0, "high": 1}, "whole numbers"),
        ({"n": 2.5, "found": 1, "low": 0, "high": 1}, "whole numbers"),
        ({"n": 2, "found": 1, "low": 0, "high": 2}, "from 0 to 1"),
        ({"n": 2, "found": 1, "low": 0, "high": 1, "wanted": math.nan}, "finite"),
    ],
)
def test_a_record_of_defects_that_cannot_be_is_refused(fields, words):
    with pytest.raises(ConfigError, match=words):
        Threshold(0.5, "calibration", 0.01, 9, 0.1, 0.95, defects=fields)


@pytest.mark.parametrize(("fpr", "told"), [(1e-4, "0.01%"), (1e-17, "1e-15%"), (0.01, "1.0%")])
def test_a_tiny_rate_is_told_as_it_is(fpr, told):
    set_by, cannot = from_normal_scores([0.1, 0.2, 0.3], fpr, 0.95, "hold-out").notes()
    assert f"to flag {told}: " in set_by
    assert cannot.startswith(f"{told} cannot be assured with 3 normals")
