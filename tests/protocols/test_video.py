"""The video protocols: trees of footage, rivals, cells, table 3; real ground truth."""

import gzip
import hashlib
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adacl.config.presets import preset
from adacl.data.video import Clip
from adacl.errors import ConfigError, DataError, MissingDataError
from adacl.protocols.video import footage, runs, tables
from adacl.protocols.video.rivals import RIVALS
from adacl.video.config import VideoConfig
from adacl.video.fit import fit_video
from support.footage import walkers, write_frames, write_video
from support.helpers import call, refused, write_cell

RUN = range(60, 100)
QUICK = {"tile": 16, "stride": 16, "max_samples": 600, "training__epochs": 1}


def write_tree(root: Path, clips: int = 2, frames: int = 160) -> Path:
    """Write a small UCSDped2 as published: tif frames counted from 1, bmp masks, spans."""
    spans = []
    for number in range(1, clips + 1):
        write_frames(root / "Train" / f"Train{number:03d}", walkers(frames, number), "{:03d}.tif")
        test = root / "Test" / f"Test{number:03d}"
        write_frames(test, walkers(frames, 10 + number, RUN), "{:03d}.tif")
        masks = np.zeros((frames, 64, 96), np.uint8)
        masks[RUN.start : RUN.stop, 10:40, 10:60] = 255
        folder = test.with_name(test.name + "_gt")
        folder.mkdir()
        for frame, mask in enumerate(masks, start=1):
            Image.fromarray(mask).save(folder / f"{frame:03d}.bmp")
        spans.append(f"TestVideoFile{{end+1}}.gt_frame = [{RUN.start + 1}:{RUN.stop}];\n")
    (root / "Test" / "UCSDped2.m").write_text("TestVideoFile = {};\n" + "".join(spans))
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("ucsd") / "UCSDped2")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(runs.CHANGES, "quick", QUICK)


def test_the_standard_protocol_learns_from_train_alone(tree: Path) -> None:
    for root in (tree, tree.parent):
        loaded = footage.load("ucsd-ped2", root)
        (fold,) = loaded.folds
        assert [clip.name for clip in fold.train] == ["Train001", "Train002"]
        assert [clip.name for clip in fold.test] == ["Test001", "Test002"]
        assert not fold.normal
        for mask in loaded.abnormal.values():
            np.testing.assert_array_equal(np.flatnonzero(mask), RUN)


def test_two_folds_learn_from_normal_frames_of_the_other_half(tree: Path) -> None:
    first, second = footage.load("ucsd-ped2-two-fold", tree).folds
    assert [clip.name for clip in first.train] == ["Test001"]
    assert [clip.name for clip in first.test] == ["Test002"]
    assert [clip.name for clip in second.test] == ["Test001"]
    np.testing.assert_array_equal(np.flatnonzero(~first.normal["Test001"]), RUN)


@pytest.mark.parametrize("method", ["adacl", *RIVALS])
def test_a_cell_measures_what_it_says(tree: Path, quick: None, method: str, tmp_path: Path) -> None:
    name = "quick" if method == "adacl" else f"quick+{method}"
    cell = runs.run_cell("ucsd-ped2", tree, tmp_path, name, 0)
    assert (cell["frames"], cell["abnormal_frames"]) == (320, 80)
    assert len(cell["scores"]["Test001"]["raw"]) == 160
    for key in ("auroc_raw", "auroc_smoothed", "eer_smoothed", "auroc_tiles"):
        assert 0 <= cell[key] <= 1
    assert cell["method"] == method
    assert json.loads(json.dumps(cell))["auroc_raw"] == cell["auroc_raw"]
    if method in {"frame-difference", "tile-gaussian"}:
        assert cell["auroc_smoothed"] > 0.8, "running is easily told from walking"


def test_the_command_writes_table_curves_and_results(tree: Path, tmp_path: Path) -> None:
    """The smallest grid; other processes run it, so it is trained as published."""
    out = tmp_path / "out"
    arguments = ("bench", "ucsd", "ped2", "--data", tree, "--out", out, "--seeds", "0")
    code, text, err = call(*arguments, "--variants", "frame-difference", "-q")
    assert code == 0, err
    assert "ADACL (paper)" in text
    assert "98.4†" in text
    assert "not the published frames" in text
    (group,) = json.loads((out / "results.json").read_text())
    assert group["auroc_smoothed"]["mean"] > 80
    before = (out / "cells.jsonl").stat().st_mtime_ns
    call(*arguments, "--variants", "frame-difference", "-q")
    after = (out / "cells.jsonl").stat().st_mtime_ns
    assert before == after, "a finished cell is run again"


