"""``adacl video fit --config``, ``evaluate``, ``calibrate`` and ``explain``."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from adacl import VideoAnomalyDetector
from adacl.data.video import Clip
from adacl.errors import ConfigError
from adacl.model.file import save_model
from adacl.video.annotated_copy import annotated
from adacl.video.frame_scores import FrameScore
from adacl.video.repeats import Repeats
from support.footage import as_frames, walkers, write_frames, write_video
from support.helpers import call, refused

RUN = range(60, 90)
SETTINGS = """
[video]
tile = 16
smoothing = 2.0
max_samples = 2000
[training]
epochs = 9
min_epoch_images = 1024
[network]
channels = [8, 16]
hidden = 16
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fitted")
    (root / "gate.toml").write_text(SETTINGS)
    footage = write_video(root / "monday.mp4", walkers(300, 1))
    code, _, err = call(
        "video", "fit", footage, "-o", root / "gate.adacl", "--config", root / "gate.toml",
        "--epochs", 4, "--set", "video.max_samples=1500", "--false-alarms", 120,
    )  # fmt: skip
    assert code == 0, err
    assert "verdict: " in err
    assert f"adacl video calibrate {root / 'gate.adacl'} MORE_NORMAL" in err
    return root / "gate.adacl"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("films")
    write_video(root / "run.mp4", walkers(150, 7, RUN))
    write_video(root / "walk.mp4", walkers(100, 8))
    return root


def test_settings_come_from_the_file_and_options_win(model: Path, tmp_path: Path) -> None:
    fitted = VideoAnomalyDetector.load(model).model_
    header = fitted.tiles.header
    assert (fitted.config.tile, fitted.config.stride, fitted.config.max_samples) == (16, 16, 1500)
    assert header.config.training.epochs == 4
    assert header.config.preset == "video", "what the file leaves out is as in the preset video"
    assert header.config.training.mirror
    bad = tmp_path / "bad.toml"
    for text, message in (
        ("[video]\ntiles = 3\n", "unknown setting"),
        ("video = 3\n", "need a table"),
        ("[video\n", "not a readable TOML file"),
        ("[training]\nepoch = 3\n", "unknown setting"),
        ("[vidio]\ntile = 16\n", "vidio: unknown setting; known are anomalies, "),
        ("[vidio]\ntile = 16\n", "threshold, training, video"),
    ):
        bad.write_text(text)
        command = ("video", "fit", model, "-o", tmp_path / "m", "--config", bad)
        assert message in refused(2, *command)
    command = ("video", "fit", model, "-o", tmp_path / "m", "--set", "vidio.tile=16")
    assert "threshold, training, video" in refused(2, *command)


def test_evaluate_ranks_frames_and_counts_events_by_clip(
    model: Path, films: Path, tmp_path: Path
) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text(f"clip,first_frame,last_frame\nrun,{RUN.start},{RUN.stop - 1}\n")
    command = ("video", "evaluate", model, films, "--truth", truth)
    code, out, err = call(*command, "--json", "-q")
    assert code == 0, err
    figures = json.loads(out)
    assert figures["auroc"] > 0.85
    assert (figures["frames"], figures["abnormal_frames"]) == (250, 30)
    assert [part["clip"] for part in figures["by_clip"]] == ["run", "walk"]
    code, out, err = call(*command)
    assert code == 0, err
    assert f"AUROC of frames    {figures['auroc']:.4f}" in out
    assert "intervals found  " in out
    assert "walk  all normal" in out
    assert "verdict: none. 22 seconds of normal footage are too little" in err
    seconds = tmp_path / "seconds.csv"
    seconds.write_text(f"clip,start,end\nrun.mp4,{RUN.start / 10},{RUN.stop / 10 - 0.05}\n")
    code, out, _ = call("video", "evaluate", model, films, "--truth", seconds, "--json", "-q")
    assert json.loads(out) == figures
    assert "names frame 1500" in _refused_with(truth, model, films, "run,2,1500")
    assert "no clip 'jog'" in _refused_with(truth, model, films, "jog,2,3")


