"""Stacks, segments, carrying, smoothing, alarms and live streams."""

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chi2

from adacl.config.sections import plain
from adacl.data.video import Frame
from adacl.errors import ConfigError, DataError
from adacl.video.alarms import Alarm, events, from_normal_footage
from adacl.video.changes import Change
from adacl.video.chunks import chunks, segments
from adacl.video.config import VideoConfig
from adacl.video.frame_scores import FrameScore, carry, smooth
from adacl.video.live import Dropped, keep_up
from support.footage import as_frames, walkers

VIDEO = VideoConfig(tile=16, stride=16)


def scores_of(values: np.ndarray, segment: int = 0, first: int = 0) -> list[FrameScore]:
    nothing = np.empty(0)
    return [
        FrameScore(first + n, (first + n) / 10, v, v, None, nothing, segment)
        for n, v in enumerate(map(float, values))
    ]


@given(
    count=st.integers(1, 40), size=st.integers(1, 12), reach=st.integers(0, 4)
)  # fmt: skip
def test_every_frame_with_neighbours_is_a_centre_once(count: int, size: int, reach: int) -> None:
    frames = as_frames(np.zeros((count, 16, 32), np.uint8))
    found = [f.number for c in chunks(frames, VIDEO, reach, size) for f in c.centres]
    assert found == list(range(reach, count - reach))


@pytest.mark.parametrize("size", [5, 64])
def test_samples_are_the_stacked_tiles_their_row_and_the_faster_stacks(size: int) -> None:
    images = walkers(30)
    video = VideoConfig(tile=16, stride=8, speeds=(1.5, 3.0))
    corners = video.tiling.corners(64, 96)
    seen = 0
    for chunk in chunks(as_frames(images), video, video.training_reach, size):
        centres, tiles = chunk.moving(2.0)
        samples = chunk.samples(centres, tiles, video, training=True)
        visible = chunk.samples(centres, tiles, video, training=False)
        np.testing.assert_array_equal(samples[..., :4], visible)
        for sample, centre, tile in zip(samples, centres, tiles, strict=True):
            t, (top, left) = chunk.centres[centre].number, corners[tile]
            window = images[:, top : top + 16, left : left + 16]
            steps = [-2, 0, 2, None, -3, 3, -6, 6]
            for channel, step in enumerate(steps):
                expected = round(255 * top / 48) if step is None else window[t + step]
                np.testing.assert_array_equal(sample[..., channel], expected)
            seen += 1
    assert seen > 50


def test_a_file_from_before_tiles_were_followed_scores_as_it_did() -> None:
    tree = plain(VideoConfig(tile=40, carry=0.5))
    assert VideoConfig.of_file(tree) == VideoConfig(tile=40, carry=0.5)
    del tree["carry"]
    assert VideoConfig.of_file(tree) == VideoConfig(tile=40, carry=0)


def test_a_gap_in_number_or_time_ends_a_segment_and_a_new_rate_does_not_end_every_frame() -> None:
    image = np.zeros((16, 16, 1), np.uint8)
    numbers = [0, 1, 2, 5, 6, 7, 8, 9, 10, 11]
    times = [0, 0.1, 0.2, 0.5, 0.6, 0.7, 5.0, 5.5, 6.0, 6.5]
    frames = [Frame(n, t, image) for n, t in zip(numbers, times, strict=True)]
    found = [[frame.number for frame in segment] for segment in segments(frames)]
    assert found == [[0, 1, 2], [5, 6, 7], [8, 9, 10, 11]]


def tiles_of(tiles: np.ndarray, floor: float) -> list[FrameScore]:
    """Return the scores of frames with tiles (F, R, C)."""
    return [
        FrameScore(n, n / 10, max(floor, np.nanmax(t)), 0.0, None, t.ravel())
        for n, t in enumerate(np.where(np.isnan(tiles).all((1, 2), keepdims=True), floor, tiles))
    ]


@given(
    tiles=arrays(float, st.tuples(st.integers(1, 12), st.integers(1, 4), st.integers(1, 5)),
                 elements=st.floats(0, 1) | st.just(np.nan)),
    share=st.floats(0, 0.95),
)  # fmt: skip
def test_a_frame_has_the_highest_mean_along_any_way_from_tile_to_tile(
    tiles: np.ndarray, share: float
) -> None:
    floor, found = 0.25, []
    scores = tiles_of(tiles, floor)
    own = np.fmax(tiles, floor)
    for frame in range(len(own)):
        best = own[0] * share**frame
        for later in range(1, frame + 1):
            around = [
                [
                    best[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].max()
                    for column in range(own.shape[2])
                ]
                for row in range(own.shape[1])
            ]
            best = own[later] * share ** (frame - later) + around
        found.append(best.max() / sum(share**back for back in range(frame + 1)))
    carried = list(carry(scores, own.shape[1:], share, floor))
    np.testing.assert_allclose([score.smoothed for score in carried], found)
    if share == 0:
        assert [score.smoothed for score in carried] == [score.raw for score in scores]


