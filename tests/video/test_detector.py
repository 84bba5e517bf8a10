"""From footage to a model, events, an annotated copy and a page, as a user would."""

import csv
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from adacl import AnomalyDetector, Scorer, VideoAnomalyDetector
from adacl.config.presets import preset
from adacl.data import video
from adacl.data.clips import list_clips
from adacl.data.video import Clip, Frame
from adacl.errors import ConfigError, DataError, InputError, ModelFileError
from adacl.metrics import auroc
from adacl.model.file import load_model
from adacl.model.history import EpochRecord
from adacl.video.config import VideoConfig
from adacl.video.model import VideoModel
from adacl.video.survey import Footage, survey
from adacl.video.training_tiles import training_tiles
from support.footage import as_frames, camera, walkers, write_frames, write_video
from support.helpers import LEARNING, call, refused

VIDEO = VideoConfig(tile=16, stride=16, smoothing=2.0, max_samples=3000)
CONFIG = LEARNING.replace(anomalies={"weights": {"skip": 1.0}, "options": {}})
SETTINGS = [
    "--set", "video.tile=16", "--set", "video.smoothing=2", "--set", "video.max_samples=2000",
    "--set", "training.epochs=4", "--set", "training.min_epoch_images=1024",
    "--set", "network.channels=[8,16]", "--set", "network.hidden=16",
]  # fmt: skip
RUN = range(60, 90)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> VideoAnomalyDetector:
    root = tmp_path_factory.mktemp("normal")
    for number in range(2):
        write_frames(root / f"clip{number}", walkers(250, number), "{:03d}.png")
    detector = VideoAnomalyDetector(VIDEO, CONFIG, false_alarms_per_hour=60, frame_rate=10)
    return detector.fit(root)


@pytest.fixture(scope="module")
def model_file(fitted: VideoAnomalyDetector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "walk.adacl"
    fitted.save(path)
    return path


@pytest.fixture(scope="module")
def exported_file(model_file: Path) -> Path:
    """The model as a program scores with it that imports no PyTorch."""
    path = model_file.with_suffix(".onnx")
    assert call("export", model_file, path, "--dynamic-batch")[0] == 0
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("film") / "run.mp4", walkers(150, 7, RUN))


def test_running_is_found_among_walking(fitted: VideoAnomalyDetector, tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "c", walkers(150, 7, RUN), "{:03d}.png")
    scores = list(fitted.score(folder))
    assert [score.number for score in scores] == list(range(150))
    smoothed = np.array([score.smoothed for score in scores])
    fast = np.isin(np.arange(150), RUN)
    assert auroc(smoothed[~fast], smoothed[fast]) > 0.9
    floor = fitted.model_.levels.floor
    for score in scores:
        kept = score.tiles[~np.isnan(score.tiles)]
        assert score.raw == pytest.approx(max([floor, *kept]))
        assert (score.tile is None) == (not len(kept))


