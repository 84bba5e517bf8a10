"""Time stamps of live streams that cannot be right."""

import logging
from collections.abc import Iterable

import numpy as np
import pytest

from adacl.data.video_times import LiveTimes


def times_of(stamps: Iterable[float | None], rate: float = 10.0) -> np.ndarray:
    """Return the times of frames with these stamps, which arrive at a steady rate."""
    arrivals = iter(np.arange(1, 10**6) / rate)
    times = LiveTimes("gate", rate, stamped=True, clock=lambda: next(arrivals))
    return np.array([times.of(number, stamp) for number, stamp in enumerate(stamps)])


def arrivals(count: int) -> np.ndarray:
    return np.arange(count) / 10


def test_sound_stamps_are_kept_though_the_first_is_missing_and_a_burst_comes_early(
    caplog: pytest.LogCaptureFixture,
) -> None:
    np.testing.assert_allclose(times_of(90 + arrivals(50)), arrivals(50))
    np.testing.assert_allclose(times_of([None, *(90 + arrivals(50))]), 0.1 + arrivals(51) - 0.1)
    burst = np.concatenate([np.arange(0, 20, 0.04), 20 + arrivals(50)])
    np.testing.assert_allclose(times_of(burst), burst)
    day = arrivals(10 * 3600 * 24) * 1.001
    np.testing.assert_allclose(times_of(day), day)
    assert not caplog.messages


def test_without_stamps_the_times_are_those_of_arrival() -> None:
    np.testing.assert_allclose(times_of([None] * 50), arrivals(50))


@pytest.mark.parametrize(
    ("stamps", "words"),
    [
        (arrivals(3000) * 2, "do not agree with the clock"),
        (np.zeros(3000), "do not agree with the clock"),
        (arrivals(3000) + (arrivals(3000) > 50) * 1e8, "do not agree with the clock"),
        (arrivals(3000) - (arrivals(3000) > 50) * 20, "run backwards"),
        (-arrivals(3000), "run backwards"),
    ],
)
def test_stamps_that_cannot_be_right_give_way_to_the_times_of_arrival(
    stamps: np.ndarray, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "adacl"):
        times = times_of(stamps)
    (message,) = caplog.messages
    assert message.startswith("gate, at ")
    assert message.endswith(f"the time stamps of the stream {words}; the times of arrival are used")
    assert (np.diff(times) >= 0).all()
    assert np.abs(times - arrivals(3000)).max() < 65
    np.testing.assert_allclose(np.diff(times)[-1000:], 0.1)