def test_what_moves_on_is_told_from_what_flickers() -> None:
    """In each frame one tile of eight scores 1: the next one along a row, or one far away."""
    walking, flickering = np.zeros((2, 8, 3, 8))
    for frame in range(8):
        walking[frame, 1, frame] = 1
        flickering[frame, 1, frame * 5 % 8] = 1
    last = [list(carry(tiles_of(t, 0.0), (3, 8), 0.8, 0.0))[-1] for t in (walking, flickering)]
    assert last[0].raw == last[1].raw == 1
    assert last[0].smoothed == pytest.approx(1)
    assert last[1].smoothed < 0.6


@given(count=st.integers(1, 80), sigma=st.floats(0.3, 9), seed=st.integers(0, 99))
def test_streamed_smoothing_is_the_gaussian_mean_of_those_there(
    count: int, sigma: float, seed: int
) -> None:
    values = np.random.default_rng(seed).random(count)
    distance = np.abs(np.arange(count)[:, None] - np.arange(count))
    kernel = np.exp(-0.5 * (distance / sigma) ** 2) * (distance <= np.ceil(3 * sigma))
    expected = kernel @ values / kernel.sum(1)
    found = list(smooth(scores_of(values), sigma))
    assert [score.raw for score in found] == values.tolist()
    np.testing.assert_allclose([score.smoothed for score in found], expected, atol=1e-9)


def test_smoothing_waits_for_three_standard_deviations_and_no_longer() -> None:
    taken = 0

    def counted() -> Iterator[FrameScore]:
        nonlocal taken
        for score in scores_of(np.ones(100)):
            taken += 1
            yield score

    next(smooth(counted(), 2.0))
    assert taken == 7


def test_an_event_begins_and_ends_at_the_release_level_and_peaks_above_the_threshold() -> None:
    values = np.array([0, 0.35, 0.6, 0.9, 0.5, 0.35, 0.1, 0.5, 0.1, 0.7])
    alarm = Alarm(0.55, typical=0.05)
    assert alarm.release == pytest.approx(0.3)
    first, second = events(scores_of(values), alarm)
    assert (first.first, first.peak, first.last, first.score) == (1, 3, 5, 0.9)
    assert (first.start, first.peak_time, first.end) == (0.1, 0.3, 0.5)
    assert (second.first, second.last) == (9, 9)


def test_an_event_does_not_cross_a_gap() -> None:
    values = np.ones(4)
    two = [*scores_of(values, 0), *scores_of(values, 1, first=9)]
    assert [(e.first, e.last) for e in events(two, Alarm(0.5))] == [(0, 3), (9, 12)]


def test_the_worst_frame_of_an_event_is_that_with_the_highest_score_of_its_own() -> None:
    raw, smoothed = [0.6, 0.7, 1.4, 0.6], [0.6, 0.9, 0.8, 0.6]
    scores = [replace(s, raw=r) for s, r in zip(scores_of(np.array(smoothed)), raw, strict=True)]
    [event] = events(scores, Alarm(0.5))
    assert event.worst is not None
    assert (event.peak, event.worst.number) == (1, 2)


def test_normal_footage_on_either_side_of_a_gap_has_alarms_of_its_own() -> None:
    segments = [np.array(s) for s in ([0, 0, 0.5, 0.9], [0.8, 0.5, 0, 0], [0, 0.3, 0])]
    alarm = from_normal_footage(segments, hours=1, per_hour=1)
    assert (alarm.threshold, alarm.false_alarms) == (0.8, 1)


@given(seed=st.integers(0, 200), allowed=st.integers(0, 6), parts=st.integers(1, 3))
def test_the_threshold_is_the_lowest_peak_that_keeps_to_the_false_alarms(
    seed: int, allowed: int, parts: int
) -> None:
    rng = np.random.default_rng(seed)
    stretches = [np.abs(np.convolve(rng.normal(size=90), np.ones(5))) for _ in range(parts)]
    alarm = from_normal_footage(stretches, hours=2.0, per_hour=allowed / 2 + 0.1)

    def count(at: Alarm) -> int:
        found = (events(scores_of(s, n), at) for n, s in enumerate(stretches))
        return sum(len(list(part)) for part in found)

    assert count(alarm) == alarm.false_alarms <= allowed
    peaks = {
        float(v)
        for s in (np.r_[-1, s, -1] for s in stretches)
        for before, v, after in zip(s, s[1:], s[2:], strict=False)
        if before <= v > after
    }
    assert alarm.threshold in peaks
    higher = [count(Alarm(v, alarm.typical)) for v in peaks if v > alarm.threshold]
    lower = [v for v in peaks if v < alarm.threshold]
    assert max(higher, default=0) <= allowed
    assert not lower or count(Alarm(max(lower), alarm.typical)) > allowed


