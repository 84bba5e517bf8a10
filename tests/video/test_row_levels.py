"""What is usual in each row of tiles, and scores as deviations from it."""

import numpy as np
import pytest

from adacl.config.sections import plain
from adacl.errors import ModelFileError
from adacl.video.motion import stack_energy
from adacl.video.row_levels import Level, Levels

ROWS = np.repeat(np.arange(3), [400, 300, 20])


def values(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(np.array([0.2, 0.5, 0.9])[ROWS], np.array([0.1, 0.2, 0.1])[ROWS])


def test_rows_are_brought_to_one_level_and_small_ones_take_that_of_all() -> None:
    found = Levels(Level.measure(values(), ROWS, 3, by_row=True))
    scores = found.apply(values(), None, ROWS)
    for row in (0, 1):
        assert scores[row == ROWS].mean() == pytest.approx(values().mean())
        assert scores[row == ROWS].std() == pytest.approx(values().std())
    np.testing.assert_allclose(scores[ROWS == 2], values()[ROWS == 2])
    assert found.floor == pytest.approx(values().mean() + values().std())


def test_without_rows_the_scores_stay_as_they_are() -> None:
    """As in the paper, for single frames."""
    found = Levels(Level.measure(values(), ROWS, 3, by_row=False))
    np.testing.assert_allclose(found.apply(values(), None, ROWS), values())


def test_network_and_motion_are_averaged_by_their_weights() -> None:
    network, motion = (Level.measure(values(seed), ROWS, 3, by_row=True) for seed in (0, 1))
    scores = Levels(network, motion, 2.0).apply(values(), values(1), ROWS)
    alone = (
        Levels(level).apply(values(seed), None, ROWS)
        for seed, level in enumerate([network, motion])
    )
    a, b = (
        (s - level.mean[-1]) / level.std[-1]
        for s, level in zip(alone, (network, motion), strict=True)
    )
    np.testing.assert_allclose((scores - network.mean[-1]) / network.std[-1], (a + 2 * b) / 3)


def test_levels_come_back_from_plain_values_and_unsound_ones_are_refused() -> None:
    level = Level.measure(values(), ROWS, 3, by_row=True)
    for found in (Levels(level), Levels(level, level, 0.5)):
        assert Levels.from_dict(plain(found)) == found
    with pytest.raises(ModelFileError, match="positive"):
        Level((0.1, 0.2), (0.1, 0.0))
    with pytest.raises(ModelFileError, match="as many rows"):
        Levels(level, Level((0.1,), (0.1,)), 1.0)
    with pytest.raises(ModelFileError, match="weight"):
        Levels(level, level, -1.0)


def test_the_energy_of_a_stack_is_its_mean_step_in_grey_levels() -> None:
    stack = np.zeros((2, 8, 8, 4), np.uint8)
    stack[1, ..., 0], stack[1, ..., 1], stack[1, ..., 2] = 10, 30, 250
    still, moving = stack_energy(stack)
    assert still == pytest.approx(np.log(0.1))
    assert moving == pytest.approx(np.log((20 + 220) / 2 + 0.1))
