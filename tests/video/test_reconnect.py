"""Live streams that are lost and come back."""

import itertools
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from adacl import VideoAnomalyDetector
from adacl.cli.support.records import RecordWriter, is_headed, opened
from adacl.data.clips import list_clips
from adacl.data.video import Frame
from adacl.errors import DataError
from adacl.video import reconnect
from adacl.video.alarms import Alarm, events
from adacl.video.changes import Change
from adacl.video.config import VideoConfig
from adacl.video.frame_scores import FrameScore
from adacl.video.live import Dropped
from adacl.video.reconnect import Connections, score_stream
from support.footage import as_frames, walkers, write_frames
from support.helpers import LEARNING, call
from support.web_camera import WebCamera

VIDEO = VideoConfig(tile=16, stride=16, smoothing=2.0, max_samples=2000)
CONFIG = LEARNING.replace(anomalies={"weights": {"skip": 1.0}, "options": {}})


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> VideoAnomalyDetector:
    root = write_frames(tmp_path_factory.mktemp("normal") / "c", walkers(250, 1), "{:03d}.png")
    detector = VideoAnomalyDetector(
        VIDEO, CONFIG.replace(training__epochs=2), false_alarms_per_hour=60, frame_rate=25
    )
    return detector.fit(root)


class Cable:
    """Gives the frames of each connection in turn; a number is an error so often."""

    def __init__(self, *plan: int | str) -> None:
        self.plan = list(plan)

    def __call__(self) -> Iterator[Frame]:
        step = self.plan.pop(0) if self.plan else "cannot be opened"
        if isinstance(step, str):
            raise DataError(step)
        return iter(as_frames(walkers(step, 3)))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Do not wait, but note for how long."""
    found: list[float] = []
    monkeypatch.setattr(reconnect.time, "sleep", found.append)
    return found


def test_the_waits_double_have_a_bound_and_begin_anew(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconnect, "STEADY", 0.0)
    cable = Cable(5, *["no answer"] * 9, 5, "no answer", 5)
    connections = iter(Connections(cable, "gate"))
    while cable.plan:
        list(next(connections))
    assert len(waits) == 12
    for tries, wait in enumerate(waits[:10]):
        most = min(60.0, 2.0**tries)
        assert most / 2 <= wait <= most
    assert 0.5 <= waits[10] <= 1


def test_a_stream_that_breaks_at_once_again_and_again_is_asked_ever_less(
    waits: list[float],
) -> None:
    connections = iter(Connections(Cable(*[1] * 8), "gate"))
    for _ in range(8):
        list(next(connections))
    assert waits[6] >= 30


def test_numbers_and_times_go_on_and_the_log_tells(
    waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    changes: list[Change] = []
    cable = Cable(4, "gate: cannot be opened as video (nothing answers there)", 3)
    connections = iter(Connections(cable, "gate", on_change=changes.append))
    with caplog.at_level(logging.INFO, "adacl"):
        frames = [frame for _ in range(3) for frame in next(connections)]
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 5, 6, 7]
    assert all(a.time < b.time for a, b in itertools.pairwise(frames))
    assert [change.kind for change in changes] == ["lost", "back"]
    assert caplog.messages[0] == "gate: the stream has ended; connecting again"
    assert caplog.messages[1].startswith("next try in ")
    assert "nothing answers there" in caplog.messages[2]
    assert caplog.messages[-1] == "gate: back after 0 s"


def test_a_stream_that_never_was_there_or_is_given_up_is_an_error(
    waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DataError, match="cannot be opened"):
        list(next(iter(Connections(Cable(), "gate"))))
    connections = iter(Connections(Cable(4), "gate", give_up=0))
    list(next(connections))
    with pytest.raises(DataError, match="ended; given up after 0 s without a frame"):
        next(connections)
    assert waits == []
    assert not caplog.messages, "nothing is connected again, and the error says what was lost"


def test_what_waits_is_scored_and_an_event_ended_when_the_stream_is_lost(
    fitted: VideoAnomalyDetector, waits: list[float]
) -> None:
    """Not only when it is back, which may be tomorrow."""
    lost_after: list[int] = []
    scored = 0
    connections = Connections(Cable(30, 30), "gate", on_change=lambda _: lost_after.append(scored))
    alarm = Alarm(-1.0, -2.0)

    def counted():  # type: ignore[no-untyped-def]
        nonlocal scored
        for score in score_stream(fitted.model_, connections, Dropped("gate")):
            scored += 1
            yield score
            if scored == 60:
                return

    first, second = events(counted(), alarm)
    assert lost_after[0] == 30
    assert (first.first, first.last) == (0, 29)
    assert (second.first, second.last) == (31, 60)


def test_a_frozen_camera_that_is_connected_again_is_told_to_be_well(
    fitted: VideoAnomalyDetector, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To start it again is the remedy; a program that counts on the notice would never learn."""
    still = np.repeat(walkers(1, 3), 150, 0)
    films = [still, still, walkers(30, 4)]

    def read(*_: object) -> Iterator[Frame]:
        if not films:
            raise EOFError
        return iter(as_frames(films.pop(0)))

    monkeypatch.setattr(VideoAnomalyDetector, "_read", read)
    told: list[str] = []
    clip = list_clips("rtsp://gate/video")[0]
    scores = fitted.score(clip, on_change=lambda change: told.append(change.kind))
    with pytest.raises(EOFError):
        list(scores)
    assert [kind for kind in told if "frozen" in kind] == ["frozen", "unfrozen"]