def test_time_that_footage_lacks_is_not_watched(model: Path, tmp_path: Path) -> None:
    """Else a few seconds on either side of a night would be a night without false alarms."""
    frames = write_frames(tmp_path / "gate", walkers(100, 8), "{:05d}.png")
    for path in sorted(frames.iterdir())[60:]:
        path.rename(frames / f"{int(path.stem) + 50_000:05d}.png")
    (tmp_path / "truth.csv").write_text("first_frame,last_frame\n0,49\n")
    code, out, err = call(
        "video", "evaluate", model, frames, "--frame-rate", 10, "--truth", tmp_path / "truth.csv",
        "--json",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["normal_hours"] * 3600 == pytest.approx(5)
    assert "5 seconds of normal footage are too little for a verdict" in err


def _refused_with(truth: Path, model: Path, films: Path, line: str) -> str:
    truth.write_text(f"clip,first_frame,last_frame\n{line}\n")
    return refused(3, "video", "evaluate", model, films, "--truth", truth)


def test_calibrate_sets_the_threshold_from_all_of_the_footage(
    model: Path, films: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.adacl"
    code, _, err = call("video", "calibrate", model, films / "walk.mp4", "-o", other)
    assert code == 0, err
    before, after = (VideoAnomalyDetector.load(path) for path in (model, other))
    highest = max(score.smoothed for score in after.score(films / "walk.mp4"))
    assert after.alarm.threshold == pytest.approx(highest)
    assert after.alarm.hours == pytest.approx(100 / 10 / 3600)
    assert after.alarm.per_hour == before.alarm.per_hour == 120
    assert f"the threshold was {before.alarm.threshold:.4f} before" in err
    assert "five times" not in err
    assert "rests on" not in err
    short = write_video(tmp_path / "short.mp4", walkers(50, 9))
    code, _, err = call("video", "calibrate", other, short, "-o", tmp_path / "less.adacl")
    assert code == 0, err
    assert "rests on 5 seconds of footage, the old one on 10 seconds" in err
    assert "or keep the old file (-o)" in err
    assert list(after.events(films / "walk.mp4")) == []
    exported = tmp_path / "gate.onnx"
    assert call("export", model, exported)[0] == 0
    assert "keeps its threshold" in refused(4, "video", "calibrate", exported, films / "walk.mp4")
    assert "record it" in refused(3, "video", "calibrate", model, "rtsp://x/1", "-o", other)
    assert "above 0" in refused(
        2, "video", "calibrate", model, films, "-o", other, "--false-alarms", 0
    )


def test_calibrate_replaces_no_model_that_another_command_wrote_meanwhile(
    model: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copy(model, tmp_path / "other.adacl")
    newer = VideoAnomalyDetector.load(model).set_threshold(0.9)
    calibrate = VideoAnomalyDetector.calibrate

    def while_another_writes(detector, *arguments):
        newer.save(other)
        return calibrate(detector, *arguments)

    monkeypatch.setattr(VideoAnomalyDetector, "calibrate", while_another_writes)
    said = refused(3, "video", "calibrate", other, films / "walk.mp4")
    assert "another command wrote it meanwhile" in said
    assert VideoAnomalyDetector.load(other).alarm.threshold == 0.9


def test_outputs_replace_no_footage_and_no_model(model: Path, films: Path, tmp_path: Path) -> None:
    film, bare = tmp_path / "walk.mp4", tmp_path / "walk"
    for path in (film, bare):
        shutil.copy(films / "walk.mp4", path)
    content, weights = film.read_bytes(), model.read_bytes()
    for command in (
        ("fit", film, "-o", film),
        ("fit", bare, "-o", bare),
        ("calibrate", model, film, "-o", film),
        ("score", model, films / "run.mp4", "--events", film),
        ("score", model, films / "run.mp4", "--format", "csv", "-o", film),
        ("score", model, films / "run.mp4", "--annotate", tmp_path / "run.mp4", "-o", film),
    ):
        assert "name another output" in refused(2, "video", *command)
    other = Path(shutil.copy(model, tmp_path / "other.adacl"))
    message = refused(2, "video", "score", model, film, "--events", other)
    assert "is a model file, which would be replaced" in message
    assert film.read_bytes() == bare.read_bytes() == content
    assert other.read_bytes() == weights


def test_an_annotated_copy_replaces_only_its_like(model: Path, films: Path, tmp_path: Path) -> None:
    footage = write_video(tmp_path / "footage" / "few.mp4", walkers(15, 7))
    for name in ("walk.mp4", "walk.mkv", "walk.mov", "damaged.mp4"):
        other = tmp_path / name
        shutil.copy(films / "walk.mp4", other)
        if name == "damaged.mp4":
            other.write_bytes(other.read_bytes()[:500])
        content = other.read_bytes()
        command = ("video", "score", model, footage, "--annotate", other)
        assert f"{other}: is there, and is no copy that adacl annotated" in refused(2, *command)
        assert other.read_bytes() == content
        other.unlink()
        for _ in range(2):
            code, _, err = call(*command)
            assert code == 0, err


def test_two_runs_that_annotate_the_same_file_share_nothing(
    model: Path, films: Path, tmp_path: Path
) -> None:
    detector, copy, apart = VideoAnomalyDetector.load(model), tmp_path / "seen.mp4", 90

    def begun(name: str) -> Iterator[FrameScore]:
        clip = detector.clip(films / name)
        scores = annotated(copy, clip.frames(3), detector.score(clip), detector.model_)
        for _ in range(apart):  # until the encoder has something to write
            next(scores)
        return scores

    one, other = begun("run.mp4"), begun("walk.mp4")
    for scores, frames in ((one, 150), (other, 100)):
        assert sum(1 for _ in scores) == frames - apart
        assert Clip("copy", copy).count() == frames
    assert list(tmp_path.iterdir()) == [copy]


def test_evaluate_warns_of_footage_that_was_learnt_from(
    model: Path, films: Path, tmp_path: Path
) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text(f"clip,first_frame,last_frame\nrun,{RUN.start},{RUN.stop - 1}\n")
    command = ("video", "evaluate", model, films / "run.mp4", "--truth", truth)
    code, out, err = call(*command)
    assert code == 0, err
    assert "learnt" not in err
    code, _, err = call(*command, model.with_name("monday.mp4"))
    assert code == 0, err
    assert err.count("the model learnt from the frame at") == 1
    assert "warning: monday: the model learnt from the frame at 0." in err
    exported = tmp_path / "gate.onnx"
    assert call("export", model, exported)[0] == 0
    _, again, err = call(*command[:2], exported, *command[3:])
    assert again == out
    assert "gate.onnx does not know which footage it was fitted on" in err


def test_an_image_is_no_video_and_a_picture_no_folder(
    model: Path, films: Path, tmp_path: Path
) -> None:
    for name in ("a.png", "a.jpg", "a.tif"):
        Image.new("L", (96, 64)).save(tmp_path / name)
        message = refused(3, "video", "score", model, tmp_path / name)
        assert f"{name}: cannot be opened as video (an image; name the folder of the frames)" in (
            message
        )
    picture = tmp_path / "b.png"
    command = ("video", "explain", model, films / "run.mp4", "--at", 1, "-o", picture)
    assert "is named as one picture, but a folder of pictures is to be" in refused(2, *command)
    assert not picture.exists()


def test_calibrate_refuses_footage_that_was_learnt_from(
    model: Path, films: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.adacl"
    learnt = model.with_name("monday.mp4")
    assert "monday: the model learnt from the frame at 0." in refused(
        3, "video", "calibrate", model, films / "walk.mp4", learnt, "-o", other
    )
    assert not other.exists()
    with av.open(str(learnt)) as container:
        images = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    held_out, part = (
        write_frames(tmp_path / name, np.array(images[first:last]), "{:03d}.png")
        for name, first, last in (("held_out", 240, 300), ("part", 100, 180))
    )
    assert "part: the model learnt from" in refused(3, "video", "calibrate", model, part)
    code, _, err = call("video", "calibrate", model, held_out, "--frame-rate", 10, "-o", other)
    assert code == 0, err


def test_footage_that_is_given_twice_counts_once(model: Path, films: Path, tmp_path: Path) -> None:
    copy = shutil.copy(films / "walk.mp4", tmp_path / "copy.mp4")
    other = tmp_path / "other.adacl"
    code, _, err = call("video", "calibrate", model, films / "walk.mp4", copy, "-o", other)
    assert code == 0, err
    assert "copy: the same footage as walk; it counts once" in err
    assert VideoAnomalyDetector.load(other).alarm.hours == pytest.approx(100 / 10 / 3600)
    code, _, err = call(
        "video", "fit", model.with_name("monday.mp4"), copy, copy, "-o", other, "--config",
        model.with_name("gate.toml"), "--epochs", 1,
    )  # fmt: skip
    assert code == 0, err
    assert err.count("it counts once") == 1
    training = VideoAnomalyDetector.load(other).model_.tiles.header.training
    assert (training["clips"], training["frames"]) == (2, 240 + 80)


def test_what_is_wrong_with_a_recording_is_said_once_however_often_it_is_read(
    model: Path, tmp_path: Path
) -> None:
    folder = write_frames(tmp_path / "torn", walkers(160, 1), "{:03d}.png")
    for number in range(100, 120):
        (folder / f"{number}.png").unlink()
    other = tmp_path / "other.adacl"
    code, _, err = call(
        "video", "fit", folder, "-o", other, "--config", model.with_name("gate.toml"),
        "--epochs", 1, "--frame-rate", 10,
    )  # fmt: skip
    assert code == 0, err
    assert err.count("torn: about 20 frames are missing, in 1 gap") == 1
    code, _, err = call(
        "video", "score", other, folder, "--frame-rate", 10, "--annotate", tmp_path / "seen.mp4",
        "--report", tmp_path / "page.html", "--events", tmp_path / "events.csv",
    )  # fmt: skip
    assert code == 0, err
    assert err.count("torn: about 20 frames are missing, in 1 gap") == 1


def test_parts_of_a_longer_clip_and_frames_that_stand_still_are_told_apart() -> None:
    images = walkers(300, 5)
    still = np.repeat(images[:1], 200, axis=0)
    repeats = Repeats()

    def repeated(name: str, shown: np.ndarray) -> bool:
        list(repeats.watch(iter(as_frames(shown)), name))
        return repeats.repeated

    assert not repeated("first", images[:80])
    assert not repeated("whole", images), "most of it is new"
    assert repeated("part", images[100:180])
    assert not repeated("half new", np.concatenate([images[250:], walkers(60, 6)]))
    assert not repeated("dark", np.concatenate([still * 0, walkers(20, 8)]))
    assert not repeated("dark, too", np.concatenate([still * 0, walkers(20, 9)]))


def test_calibrate_doubts_footage_that_may_not_be_normal(
    model: Path, films: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.adacl"
    low = VideoAnomalyDetector.load(model).set_threshold(0.5)
    low.model_.alarm = replace(low.alarm, per_hour=120, hours=1.0)
    low.save(tmp_path / "low.adacl")
    code, _, err = call(
        "video", "calibrate", tmp_path / "low.adacl", films / "run.mp4", "-o", other
    )
    assert code == 0, err
    (words,) = re.findall(r"is all of it normal\? .*", err)
    assert "The threshold so far, 0.5000, finds" in words
    start, end = map(float, re.search(r"in run from (\S+) to (\S+) s", words).groups())
    assert start < RUN.stop / 10
    assert end > RUN.start / 10
    few = write_video(tmp_path / "few.mp4", walkers(3, 9))
    other.unlink()
    assert "something moves in only 0 frames" in refused(
        3, "video", "calibrate", model, few, "-o", other
    )
    assert not other.exists()


def test_a_model_of_the_other_kind_is_pointed_to_its_commands(
    model: Path, films: Path, tmp_path: Path
) -> None:
    stills = write_frames(tmp_path / "stills", walkers(2, 3), "{:03d}.png")
    assert "use it with adacl video score, evaluate, calibrate or explain" in refused(
        4, "explain", model, stills / "000.png"
    )
    exported, results = tmp_path / "gate.onnx", tmp_path / "results"
    assert call("export", model, exported)[0] == 0
    message = refused(4, "scale", "score", exported, stills, "--out", results)
    assert "which adacl scale score does not take; use it with adacl video" in message
    assert not results.exists()
    image_model = tmp_path / "image.adacl"
    save_model(VideoAnomalyDetector.load(model).model_.tiles, image_model)
    for command in (("score",), ("calibrate",), ("explain", "--at", 1)):
        assert "use it with adacl score, evaluate, calibrate or explain" in refused(
            4, "video", command[0], image_model, films / "walk.mp4", *command[1:]
        )


def test_the_last_line_says_that_the_light_was_not_as_learnt(
    model: Path, films: Path, tmp_path: Path
) -> None:
    dark = write_video(tmp_path / "dark.mp4", walkers(300, 8) // 8)
    code, _, err = call("video", "score", model, dark)
    assert code == 0, err
    assert "so far off that anomalies may be missed" in err
    assert "so far off that anomalies may be missed, see the warning" in err.splitlines()[-1]
    dim = write_video(tmp_path / "dim.mp4", walkers(300, 8) // 5 * 4)
    code, _, err = call("video", "score", model, dim)
    assert code == 0, err
    assert "; the light was not as learnt, see the warning" in err.splitlines()[-1]
    code, _, err = call("video", "score", model, films / "walk.mp4")
    assert "light" not in err


def test_a_picture_that_freezes_is_told(model: Path, tmp_path: Path) -> None:
    images = walkers(130, 3)
    images[5:115] = images[5]
    folder = write_frames(tmp_path / "frames", images, "{:03d}.png")
    told = tmp_path / "told.jsonl"
    code, _, err = call(
        "video", "score", model, folder, "--frame-rate", 10, "--threshold", 99,
        "--start", "2026-05-04T08:00:00+02:00", "--on-event", f"tee -a {told}",
    )  # fmt: skip
    assert code == 0, err
    assert "at 10 s: the picture has not changed for 10 s; is the camera frozen or covered" in err
    assert "at 12 s: the picture changes again, after 11 s" in err
    frozen, again = [json.loads(line) for line in told.read_text().splitlines()]
    assert (frozen["kind"], frozen["time"], frozen["frozen_seconds"]) == ("frozen", 10.5, 10.0)
    assert (again["kind"], again["time"], again["frozen_seconds"]) == ("unfrozen", 11.5, 11.0)
    start = datetime.fromisoformat("2026-05-04T08:00:00+02:00")
    assert datetime.fromisoformat(frozen["wall_time"]) - start == timedelta(seconds=10.5)
    assert frozen["source"] == "frames"


def test_the_page_has_times_of_day_if_they_are_known(
    model: Path, films: Path, tmp_path: Path
) -> None:
    page, table = tmp_path / "page.html", tmp_path / "events.csv"
    command = (
        "video", "score", model, films / "run.mp4", "--threshold", 0.6, "--report", page,
        "--events", table, "-q",
    )  # fmt: skip
    assert call(*command, "--start", "2026-05-04T08:00:00+02:00")[0] == 0
    with table.open() as file:
        begun = [datetime.fromisoformat(row["wall_start"]) for row in csv.DictReader(file)]
    assert begun
    cells = re.findall(r"<tr><td>(.*?)</td>\s*<td>", page.read_text())
    assert [datetime.fromisoformat(c) for c in cells] == [b.replace(microsecond=0) for b in begun]
    assert "time of day" in page.read_text()
    assert call(*command)[0] == 0
    assert "time of day" not in page.read_text()


def test_explain_shows_the_worst_tiles_of_an_event(
    model: Path, films: Path, tmp_path: Path
) -> None:
    film = films / "run.mp4"
    code, out, err = call(
        "video", "explain", model, film, "-o", tmp_path, "--threshold", 0.6, "--most", 1
    )
    assert code == 0, err
    (picture,) = tmp_path.glob("run.frame-*.png")
    number = int(picture.stem.rpartition("-")[2])
    assert number in range(RUN.start - 4, RUN.stop + 4)
    assert f"run, frame {number} at {number / 10:.2f} s: ANOMALOUS" in out
    detector = VideoAnomalyDetector.load(model)
    score = next(s for s in detector.score(film) if s.number == number)
    assert f"tile at {score.tile[0]},{score.tile[1]}, score {score.raw:.3f}" in out
    assert " standard deviations from what is usual in this row" in out
    with Image.open(picture) as image:
        pixels = np.asarray(image).astype(int)
    assert (pixels[..., 0] - pixels[..., 1] > 100).sum() > 500, "no tile is outlined"


def test_the_parts_of_a_tile_make_up_its_score(model: Path, films: Path) -> None:
    from adacl.video.explanation import look, reasons

    detector = VideoAnomalyDetector.load(model)
    fitted, clip = detector.model_, detector.clip(films / "run.mp4")
    scores = [score for score in detector.score(clip) if score.tile]
    chosen = {score.number: score for score in (scores[0], scores[70], scores[-1])}
    seen = dict(look(clip, chosen, fitted))
    assert seen.keys() == chosen.keys()
    level = fitted.levels
    for number, score in chosen.items():
        told = reasons(fitted, seen[number], score)
        assert told[0].corner == score.tile
        assert told == sorted(told, key=lambda reason: -reason.score)
        for reason in told:
            mean = (reason.network + level.weight * reason.motion) / (1 + level.weight)
            expected = level.network.mean[-1] + level.network.std[-1] * mean
            assert reason.score == pytest.approx(expected, abs=1e-5)
            assert [part.shape for part in reason.pictures] == [(16, 16)] * 3


def test_explain_takes_a_time_and_refuses_what_it_cannot_show(
    model: Path, films: Path, tmp_path: Path
) -> None:
    folder = write_frames(tmp_path / "frames", walkers(40, 3), "{:03d}.png")
    pictures = tmp_path / "new" / "pictures"
    code, out, err = call(
        "video", "explain", model, folder, "--frame-rate", 10, "--at", 0.32, "--at", 3.9,
        "-o", pictures,
    )  # fmt: skip
    assert code == 0, err
    found = sorted(path.name for path in pictures.iterdir())
    assert found == ["frames.frame-3.png", "frames.frame-39.png"]
    assert "frame 39 at 3.90 s: normal" in out
    film = films / "walk.mp4"
    assert "the video ends at 9.90 s" in refused(2, "video", "explain", model, film, "--at", 60)
    assert "cannot be made" in refused(3, "video", "explain", model, film, "-o", model / "no")
    assert "record it" in refused(2, "video", "explain", model, "rtsp://x/1", "-o", tmp_path)
    code, out, err = call("video", "explain", model, film, "--threshold", 99, "-o", tmp_path)
    assert (code, out) == (0, "")
    assert "no event" in err


def test_explain_refuses_times_that_surely_lie_beyond_the_end_before_it_reads(
    model: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_frames(tmp_path / "frames", walkers(40, 3), "{:03d}.png")
    pictures = tmp_path / "pictures"

    def unread(*_: object) -> None:
        raise AssertionError("the footage is read")

    monkeypatch.setattr(VideoAnomalyDetector, "score", unread)
    for film, times, end in (
        (films / "walk.mp4", ("12", "99", "30"), "--at 99 --at 30: the video ends at 9.90 s"),
        (folder, ("1", "2.7"), "--at 2.7: the video ends at 1.56 s"),
    ):
        named = [word for time in times for word in ("--at", time)]
        message = refused(2, "video", "explain", model, film, *named, "-o", pictures)
        assert f"{end}; nothing is written" in message
    for time in ("nan", "inf"):  # older versions of Typer take NaN for at least 0
        message = refused(2, "video", "explain", model, folder, "--at", time, "-o", pictures)
        assert "--at" in message
    assert not pictures.exists()


def test_a_time_to_give_up_after_is_a_number(model: Path) -> None:
    """A stream would never be given up: nothing is later than NaN."""
    detector = VideoAnomalyDetector.load(model)
    for seconds in (float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="give_up: need a finite number"):
            detector.score("http://127.0.0.1:9/gate", give_up=seconds)


@pytest.mark.parametrize("start", ["", "noon"])
def test_a_start_that_is_no_time_is_refused(start: str, model: Path, films: Path) -> None:
    message = refused(2, "video", "score", model, films / "walk.mp4", "--start", start)
    assert f"--start {start!r}: need a time such as 2026-05-04T08:00:00+02:00" in message


def test_clips_of_one_name_are_refused_with_what_helps(
    model: Path, films: Path, tmp_path: Path
) -> None:
    """The folder above helps where they are in several folders, not in the same one."""
    for name in ("gate.mp4", "gate.avi"):
        shutil.copy(films / "walk.mp4", tmp_path / name)
    truth = tmp_path / "truth.csv"
    message = refused(2, "video", "evaluate", model, tmp_path, "--truth", truth)
    assert "two clips are called gate; rename one, or give the folder above both" in message


def test_explain_shows_the_times_that_footage_has_and_names_the_others(
    model: Path, films: Path, tmp_path: Path
) -> None:
    command = ("video", "explain", model, films / "walk.mp4", "-o", tmp_path)
    code, out, err = call(*command, "--at", 12, "--at", 3, "--at", 10.5, "--at", 15)
    assert code == 2
    assert "--at 12 --at 15: the video ends at 9.90 s; the other times are explained" in err
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["walk.frame-30.png", "walk.frame-99.png"]
    assert out.count("wrote ") == 2
    assert "nothing is written" in refused(2, *command, "--at", 12)


def test_explain_keeps_the_pictures_of_other_videos_and_adds_none_to_the_frames(
    model: Path, films: Path, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    for day in ("mon", "tue", "mon"):
        (tmp_path / day).mkdir(exist_ok=True)
        film = Path(shutil.copy(films / "walk.mp4", tmp_path / day / "gate.mp4"))
        code, _, err = call("video", "explain", model, film, "--at", 3, "-o", pictures)
        assert code == 0, err
    found = sorted(path.name for path in pictures.iterdir())
    assert found == ["gate-2.frame-30.png", "gate.frame-30.png"]
    foreign = pictures / "gate.frame-40.png"
    foreign.write_bytes(b"a note of my own")
    code, out, err = call("video", "explain", model, film, "--at", 4, "-o", pictures)
    assert code == 0, err
    assert f"wrote {pictures / 'gate-2.frame-40.png'}" in out
    assert foreign.read_bytes() == b"a note of my own"
    frames = write_frames(tmp_path / "frames", walkers(40, 3), "{:03d}.png")
    for folder, place in ((frames, "is the folder of the frames"), (frames / "x", "lies in")):
        message = refused(2, "video", "explain", model, frames, "--at", 1, "-o", folder)
        assert f"{folder}: {place}" in message
        assert "where pictures would be scored as frames; name a folder outside" in message
    assert len(list(frames.iterdir())) == 40


def test_options_that_do_nothing_for_video_files_are_refused(
    model: Path, films: Path, tmp_path: Path
) -> None:
    film, truth, output = films / "walk.mp4", tmp_path / "truth.csv", tmp_path / "new.adacl"
    for command in (
        ("fit", film, "-o", output),
        ("fit", films, "-o", output),
        ("score", model, film),
        ("evaluate", model, film, "--truth", truth),
        ("explain", model, film, "-o", tmp_path),
        ("calibrate", model, film, "-o", output),
    ):
        message = refused(2, "video", *command, "--frame-rate", 10)
        assert "--frame-rate 10: is for folders of frames" in message
        assert f"{film if command[1] != films else films / 'run.mp4'} is a video file" in message
    assert "--give-up is for live streams" in refused(
        2, "video", "score", model, film, "--give-up", 5
    )
    assert not list(tmp_path.iterdir())