def test_scores_do_not_depend_on_the_chunks(fitted: VideoAnomalyDetector) -> None:
    frames = as_frames(walkers(60, 3))
    whole = [score.raw for score in fitted.model_.score(frames, 64)]
    for chunk in (1, 7):
        parts = [score.raw for score in fitted.model_.score(frames, chunk)]
        np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_frames_that_no_gap_leaves_room_to_stack_are_counted(
    fitted: VideoAnomalyDetector, caplog: pytest.LogCaptureFixture
) -> None:
    images = walkers(60, 3)
    dropped = [
        Frame(n, n / 10 + 0.2 * (n // 3), image[..., None]) for n, image in enumerate(images)
    ]
    scores = list(fitted.model_.score(dropped))
    assert {score.segment for score in scores} == {0}, "single frames left out are no gap"
    assert not caplog.text
    torn = [Frame(n, n / 10 + 9.0 * (n // 3), image[..., None]) for n, image in enumerate(images)]
    scores = list(fitted.model_.score(torn))
    assert len(scores) == 60
    assert {score.raw for score in scores} == {fitted.model_.levels.floor}
    assert "60 frames are between gaps" in caplog.text
    list(fitted.model_.score(torn[:3]))
    assert "3 frames are too few to see motion, which takes" in caplog.text


def test_what_sets_the_threshold_is_not_learned_from(tmp_path: Path) -> None:
    """Only the last fifth of the clip is white where it moves."""
    images = walkers(250, 1)
    images[200:][images[200:] > 140] = 255
    folder = write_frames(tmp_path / "c", images, "{:03d}.png")
    footage = survey(list_clips(folder), VIDEO.training, 0.2)
    samples, _ = training_tiles(footage, VIDEO.training, {}, 0)
    assert footage.counts == [200]
    assert len(samples.pixels) > 100
    assert not (samples.pixels[..., :3] == 255).mean((1, 2)).max() > 0.05


def test_footage_that_is_given_twice_is_surveyed_once(tmp_path: Path) -> None:
    write_frames(tmp_path / "a", walkers(80))
    write_frames(tmp_path / "b", walkers(40, 1) // 2)
    [first, second] = list_clips(tmp_path)
    once = survey([first, second], VIDEO.training, 0.2)
    assert survey([first, second, second, first], VIDEO.training, 0.2) == once


def test_the_ends_of_a_segment_take_the_nearest_score_and_a_short_one_the_floor(
    fitted: VideoAnomalyDetector,
) -> None:
    frames = as_frames(walkers(20, 3))
    raw = [score.raw for score in fitted.model_.score(frames)]
    assert raw[0] == raw[1] == raw[2]
    assert raw[-1] == raw[-2] == raw[-3]
    short = list(fitted.model_.score(frames[:4]))
    assert [score.raw for score in short] == [fitted.model_.levels.floor] * 4
    assert all(score.tile is None for score in short)


def test_still_footage_scores_the_floor(fitted: VideoAnomalyDetector) -> None:
    still = as_frames(np.full((30, 64, 96), 90, np.uint8))
    smoothed = [score.smoothed for score in fitted.model_.score(still)]
    np.testing.assert_allclose(smoothed, fitted.model_.levels.floor, rtol=1e-12)


def test_a_model_comes_back_from_its_file_and_scores_the_same(
    fitted: VideoAnomalyDetector, model_file: Path, tmp_path: Path
) -> None:
    loaded = VideoAnomalyDetector.load(model_file)
    assert loaded.model_.describe() == fitted.model_.describe()
    told = ("video", "config", "false_alarms_per_hour", "random_state")  # if it is fitted again
    assert [getattr(loaded, name) for name in told] == [getattr(fitted, name) for name in told]
    frames = as_frames(walkers(40, 5))
    for a, b in zip(loaded.model_.score(frames), fitted.model_.score(frames), strict=True):
        assert a.smoothed == b.smoothed
    loaded.save(tmp_path / "again.adacl")
    assert (tmp_path / "again.adacl").read_bytes() == model_file.read_bytes()


def test_models_for_images_and_for_video_are_told_apart(
    model_file: Path, threes, tmp_path: Path
) -> None:
    with pytest.raises(ModelFileError, match="adacl video score"):
        load_model(model_file)
    assert "adacl video score" in refused(4, "score", model_file, threes.train)
    AnomalyDetector(config=LEARNING, epochs=1).fit(threes.train).save(tmp_path / "image.adacl")
    with pytest.raises(ModelFileError, match="adacl score"):
        VideoModel.load(tmp_path / "image.adacl")


def test_a_scorer_of_images_refuses_a_model_for_video(exported_file: Path, tmp_path: Path) -> None:
    scorer = Scorer(exported_file)
    path = tmp_path / "frame.png"
    Image.fromarray(walkers(1)[0]).save(path)
    for image in (path, np.zeros((64, 96), np.uint8)):
        for score in (scorer, scorer.anomaly_map):
            with pytest.raises(ModelFileError, match=r"for video.* VideoAnomalyDetector$"):
                score(image)
    for images in (tmp_path, [path], np.zeros((2, 64, 96), np.uint8), iter([np.zeros((64, 96))])):
        with pytest.raises(ModelFileError, match=r"for video.* VideoAnomalyDetector$"):
            scorer.anomaly_score(images)
    with pytest.raises(ModelFileError, match=r"for video.* VideoAnomalyDetector$"):
        next(scorer.score_files(path))
    with pytest.raises(ModelFileError, match=r"for video.* VideoAnomalyDetector$"):
        scorer.score_decoded([np.zeros((16, 16, 4), np.uint8)])


@pytest.mark.parametrize("options", [["--dynamic-batch"], []])
def test_an_exported_model_scores_the_same_without_torch(
    model_file: Path, film: Path, tmp_path: Path, options: list[str]
) -> None:
    target = tmp_path / "walk.onnx"
    assert call("export", model_file, target, *options)[0] == 0
    wanted = [json.loads(x) for x in _lines("video", "score", model_file, film)]
    code = (
        f"import sys; sys.argv = ['adacl', 'video', 'score', {str(target)!r}, {str(film)!r}, "
        "'--format', 'jsonl', '-q']\n"
        "from adacl.cli import main\ntry: main()\nexcept SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules), 'heavy import'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(wanted) == 150
    for a, b in zip(wanted, found, strict=True):
        for name in ("pred_score", "smoothed_score", "raw_score"):
            assert abs(a.pop(name) - b.pop(name)) < 1e-4
        assert a == b
    assert "adacl video score" in refused(4, "score", target, tmp_path)
    shown = call("info", target)
    assert shown[0] == 0
    assert "false alarms an hour" in shown[1]
    assert "nowhere: no such file" in refused(3, "video", "score", tmp_path / "nowhere", film)
    assert "not saved again" in _message(VideoAnomalyDetector.load(target), tmp_path / "x")
    assert "resizes nothing" in refused(
        2, "export", model_file, tmp_path / "x", "--input-size", "99"
    )


def _lines(*command: object) -> list[str]:
    code, out, err = call(*command, "--format", "jsonl", "-q")
    assert code == 0, err
    return out.splitlines()


def _message(detector: VideoAnomalyDetector, path: Path) -> str:
    with pytest.raises(InputError) as caught:
        detector.save(path)
    return str(caught.value)


def test_equal_seeds_give_equal_files(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "c", walkers(200, 1), "{:03d}.png")
    quick = CONFIG.replace(training__epochs=1)
    for name in "ab":
        VideoAnomalyDetector(VIDEO, quick, random_state=3).fit(folder).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_interrupted_fit_goes_on_to_the_same_file(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "c", walkers(200, 1), "{:03d}.png")
    quick = CONFIG.replace(training__epochs=3)
    VideoAnomalyDetector(VIDEO, quick).fit(folder).save(tmp_path / "whole")

    def interrupt(stage: str, record: EpochRecord) -> None:
        epochs.append(record.epoch)
        if epochs == [0]:
            raise KeyboardInterrupt

    epochs: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        VideoAnomalyDetector(VIDEO, quick, checkpoints=tmp_path / "k", on_epoch=interrupt).fit(
            folder
        )
    detector = VideoAnomalyDetector(VIDEO, quick, checkpoints=tmp_path / "k", on_epoch=interrupt)
    detector.fit(folder).save(tmp_path / "resumed")
    assert epochs == [0, 1, 2]
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "resumed").read_bytes()


def test_a_folder_for_checkpoints_that_cannot_be_made_is_told_before_footage_is_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    folder = write_frames(tmp_path / "c", walkers(3, 1), "{:03d}.png")  # too few to learn from
    with pytest.raises(DataError, match="file: cannot be made"):
        VideoAnomalyDetector(VIDEO, CONFIG, checkpoints=tmp_path / "file").fit(folder)


def test_what_is_called_after_epochs_is_checked_before_the_footage_is_read(tmp_path):
    with pytest.raises(ConfigError, match="on_epoch: need a function"):
        VideoAnomalyDetector(on_epoch="x").fit(tmp_path / "nowhere.mp4")


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_what_is_no_seed_is_refused_before_the_footage_is_read(seed: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="random_state: need a whole number from 0"):
        VideoAnomalyDetector(random_state=seed).fit(tmp_path / "nowhere.mp4")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"video": {"tile": 16}}, "video: need a VideoConfig, got dict"),
        ({"config": {"preset": "video"}}, "config: need a Config, got dict"),
        ({"config": preset("inspect")}, "config: the preset inspect is for images; video needs"),
    ],
)
def test_settings_that_video_cannot_have_are_refused_before_the_footage_is_read(
    settings: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        VideoAnomalyDetector(**settings).fit(tmp_path / "nowhere.mp4")


def test_other_size_other_rate_and_a_stream_to_learn_from_are_told(
    fitted: VideoAnomalyDetector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DataError, match=r"48x80 pixels.*64x96.*fit a model"):
        list(fitted.score(write_frames(tmp_path / "small", walkers(9, size=(48, 80)))))
    list(fitted.score(Clip("fast", write_frames(tmp_path / "c", walkers(60)), 30.0)))
    assert "30 frames a second, the model was fitted on 10" in caplog.text
    assert "unless the frames of this folder have another rate (--frame-rate)" in caplog.text
    list(fitted.score(Clip("short", write_frames(tmp_path / "s", walkers(12)), 30.0)))
    assert "short: 30 frames a second, the model was fitted on 10" in caplog.text
    with pytest.raises(DataError, match="record it"):
        VideoAnomalyDetector(VIDEO, CONFIG).fit("rtsp://camera/1")
    write_frames(tmp_path / "two" / "a", walkers(3))
    write_frames(tmp_path / "two" / "b", walkers(3))
    with pytest.raises(ConfigError, match="2 clips"):
        fitted.clip(tmp_path / "two")


def test_footage_that_cannot_be_learned_from_is_refused(tmp_path: Path) -> None:
    detector = VideoAnomalyDetector(VIDEO, CONFIG)
    still = write_frames(tmp_path / "still", np.full((30, 64, 96), 90, np.uint8))
    with pytest.raises(DataError, match="nothing moves"):
        detector.fit(still)
    with pytest.raises(DataError, match="give more footage"):
        detector.fit(write_frames(tmp_path / "short", walkers(12)))
    with pytest.raises(DataError, match="smaller than a tile"):
        detector.fit(write_frames(tmp_path / "tiny", np.zeros((9, 12, 12), np.uint8)))
    write_frames(tmp_path / "mixed" / "a", walkers(30))
    write_frames(tmp_path / "mixed" / "b", walkers(30, size=(48, 80)))
    with pytest.raises(DataError, match="one model for each camera"):
        detector.fit(tmp_path / "mixed")


def test_only_stacks_in_normal_frames_are_learned_from() -> None:
    """A mask of frames is widened by the reach of the faster stacks."""
    images = walkers(120)

    class Marked(Clip):
        def frames(self, channels=1, tallest=None):  # type: ignore[no-untyped-def]
            marked = images.copy()
            marked[50:60] = 255
            return iter(as_frames(marked))

    clip = Marked("marked", Path("marked"))
    normal = np.ones(120, bool)
    normal[50:60] = False
    footage = Footage([clip], [120], 64, 96, 0.1, 2.0)
    samples, tiles = training_tiles(footage, VIDEO, {"marked": normal}, 0)
    assert len(samples.pixels) == len(tiles) > 300
    assert not (samples.pixels[..., [0, 1, 2, 4, 5]] == 255).all((1, 2)).any()
    with pytest.raises(DataError, match="only 100"):
        training_tiles(footage, VIDEO, {"marked": normal[:100]}, 0)


@pytest.mark.parametrize("rate", [0.5, 10, 12.5, 29.97, 30])
def test_the_rate_of_footage_is_that_which_was_given(rate: float, tmp_path: Path) -> None:
    frames = write_frames(tmp_path / "frames", walkers(60, 1))
    assert survey([Clip("frames", frames, rate)], VIDEO, 0).frame_rate == rate


def test_the_command_line_from_footage_to_events_film_and_page(film: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "monday.mp4", walkers(300, 1))
    model = tmp_path / "door.adacl"
    code, out, err = call(
        "video", "fit", tmp_path / "monday.mp4", "-o", model, "--false-alarms", 120, "--json",
        *SETTINGS,
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["alarm"]["per_hour"] == 120
    assert '"frame_rate": 10.0,' in out
    code, out, err = call("info", model)
    assert code == 0, err
    assert "64 x 96 at 10 frames a second" in out
    assert re.search("240 frames in [0-9]+ stretches: [0-9]+ to learn from, [0-9]+ for early", out)
    assert "for the threshold" not in out
    assert "whole images" not in out
    assert "false alarms an hour" in out
    files = [tmp_path / name for name in ("out.mp4", "events.csv", "page.html", "scores.jsonl")]
    code, out, err = call(
        "video", "score", model, film, "--annotate", files[0], "--events", files[1],
        "--report", files[2], "--format", "jsonl", "-o", files[3], "--threshold", 0.6,
    )  # fmt: skip
    assert code == 0, err
    assert out == ""
    written = re.escape(", ".join(map(str, files)))
    assert re.fullmatch(
        rf"150 frames of 14.9 s, [1-9] events?; [0-9.,]+ frames a second; wrote {written}",
        err.splitlines()[-1],
    )
    records = [json.loads(line) for line in files[3].read_text().splitlines()]
    assert [record["frame"] for record in records] == list(range(150))
    assert all(0 <= record["pred_score"] <= 1 for record in records)
    with files[1].open() as file:
        found = list(csv.DictReader(file))
    assert any(50 <= int(event["peak_frame"]) < 100 for event in found)
    flagged = {record["frame"] for record in records if record["pred_label"]}
    spans = [range(int(e["first_frame"]), int(e["last_frame"]) + 1) for e in found]
    assert flagged <= {frame for span in spans for frame in span}
    with av.open(str(files[0])) as container:
        copy = list(container.decode(video=0))
    with av.open(str(film)) as container:
        original = list(container.decode(video=0))
    np.testing.assert_allclose([f.time for f in copy], [f.time for f in original], atol=1e-3)
    picture = copy[int(found[0]["peak_frame"])].to_ndarray(format="rgb24").astype(int)
    inside = picture[8 : -72 - 8, 8:-8]  # without the frame of an alarm and the curve
    assert ((inside[..., 0] - inside[..., 1]) > 60).mean() > 0.02, "no heat is drawn"
    page = files[2].read_text()
    assert page.count("<tr><td>") == len(found)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_the_page_shows_curve_events_and_frames_in_a_browser(
    model_file: Path, film: Path, tmp_path: Path, browser: Any
) -> None:
    page = tmp_path / "page.html"
    code, _, err = call(
        "video", "score", model_file, film, "--report", page, "--threshold", 0.6, "-q"
    )
    assert code == 0, err
    shown = browser.new_page()
    shown.goto(page.as_uri())
    dom = shown.content()
    shown.close()
    (points,) = re.findall(r'id="curve" points="([^"]+)"', dom)
    assert len(points.split()) == 150
    assert dom.count('class="event"') == dom.count("<tr><td>") >= 1
    assert re.search(r'id="picture"[^>]*src="data:image/jpeg;base64,', dom)
    assert re.search(r'id="score">score [0-9.]+', dom)
    heights = [float(point.split(",")[1]) for point in points.split()]
    assert 5 < min(heights) < 60, "the curve fills the height"
    assert 180 < max(heights) < 235
    assert "threshold 0.600" in dom


def test_records_are_the_same_without_the_film_and_in_csv(
    model_file: Path, film: Path, tmp_path: Path
) -> None:
    _, first, _ = call("video", "score", model_file, film, "--format", "jsonl", "-q")
    _, again, _ = call(
        "video", "score", model_file, film, "--format", "jsonl", "-q",
        "--annotate", tmp_path / "a.mp4",
    )  # fmt: skip
    assert first == again
    call("video", "score", model_file, film, "-o", tmp_path / "named.jsonl", "-q")
    assert (tmp_path / "named.jsonl").read_text() == first
    _, table, _ = call("video", "score", model_file, film, "--format", "csv", "-q")
    rows = list(csv.DictReader(table.splitlines()))
    assert [float(row["raw_score"]) for row in rows] == [
        json.loads(line)["raw_score"] for line in first.splitlines()
    ]


def test_a_broken_disk_leaves_the_old_annotated_copy(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = write_video(tmp_path / "footage" / "few.mp4", walkers(20))

    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    copy = tmp_path / "copies" / "a.mp4"
    copy.parent.mkdir()
    assert call("video", "score", model_file, film, "--annotate", copy)[0] == 0
    before = copy.read_bytes()
    monkeypatch.setattr(os, "fsync", broken)
    assert f"{copy}: cannot be written" in refused(
        3, "video", "score", model_file, film, "--annotate", copy
    )
    assert copy.read_bytes() == before
    assert list(copy.parent.iterdir()) == [copy]


def test_the_command_line_refuses_in_a_line_and_leaves_nothing(
    model_file: Path, film: Path, tmp_path: Path
) -> None:
    output = tmp_path / "m.adacl"
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(film.read_bytes()[:300])
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    assert "no such file" in refused(3, "video", "fit", tmp_path / "none.mp4", "-o", output)
    assert "broken.mp4" in refused(3, "video", "score", model_file, broken)
    assert "empty.mp4" in refused(3, "video", "fit", empty, "-o", output)
    assert "unknown setting" in refused(
        2, "video", "fit", film, "-o", output, "--set", "video.tiles=3"
    )
    assert "one of them" in refused(
        2, "video", "fit", film, "-o", output, "--overlap", "--set", "video.stride=9"
    )
    assert "--epochs and --set training.epochs: give one of them" in refused(
        2, "video", "fit", film, "-o", output, "--epochs", "2", "--set", "training.epochs=3"
    )
    for option in ("--events", "-o"):
        table = tmp_path / "e.parquet"
        assert "e.parquet: would hold text" in refused(
            2, "video", "score", model_file, film, option, table
        )
    assert "e.jsonl: is a CSV table" in refused(
        2, "video", "score", model_file, film, "--events", tmp_path / "e.jsonl"
    )
    same = tmp_path / "same"
    for outputs in (
        [same, same],
        [model_file, same],
        [same, film.parent / ".." / film.parent / film],
    ):
        assert "named twice" in refused(
            2, "video", "score", model_file, film, "--events", outputs[0], "--report", outputs[1]
        )
    assert "need a whole number" in refused(
        2, "video", "fit", film, "-o", output, "--overlap", "--set", "video.tile=abc"
    )
    assert "record the stream" in refused(
        2, "video", "score", model_file, "udp://127.0.0.1:9", "--report", tmp_path / "r.html",
        "--events", tmp_path / "events.csv", "-o", tmp_path / "o.csv", "--format", "csv",
    )  # fmt: skip
    assert "a device" in refused(3, "video", "score", model_file, film, "--events", "/dev/null")
    for kind in ("xyz", "avi"):
        assert "name it .mp4" in refused(
            3, "video", "score", model_file, film, "--annotate", tmp_path / f"a.{kind}"
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.mp4", "empty.mp4"]


def test_a_truncated_video_is_scored_as_far_as_it_goes(model_file: Path, tmp_path: Path) -> None:
    """An avi can be read without its end."""
    whole = write_video(tmp_path / "whole.avi", walkers(100, 2))
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    code, out, err = call("video", "score", model_file, cut, "--format", "jsonl")
    assert code == 0, err
    frames = [json.loads(line)["frame"] for line in out.splitlines()]
    assert 20 < len(frames) < 100
    assert frames == list(range(len(frames)))


def test_how_far_a_recording_is_read_is_said(
    model_file: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "SAY_EVERY", 0.0)
    _, _, err = call("video", "score", model_file, film)
    assert re.search("^[a-z]+: 150 frames read, up to 15 s$", err, re.MULTILINE), err
    assert "frames read" not in call("video", "score", model_file, film, "-q")[2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_live_stream_is_written_line_by_line_and_ends_with_a_signal(
    exported_file: Path, tmp_path: Path, number: signal.Signals
) -> None:
    events, records = tmp_path / "events.csv", tmp_path / "scores.jsonl"
    with camera(walkers(150, 7, RUN), stalls=True) as address:
        program = subprocess.Popen(
            [
                sys.executable, "-m", "adacl", "video", "score", exported_file, address,
                "--events", events, "--format", "jsonl", "-o", records, "--threshold", "0.6",
            ],
            stderr=subprocess.PIPE,
        )  # fmt: skip
        deadline, last = time.monotonic() + 180, 0
        while time.monotonic() < deadline and last < 100:  # a busy machine drops many
            time.sleep(0.1)
            lines = records.read_text().splitlines() if records.exists() else []
            last = json.loads(lines[-2])["frame"] if len(lines) > 1 else 0
        program.send_signal(number)
        _, err = program.communicate(timeout=60)
    assert last >= 100, "nothing is written before the end"
    assert program.returncode == 0, err
    assert b"stopped" in err
    assert re.search(rb"[0-9]+ frames of [0-9.]+ s, [0-9]+ events?; wrote ", err)
    assert re.search(rb"above the threshold since [0-9.]+ s, \d{4}-\d\d-\d\dT", err)
    assert re.search(rb"the event is over, at [0-9.]+ s, \d{4}-\d\d-\d\dT", err)
    frames = [json.loads(line)["frame"] for line in records.read_text().splitlines()]
    assert frames == sorted(set(frames))  # some may be dropped: this camera is in a hurry
    assert len(events.read_text().splitlines()) > 1


def test_an_interrupted_run_leaves_no_film(exported_file: Path, tmp_path: Path) -> None:
    long = write_video(tmp_path / "long.mp4", walkers(2500, 2))
    program = subprocess.Popen(
        [
            sys.executable, "-m", "adacl", "video", "score", exported_file, long,
            "--annotate", tmp_path / "a.mp4", "--events", tmp_path / "e.csv", "--format", "jsonl",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert program.stdout is not None
    program.stdout.readline()
    program.send_signal(signal.SIGTERM)
    _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert b"Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == ["long.mp4"]


@pytest.mark.realdata
def test_real_footage_goes_from_fit_to_an_annotated_copy(data_dir: Path, tmp_path: Path) -> None:
    footage = data_dir / "avenue"
    if not footage.is_dir():
        pytest.skip(f"no Avenue in {data_dir}")
    model, copy = tmp_path / "avenue.adacl", tmp_path / "seen.mp4"
    code, _, err = call(
        "video", "fit", footage / "train" / "12.mp4", "-o", model, "--false-alarms", 60, "-q",
        "--set", "training.epochs=2", "--set", "training.min_epoch_images=512",
        "--set", "video.max_samples=800",
    )  # fmt: skip
    assert code == 0, err
    code, out, err = call(
        "video", "score", model, footage / "test" / "08.mp4", "--annotate", copy,
        "--format", "jsonl", "-q",
    )  # fmt: skip
    assert code == 0, err
    assert len(out.splitlines()) == 36
    with av.open(str(copy)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 36
    assert frames[0].shape == (432, 640, 3)


@pytest.mark.parametrize(
    ("absent", "used"), [("torch", "fit(['clip'])"), ("sklearn", "score('clip')")]
)
def test_what_needs_the_extra_for_training_says_so(absent: str, used: str) -> None:
    lines = (
        "import sys; from adacl import VideoAnomalyDetector",
        "from adacl.errors import MissingExtraError",
        f"sys.modules['{absent}'] = None",
        f"try: VideoAnomalyDetector().{used}",
        "except MissingExtraError as error: print(error)",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.stdout.endswith("install it with: pip install 'adacl[train]'\n"), done.stderr