def test_frames_without_times_have_those_of_their_arrival(
    caplog: pytest.LogCaptureFixture,
) -> None:
    camera = WebCamera(walkers(50), frames=30, rate=10)
    try:
        (clip,) = list_clips(camera.address)
        before = time.time()
        frames = list(clip.frames())
        after = time.time()
    finally:
        camera.pulled_out()
    assert len(frames) >= 25
    assert frames[-1].time > 1.5, "at 10 frames a second, not at 25"
    assert "missing" not in caplog.text
    walls = [frame.wall for frame in frames]
    assert before <= walls[0] <= walls[-1] <= after


def test_addresses_are_shown_without_secrets() -> None:
    (clip,) = list_clips("http://me:secret@127.0.0.1:9/video?key=secret")
    assert clip.name == "http://127.0.0.1:9/video?…"
    with pytest.raises(DataError) as caught:
        list(clip.frames())
    assert "secret" not in str(caught.value)
    assert "nothing answers there; check the address" in str(caught.value)
    assert "Errno" not in str(caught.value)


def test_a_camera_is_pulled_out_and_put_back(fitted: VideoAnomalyDetector, tmp_path: Path) -> None:
    """The whole way: records with times of day, notices, and an exit code that tells."""
    model, told = tmp_path / "door.onnx", tmp_path / "told.jsonl"
    fitted.save(tmp_path / "door.adacl")
    assert call("export", tmp_path / "door.adacl", model, "--dynamic-batch")[0] == 0
    hook = tmp_path / "hook.py"
    hook.write_text(
        f"import sys\nopen({str(told)!r}, 'a').write(sys.stdin.read())\nprint('heard')\n"
    )
    camera = WebCamera(walkers(200, 7), frames=60)

    def play() -> None:
        while camera.sent < 60:
            time.sleep(0.05)
        camera.pulled_out()
        time.sleep(2)
        camera.plugged_in()
        while camera.sent < 120:
            time.sleep(0.05)
        camera.pulled_out()

    player = threading.Thread(target=play)
    player.start()
    records = tmp_path / "scores.jsonl"
    done = subprocess.run(
        [
            sys.executable, "-m", "adacl", "video", "score", model,
            "--format", "jsonl", "-o", records, "--threshold", "-5", "--give-up", "6",
            "--on-event", f"{sys.executable} {hook}",
        ],
        capture_output=True, text=True, timeout=240,
        env=os.environ | {"TZ": "Asia/Kolkata", "ADACL_VIDEO": camera.address},
    )  # fmt: skip
    player.join()
    assert done.returncode == 3, done.stderr
    assert "connecting again" in done.stderr
    assert ": back after" in done.stderr
    assert "given up after" in done.stderr.splitlines()[-1]
    assert "heard" in done.stderr
    scores = [json.loads(line) for line in records.read_text().splitlines()]
    numbers = [score["frame"] for score in scores]
    assert numbers == sorted(set(numbers))
    assert np.diff([score["time"] for score in scores]).max() > 1.5
    walls = [datetime.fromisoformat(score["wall_time"]) for score in scores]
    assert walls == sorted(walls)
    assert all(score["wall_time"].endswith("+05:30") for score in scores)
    notices = [json.loads(line) for line in told.read_text().splitlines()]
    kinds = [notice["kind"] for notice in notices]
    assert [kind for kind in kinds if kind in ("lost", "back")] == ["lost", "back", "lost"]
    assert kinds.count("started") == kinds.count("ended") >= 2
    assert {notice["source"] for notice in notices} == {camera.address}
    ended = next(notice for notice in notices if notice["kind"] == "ended")
    assert ended["number"] == 1
    assert ended["wall_end"] in {score["wall_time"] for score in scores}


def test_records_of_a_stream_are_added_to_those_of_earlier_runs(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    for number in range(2):
        headed = is_headed(path, ["start", "end"])
        with opened(path, live=True) as file:
            RecordWriter(file, ["start", "end"], headed).write({"start": number, "end": 9})
    assert path.read_text() == "start,end\n0,9\n1,9\n"
    path.write_text("start,end\n0,9\n1,")  # as of a run that was killed
    with opened(path, live=True) as file:
        RecordWriter(file, ["start", "end"], headed=True).write({"start": 2, "end": 9})
    assert path.read_text() == "start,end\n0,9\n1,\n2,9\n"
    with pytest.raises(DataError, match="name another file"):
        is_headed(path, ["start"])


def test_ctrl_c_ends_the_waiting_for_a_camera(
    fitted: VideoAnomalyDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    fitted.save(tmp_path / "door.adacl")
    camera = WebCamera(walkers(50, 7), frames=30)
    monkeypatch.setattr(reconnect, "time", SimpleNamespace(**vars(time) | {"sleep": interrupt}))
    try:
        code, out, err = call(
            "video", "score", tmp_path / "door.adacl", camera.address, "--threshold", -5
        )
    finally:
        camera.pulled_out()
    assert code == 0, err
    assert err.splitlines()[-2] == "stopped"
    assert re.fullmatch("30 frames of [0-9.]+ s, 1 event", err.splitlines()[-1])
    assert len(out.splitlines()) == 1, "the event under way is told"


def test_a_camera_that_is_back_with_another_size_ends_the_run(
    fitted: VideoAnomalyDetector, waits: list[float]
) -> None:
    sizes = iter([(64, 96), (48, 80)])
    connections = Connections(lambda: iter(as_frames(walkers(20, size=next(sizes)))), "gate")
    scores = score_stream(fitted.model_, connections, Dropped("gate"))
    found: list[FrameScore] = []
    with pytest.raises(DataError, match=r"48x80 pixels.*fit a model for this camera"):
        found.extend(scores)
    assert len(found) == 20