def test_curves_and_table_of_our_own_cells(tree: Path, quick: None, tmp_path: Path) -> None:
    for seed in (0, 1):
        cell = runs.run_cell("ucsd-ped2", tree, tmp_path / "k", "quick", seed)
        write_cell(tmp_path, str(seed), cell)
    (group,) = tables.write(tmp_path)
    assert group["seeds"] == [0, 1]
    assert group["auroc_smoothed"]["sd"] is not None
    table = (tmp_path / "table3.md").read_text()
    assert f"{group['auroc_smoothed']['mean']:.2f} ± {group['auroc_smoothed']['sd']:.2f}" in table
    assert Image.open(tmp_path / "curves-ucsd-ped2-quick.png").size[0] > 300
    other = cell | {"original_frames": True, "seed": 2}
    write_cell(tmp_path, "2", other)
    with pytest.raises(DataError, match="mixed"):
        tables.write(tmp_path)


def test_variants_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"known, and joined"):
        runs.variant("overlap+magic")
    video, config, method = runs.variant("overlap+single-frame+autoencoder")
    assert (video.stride, video.frames, method) == (15, 1, "autoencoder")
    with pytest.raises(ConfigError, match="no difference"):
        runs.variant("single-frame+frame-difference")
    assert set(config.anomalies.kinds) == {"cut_paste", "puzzling", "rotation", "mix_up"}


def test_trees_that_are_not_whole_are_refused(tree: Path, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(tree, tmp_path / name / "UCSDped2"))

    def message(root: Path, *more: str) -> str:
        return refused(3, "bench", "ucsd", "ped2", "--data", root, "--out", tmp_path / "o", *more)

    assert "neither UCSDped2 nor Test" in message(tmp_path)
    root = copy("no-truth")
    (root / "Test" / "UCSDped2.m").unlink()
    assert "UCSDped2.m" in message(root)
    root = copy("no-clip")
    shutil.rmtree(root / "Test" / "Test002")
    assert "Test002" in message(root)
    root = copy("no-frames")
    for path in (root / "Test" / "Test001").glob("0[4-9]?.tif"):
        path.unlink()
    for path in (root / "Test" / "Test001").glob("1*.tif"):
        path.unlink()
    assert "goes up to frame 100" in message(root)
    root = copy("no-mask")
    (root / "Test" / "Test001_gt" / "160.bmp").unlink()
    assert "159 masks for 160 frames" in message(root)
    root = copy("no-train")
    shutil.rmtree(root / "Train")
    assert "Train" in message(root)
    assert footage.load("ucsd-ped2-two-fold", root).folds
    assert not (tmp_path / "o").exists()


def test_avenue_needs_a_mask_for_every_frame(tmp_path: Path) -> None:
    write_frames(tmp_path / "train" / "01", walkers(60), "{:03d}.png")
    (tmp_path / "test").mkdir()
    write_video(tmp_path / "test" / "08.mp4", walkers(60, 8, range(30, 40)))
    with pytest.raises(MissingDataError, match="no masks"):
        footage.load("avenue", tmp_path)
    masks = np.zeros((60, 64, 96), np.uint8)
    masks[30:40, :30, :30] = 255
    write_frames(tmp_path / "test_mask" / "08", masks, "{:04d}.png")
    loaded = footage.load("avenue", tmp_path)
    assert loaded.abnormal["08"].sum() == 10
    (tmp_path / "test_mask" / "08" / "0060.png").unlink()
    with pytest.raises(DataError, match="59 masks for 60 frames"):
        footage.load("avenue", tmp_path)


