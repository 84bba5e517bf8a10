"""Ground truth from files, and the figures that follow from it."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from adacl.data.video import Clip
from adacl.errors import DataError, MissingDataError
from adacl.metrics import auroc
from adacl.video.advice import after_evaluation, after_fit
from adacl.video.alarms import Alarm, Event, from_normal_footage
from adacl.video.evaluation import ScoredClip, evaluate, interval_by_clip
from adacl.video.truth import Truth

CLIPS = [Clip("day", Path("day.mp4")), Clip("in/night", Path("in/night.mp4"))]
TIMES = np.arange(10) / 10


def read(tmp_path: Path, text: str, clips: list[Clip] = CLIPS) -> Truth:
    path = tmp_path / "truth.csv"
    path.write_text(text)
    return Truth.read(path, clips)


@pytest.mark.parametrize(
    "text",
    [
        "clip,first_frame,last_frame\nday,2,4\nnight.mp4,0,0\nday,9,9\n",
        "clip,start,end\nday,0.2,0.45\nin/night,0,0.05\nday,0.9,7\n",
        "\ufefflabel,frame,clip\n"
        + "".join(f"{int(n in (2, 3, 4, 9))},{n},day\n" for n in range(10))
        + "".join(f"{int(n == 0)},{n},in/night.mp4\n" for n in range(10)),
        "start,end,first_frame,last_frame,clip\n50,60,2,4,day\n1,2,0,0,night.mp4\n1,2,9,9,day\n",
        "Clip,Start,End\nday,0.2,0.45\nin/night,0,0.05\nday,0.9,7\n",
        "\ufeffClip;Start;End\r\nday;0,2;0,45\r\nin/night;0;0.05\r\nday;0,9;7\r\n",
        "CLIP\tFirst_Frame\tLast_Frame\nday\t2\t4\nnight.mp4\t0\t0\nday\t9\t9\n",
        '"note, if any";"clip";"start";"end"\na;day;0,2;0,45\n;in/night;0;0,05\n;day;0,9;7\n',
    ],
)
def test_intervals_and_labels_mark_the_same_frames(text: str, tmp_path: Path) -> None:
    truth = read(tmp_path, text)
    assert np.flatnonzero(truth.abnormal(CLIPS[0], TIMES)).tolist() == [2, 3, 4, 9]
    assert np.flatnonzero(truth.abnormal(CLIPS[1], TIMES)).tolist() == [0]


def test_one_clip_needs_no_name_and_one_without_an_interval_is_normal(tmp_path: Path) -> None:
    truth = read(tmp_path, "first_frame,last_frame\n2,4\n", CLIPS[:1])
    assert truth.abnormal(CLIPS[0], TIMES).sum() == 3
    truth = read(tmp_path, "clip,first_frame,last_frame\nday,2,4\n")
    assert not truth.abnormal(CLIPS[1], TIMES).any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a head"),
        ("a,b\n1,2\n", "has a,b"),
        ("start,end\n1,2\n", "needs a column clip"),
        ("clip,start,end\nnoon,1,2\n", "line 2: no clip 'noon'; scored are day, in/night"),
        ("clip,start,end\nday,1\n", "line 2: need two numbers, got '1', ''"),
        ("clip,start,end\nday,2,1\n", "need an interval"),
        ("clip,start,end\nday,nan,1\n", "need an interval"),
        ("clip,first_frame,last_frame\nday,1.5,2\n", "need an interval"),
        ("clip,frame,label\nday,1,2\n", "label 0 or 1"),
        ("Start;Stop\n1;2\n", "has start;stop"),
        ("clip\tstart\tend\nday\t1,5\t2\n", "line 2: need two numbers, got '1,5', '2'"),
        ('clip,start,end,note\nday,1,2,"bus\nday,3,4,\n', "; check its quotation marks"),
        ("clip;start;end\nday;1.000,5;2\n", "need two numbers, got '1.000,5', '2'"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("first_frame,last_frame\n2,10\n", "frame 10 of day, which has 10 frames"),
        ("start,end\n1.5,2\n", "from 1.5 s on, but ends at 0.90 s"),
        ("frame,label\n0,1\n", "tells of 1 of the 10 frames"),
        ("frame,label\n12,1\n", "frame 12 of day"),
        ("start,end\n0.41,0.49\n", "no frame of day lies between 0.41 and 0.49 s; widen"),
        (
            "frame,label\n" + "".join(f"{n},0\n" for n in range(10)) + "3,0\n3,1\n",
            "labels a frame of day with 0 and with 1",
        ),
    ],
)
def test_a_file_about_other_frames_is_refused(text: str, message: str, tmp_path: Path) -> None:
    truth = read(tmp_path, text, CLIPS[:1])
    with pytest.raises(DataError, match=message):
        truth.abnormal(CLIPS[0], TIMES)


def test_times_rounded_to_milliseconds_mark_the_frames_that_they_are_of(tmp_path: Path) -> None:
    times = np.arange(10) / 30
    for first, last in ((1, 1), (2, 5), (5, 9), (9, 9)):
        text = f"start,end\n{times[first]:.3f},{times[last]:.3f}\n"
        marked = read(tmp_path, text, CLIPS[:1]).abnormal(CLIPS[0], times)
        assert np.flatnonzero(marked).tolist() == list(range(first, last + 1))


def test_a_file_name_that_several_clips_have_says_nothing(tmp_path):
    clips = [Clip(f"{day}/gate", Path(day) / "gate.mp4") for day in ("mon", "tue")]
    head = "clip,start,end\n"
    assert read(tmp_path, f"{head}mon/gate.mp4,1,2\n", clips).rows == {"mon/gate": [(1.0, 2.0)]}
    with pytest.raises(DataError, match=r"line 2: 'gate.mp4' is the file of several clips; scored"):
        read(tmp_path, f"{head}gate.mp4,1,2\n", clips)
    clips.append(Clip("gate.mp4", Path("wed") / "night.mp4"))
    assert read(tmp_path, f"{head}gate.mp4,1,2\n", clips).rows == {"gate.mp4": [(1.0, 2.0)]}


def test_a_pipe_is_read_as_a_file_is(tmp_path: Path) -> None:
    pipe = tmp_path / "truth"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("Start;End\n0,2;0,45\n",))
    writer.start()
    assert Truth.read(pipe, CLIPS[:1]).rows == {"day": [(0.2, 0.45)]}
    writer.join()


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no such file"):
        Truth.read(tmp_path / "none.csv", CLIPS)
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as CSV"):
        Truth.read(tmp_path / "x.csv", CLIPS)


def event(first: int, last: int) -> Event:
    return Event(first / 10, last / 10, first / 10, first, last, first, 1.0, None)


def clip(name: str, scores: list[float], abnormal: list[int], events: list[Event]) -> ScoredClip:
    return ScoredClip(name, np.array(scores), np.array(abnormal, bool), 360.0, events)


def test_the_figures_are_those_counted_by_hand() -> None:
    clips = [
        clip("a", [0.1, 0.9, 0.8, 0.2, 0.3, 0.6], [0, 1, 1, 0, 1, 0], [event(1, 2), event(5, 5)]),
        clip("b", [0.7, 0.6], [1, 1], [event(0, 1)]),
        clip("c", [0.1, 0.05], [0, 0], []),
    ]
    figures = evaluate(clips, 0.5)
    assert figures["auroc"] == auroc([0.1, 0.2, 0.6, 0.1, 0.05], [0.9, 0.8, 0.3, 0.7, 0.6])
    assert (figures["frames"], figures["abnormal_frames"], figures["clips"]) == (10, 5, 3)
    assert (figures["intervals"], figures["found"], figures["false_alarms"]) == (3, 2, 1)
    assert figures["tpr"] == pytest.approx(4 / 5)
    assert figures["fpr"] == pytest.approx(1 / 5)
    assert figures["normal_hours"] == pytest.approx(0.1 * (0.5 + 0 + 1))
    assert figures["auroc_95"] is None
    assert figures["auroc_mean_over_clips"] == auroc([0.1, 0.2, 0.6], [0.9, 0.8, 0.3])
    assert [part["clip"] for part in figures["by_clip"]] == ["a", "b", "c"]
    assert figures["by_clip"][1]["auroc"] is None
    with pytest.raises(DataError, match="all 2 frames are normal"):
        evaluate(clips[2:], 0.5)


def test_the_interval_draws_whole_clips() -> None:
    rng = np.random.default_rng(1)
    clips = []
    for number in range(6):
        abnormal = rng.random(40) < 0.3 * (number != 3)
        scores = rng.normal(size=40).round(1) + abnormal * number / 3
        clips.append(clip(str(number), scores.tolist(), abnormal.tolist(), []))
    generator, areas = np.random.default_rng(0), []
    for _ in range(1000):
        drawn = [clips[n] for n in generator.integers(0, 6, 6)]
        scores = np.concatenate([part.scores for part in drawn])
        abnormal = np.concatenate([part.abnormal for part in drawn])
        if abnormal.any():
            areas.append(auroc(scores[~abnormal], scores[abnormal]))
    assert interval_by_clip(clips) == pytest.approx(np.quantile(areas, [0.025, 0.975]).tolist())


@pytest.mark.parametrize(
    ("changes", "grade", "step"),
    [
        ({}, "good", None),
        ({"auroc": 0.6}, "weak", "video explain"),
        ({"false_alarms": 9}, "usable", "video calibrate m NORMAL"),
        ({"found": 1}, "weak", "--false-alarms"),
        ({"found": 7}, "usable", "video explain"),
        ({"normal_hours": 61 / 3600}, "good", None),
        ({"normal_hours": 2 / 3600}, "none", "more normal footage"),
    ],
)
def test_the_verdict_names_what_helps(
    changes: dict[str, float], grade: str, step: str | None
) -> None:
    figures = {"auroc": 0.97, "found": 10, "intervals": 10, "false_alarms": 0, "normal_hours": 1.0}
    found = after_evaluation(figures | changes, Alarm(0.5, per_hour=1.0), "m")
    assert found.grade == grade
    assert (step in str(found.steps[0])) if step else not found.steps


CALIBRATE = "adacl video calibrate m MORE_NORMAL --false-alarms 0.3: 3.0 hours of it assure 1 false"


@pytest.mark.parametrize(
    ("area", "hours", "alarms", "grade", "step"),
    [
        (0.5, 9.0, 0, "weak", "in which things move"),
        (0.8, 11 / 3600, 0, "weak", CALIBRATE),
        (0.8, 1.0, 0, "usable", CALIBRATE),
        (0.8, 9.0, 20, "usable", CALIBRATE),
        (0.8, 9.0, 1, "good", "adacl video evaluate m CLIPS"),
    ],
)
def test_a_fit_ends_with_a_verdict(
    area: float, hours: float, alarms: int, grade: str, step: str
) -> None:
    found = after_fit(area, Alarm(0.5, 0.2, 1.0, hours, alarms), "m")
    assert found.grade == grade
    assert step in str(found.steps[0])


def test_what_the_verdict_of_a_fit_proposes_assures_the_rate() -> None:
    asked = Alarm(0.5, 0.2, 1.0, 0.1, 0)
    calm = from_normal_footage([np.linspace(0, 1, 9)], asked.hours_needed * 1.001, 0.3)
    assert calm.false_alarms == 0
    assert calm.upper_bound is not None
    assert calm.upper_bound <= 1.0