@pytest.mark.parametrize("events", [0, 1, 7, 400])
def test_the_upper_bound_is_that_of_the_poisson_distribution(events: int) -> None:
    bound = Alarm(0.5, per_hour=1, hours=3, false_alarms=events).upper_bound
    assert bound == pytest.approx(chi2.ppf(0.95, 2 * (events + 1)) / 2 / 3, rel=1e-6)


def test_what_the_footage_can_assure_is_said() -> None:
    short = from_normal_footage([np.random.default_rng(0).random(500)], 0.02, 1)
    assert short.false_alarms == 0
    assert short.upper_bound == pytest.approx(2.9957 / 0.02, rel=1e-4)
    assert "cannot be assured" in short.notes()[1]
    assert "for 0.3 an hour, which allows none" in short.notes()[1]
    enough = from_normal_footage([np.random.default_rng(0).random(5000)], 3, 0.3)
    assert enough.false_alarms == 0
    assert enough.upper_bound == pytest.approx(1, abs=0.01)
    assert short.notes()[0].endswith("at most 150 an hour")
    assert Alarm(0.5, 0, 1, 0.001455).notes()[0].endswith("at most 2,060 an hour")
    long = from_normal_footage([np.random.default_rng(0).random(500)], 5, 1)
    assert long.false_alarms <= 5
    assert short.at(0.4).notes() == ["threshold 0.4000, given by hand"]


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        from_normal_footage([np.ones(5)], 1, rate)


def test_no_footage_left_is_refused() -> None:
    with pytest.raises(DataError, match="give more"):
        from_normal_footage([], 0, 1)


def test_a_slow_reader_loses_frames_openly_and_keeps_the_newest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    filled = threading.Event()

    def camera() -> Iterator[Frame]:
        yield from as_frames(np.zeros((58, 8, 8), np.uint8))
        filled.set()

    with caplog.at_level(logging.WARNING, "adacl"):
        found = []
        dropped = Dropped("gate")
        for frame in keep_up(camera(), dropped, backlog=10):
            filled.wait(10)
            found.append(frame.number)
        dropped.close()
    lost = 58 - len(found)
    assert found[-1] == 57
    assert len(found) <= 12
    assert caplog.messages[0].endswith(" frames were dropped")
    assert caplog.messages[-1] == f"gate: {lost} frames were dropped in all"
    runs = np.split(found, np.flatnonzero(np.diff(found) > 1) + 1)
    parts = segments(Frame(n, n / 10, np.zeros((8, 8, 1), np.uint8)) for n in found)
    assert [len(list(part)) for part in parts] == [len(run) for run in runs]


def test_a_fast_reader_loses_nothing_and_errors_come_through(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def camera() -> Iterator[Frame]:
        for frame in as_frames(np.zeros((30, 8, 8), np.uint8)):
            time.sleep(0.001)
            yield frame
        raise DataError("cable pulled")

    found = []
    with pytest.raises(DataError, match="cable pulled"):
        found.extend(frame.number for frame in keep_up(camera(), Dropped("gate")))
    assert found == list(range(30))
    frames = as_frames(np.zeros((30, 8, 8), np.uint8))
    kept = keep_up(iter(frames), Dropped("gate"))
    assert [frame.number for frame in kept] == list(range(30))
    assert "dropped" not in caplog.text


def test_dropped_frames_are_told_every_minute_while_it_lasts_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    changes: list[Change] = []
    dropped = Dropped("gate", changes.append)
    with caplog.at_level(logging.WARNING, "adacl"):
        for frame in as_frames(np.zeros((6000, 8, 8), np.uint8)):
            overloaded = 100 < frame.number < 2000 or frame.number > 5000
            dropped.see(frame, 50 if overloaded and frame.number % 60 == 0 else 0)
        dropped.close()
    told = [(change.kind, round(change.time or 0), change.dropped) for change in changes]
    assert told == [
        ("behind", 12, 50),
        ("behind", 72, 500),
        ("behind", 132, 500),
        ("behind", 192, 500),
        ("behind", 252, 50),
        ("caught_up", 312, 1600),
        ("behind", 504, 50),
        ("behind", 564, 500),
    ]
    assert caplog.messages[1] == "gate, at 72 s: still too slow: 500 further frames were dropped"
    assert caplog.messages[-1] == "gate: 2400 frames were dropped in all"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speeds": (0.5,)}, "need more than 1"),
        ({"speeds": (1.1,)}, "differ"),
        ({"lag": 0}, "lag"),
        ({"tile": 4, "stride": 4}, "need at least 8"),
        ({"stride": 40}, "stride"),
        ({"tallest": 20}, "tallest"),
        ({"frames": 2}, "frames"),
        ({"smoothing": -1.0}, "smoothing"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VideoConfig(**settings)