def test_copies_of_different_quality_are_told_apart(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [clip for fold in footage.load("ucsd-ped2", tree).folds for clip in fold.test]
    assert footage.original_clips(tree, "UCSDped2", clips) == set()
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(Path(clips[0].source).iterdir())
    ]
    known = hashlib.sha256("".join(lines).encode()).hexdigest()
    listed = f"{known}  UCSDped2/Test/Test001\n"
    monkeypatch.setattr(footage, "files", lambda _: tree.parent)
    (tree.parent / "ucsd_sha256.txt").write_text(listed)
    assert footage.original_clips(tree, "UCSDped2", clips[:1]) == {"Test001"}
    (Path(clips[0].source) / "._001.tif").write_bytes(b"left by another system")
    assert footage.original_clips(tree, "UCSDped2", clips[:1]) == {"Test001"}
    assert footage.original_clips(tree, "UCSDped1", clips[:1]) == set()
    longer = listed + f"{known}  UCSDped2/Test/Test009\n"
    (tree.parent / "ucsd_sha256.txt").write_text(longer)
    assert footage.original_clips(tree, "UCSDped2", clips[:1]) == {"Test001"}, "two folds"
    train = Clip("Train001", shutil.copytree(clips[0].source, tree / "copy" / "Train" / "Train001"))
    (tree.parent / "ucsd_sha256.txt").write_text(longer + f"{known}  UCSDped2/Train/Train001\n")
    with pytest.raises(DataError, match="1 of 3 published clips are missing, Test009"):
        footage.original_clips(tree, "UCSDped2", [clips[0], train])
    with pytest.raises(DataError, match="must not be mixed"):
        footage.original_clips(tree, "UCSDped2", clips)


@pytest.mark.realdata
def test_the_packaged_digests_are_those_of_the_published_frames(data_dir: Path) -> None:
    path = data_dir / "ucsd_original_tif_sha256.txt.gz"
    if not path.is_file():
        pytest.skip(f"no list of the published frames in {data_dir}")
    clips: dict[str, list[str]] = {}
    for line in sorted(gzip.decompress(path.read_bytes()).decode().splitlines(), key=str.split):
        digest, file = line.split()
        folder, name = file.rsplit("/", 1)
        clips.setdefault(folder.split("v1p2/")[1], []).append(f"{digest}  {name}\n")
    packaged = Path(footage.__file__).with_name("ucsd_sha256.txt").read_text()
    known = dict(line.split()[::-1] for line in packaged.splitlines())
    assert len(known) == 34 + 36 + 16 + 12
    for clip, lines in clips.items():
        ordered = "".join(sorted(lines, key=lambda line: line.split()[1]))
        assert hashlib.sha256(ordered.encode()).hexdigest() == known[clip]


@pytest.mark.realdata
def test_ped1_in_two_folds_from_the_footage_at_hand(data_dir: Path, tmp_path: Path) -> None:
    script = data_dir / "unpack.py"
    if not script.is_file():
        pytest.skip(f"no UCSD Ped1 in {data_dir}, nor a script that unpacks it")
    subprocess.run(
        [sys.executable, script, "ped1", tmp_path], check=True, stdout=subprocess.DEVNULL
    )
    loaded = footage.load("ucsd-ped1-two-fold", tmp_path)
    assert [len(fold.test) for fold in loaded.folds] == [9, 8]
    assert sum(map(len, loaded.abnormal.values())) == 3400
    assert sum(mask.sum() for mask in loaded.abnormal.values()) == 1973


@pytest.mark.realdata
def test_a_tenth_of_a_clip_of_ped2_from_frame_to_score(data_dir: Path) -> None:
    """The reader, the ground truth and the score of one small training stay what they are."""
    root = data_dir / "ucsd_ped2"
    if not root.is_dir():
        pytest.skip(f"no UCSD Ped2 in {data_dir}")
    loaded = footage.load("ucsd-ped2", root)
    (fold,) = loaded.folds
    assert (len(fold.train), len(fold.test)) == (16, 12)
    assert sum(map(len, loaded.abnormal.values())) == 2010
    assert sum(int(mask.sum()) for mask in loaded.abnormal.values()) == 1648
    assert set(loaded.masks) == set(loaded.abnormal)
    clip = fold.test[1]
    assert clip.name == "Test002"
    assert np.flatnonzero(loaded.abnormal["Test002"])[0] == 94
    frames = list(itertools.islice(clip.frames(1, 240), 93, 111))
    assert {frame.image.shape for frame in frames} == {(240, 360, 1)}
    assert np.mean([frame.image for frame in frames]) == pytest.approx(112.898, abs=0.01)

    video = VideoConfig(max_samples=1500, smoothing=0.0)
    quick = preset("video").replace(training__epochs=3, training__min_epoch_images=1500)
    model = fit_video(fold.train[:1], video, quick, per_hour=None, seed=0)
    scores = [score.raw for score in model.score(frames)]
    assert model.motion == pytest.approx(2.16763, abs=1e-4)
    assert scores[::5] == pytest.approx([0.558, 0.680, 0.679, 0.706], abs=0.01)
