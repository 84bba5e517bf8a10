"""``adacl fit``, as a user meets it: what it prints, writes and refuses."""

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from adacl.cli.support.progress import epochs, messages
from adacl.config.presets import preset
from adacl.model import tensor_file
from adacl.model.file import read_model
from adacl.model.history import EpochRecord
from adacl.model.info import weakness
from support.helpers import QUICK, call, refused


def test_fit_prints_what_a_program_needs(parts: Path, tmp_path: Path) -> None:
    code, out, _ = call("fit", parts / "train", "-o", tmp_path / "m", *QUICK, "--json", "-q")
    summary = json.loads(out)
    assert code == 0
    assert summary["training"]["images"] == 120
    assert summary["threshold"]["method"] == "cross-fitting"
    assert set(summary["kind_auroc"]) == {"cut_paste", "puzzling", "rotation", "mix_up"}


def test_fit_tells_beforehand_what_is_trained(parts: Path, tmp_path: Path) -> None:
    options = ["-o", tmp_path / "m", *QUICK, "--set", "training.min_epoch_images=100"]
    _, _, err = call("fit", parts / "train", *options)
    before, after = err.split("network, epoch 1 of 1", 1)
    assert "120 images: 3 networks are trained for up to 1 epoch each" in before
    assert "the 96 images to learn from again and again, until it has seen 100" in before
    assert "--set training.min_epoch_images=N" in before
    assert after.splitlines()[0].endswith(" left")
    assert re.findall(r"^fold .*?,", err, re.MULTILINE) == ["fold 1 of 2,", "fold 2 of 2,"]

    _, _, err = call("fit", parts / "train", *options, "--group", "[0-9]*([0-9])")
    assert re.search("an epoch goes through about [0-9]+ images to learn from", err)

    _, _, err = call("fit", parts / "train", *options, "--fpr", "0.2", "--tile", "8x8")
    assert "120 images: one network is trained" in err
    assert "again and again" not in err
    assert "fold" not in err.replace("--set threshold.folds=2", "")
    _, _, err = call("fit", parts / "train", *options, "-q")
    weak = weakness(read_model(tmp_path / "m")[0])
    assert err == "".join(f"warning: {line}\n" for line in weak)


def test_fit_counts_the_tiles_of_images_of_all_sizes(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    for number in range(10):
        side = 16 if number else 64
        Image.new("L", (side, side), number).save(tmp_path / "good" / f"{number}.png")
    options = ["-o", tmp_path / "m", *QUICK, "--set", "training.min_epoch_images=100"]
    _, _, err = call("fit", tmp_path / "good", *options, "--tile", "16x16")
    assert "an epoch goes through about 20 tiles to learn from again and again" in err


def test_fit_says_that_the_images_of_all_folders_are_taken_for_normal(
    parts: Path, tmp_path: Path
) -> None:
    copies = [*("good" for _ in range(3)), *(f"broken/{number}" for number in range(6))]
    for number, name in enumerate(copies):
        (tmp_path / "parts" / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(parts / "good" / "000.png", tmp_path / "parts" / name / f"{number}.png")
    code, _, err = call("fit", tmp_path / "parts", "-o", tmp_path / "m")
    assert code == 3
    named = ", ".join(f"{tmp_path / 'parts' / 'broken' / str(number)} (1)" for number in range(4))
    told = f"{tmp_path / 'parts' / 'good'} (3), {named}, and 2 more"
    assert f"the images of all 7 folders are taken for normal; name good folders only: {told}" in (
        err
    )
    assert "of all" not in call("fit", tmp_path / "parts" / "good", "-o", tmp_path / "m")[2]


def test_the_time_left_counts_all_networks(caplog: pytest.LogCaptureFixture) -> None:
    with messages(), epochs(5, quiet=False, networks=4) as display:
        for stage, epoch in (("network", 0), ("network", 1), ("fold 2", 3), ("fold 3", 4)):
            display(stage, EpochRecord(epoch, 0.1, 0.9, {}, 1e-3, seconds=60.0))
    told = [message.partition(" s, ")[2] for message in caplog.messages]
    assert told == ["about 19 min left", "about 18 min left", "about 6 min left", ""]


def test_equal_seeds_give_equal_files(parts: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        call("fit", parts / "train", "-o", tmp_path / name, *QUICK, "--seed", seed)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c


def test_dropped_kind_is_not_made(parts: Path, tmp_path: Path) -> None:
    call("fit", parts / "train", "-o", tmp_path / "m", *QUICK, "--drop", "rotation")
    history = tensor_file.read(tmp_path / "m")[1]["history"]
    assert "rotation" not in history["epochs"][0]["kind_auroc"]


def test_added_kind_is_made(parts: Path, tmp_path: Path) -> None:
    call("fit", parts / "train", "-o", tmp_path / "m", *QUICK, "--add", "scar", "--add", "mix_up")
    header = tensor_file.read(tmp_path / "m")[1]
    wanted = preset("paper").anomalies.weights | {"scar": 1.0}
    assert header["config"]["anomalies"]["weights"] == wanted
    assert "scar" in header["history"]["epochs"][0]["kind_auroc"]


def test_the_preset_accurate_says_what_it_becomes(parts: Path, tmp_path: Path) -> None:
    small = ["--set", "network.channels=[4, 8]", "--set", "network.blocks=[0, 1]"]
    out = ["--preset", "accurate", *QUICK, *small, "--report", tmp_path / "r.html"]
    code, _, err = call("fit", parts / "train", "-o", tmp_path / "m.adacl", *out)
    assert code == 0, err
    assert (
        "preset aligned, because the images show the same thing at the same place (a simple" in err
    )
    assert "aligned" in call("info", tmp_path / "m.adacl")[1]
    assert "aligned" in (tmp_path / "r.html").read_text()


def test_config_file(parts: Path, tmp_path: Path) -> None:
    quick = {"training__epochs": 1, "training__min_epoch_images": 64, "threshold__folds": 2}
    config = preset("paper").replace(**quick, training__optimizer="radam")
    (tmp_path / "my.toml").write_text(config.to_toml())
    call("fit", parts / "train", "-o", tmp_path / "m", "--config", tmp_path / "my.toml")
    assert tensor_file.read(tmp_path / "m")[1]["config"] == config.to_dict()


def test_the_fit_that_is_advised_repeats_the_options(parts: Path, tmp_path: Path) -> None:
    options = ["--set", "training.min_epoch_images=64", "--drop", "mix_up", "--fpr", "0.2"]
    options += ["--image-size", "12x12"]
    _, _, err = call("fit", parts / "good", "-o", tmp_path / "m", "--epochs", "1", *options)
    repeated = "--preset paper --set training.min_epoch_images=64 --drop mix_up --image-size 12x12"
    advised = f"adacl fit MORE_NORMALS -o NEW {repeated} --fpr 0.2 --epochs 1: it learnt from "
    assert advised in err
    options += ["--set", "training.epochs=1"]
    _, _, err = call("fit", parts / "good", "-o", tmp_path / "m", *options)
    assert advised in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--preset", "paper", "--config", "my.toml"], "--config and --preset: give one of them"),
        (["--preset", "best"], "known are accurate, aligned, inspect, paper, varied; adacl fit"),
        (["--preset", "video"], "learn from videos or folders of frames with adacl video fit"),
        (["--image-size", "4x4"], "HEIGHTxWIDTH"),
        (["--image-size", "a"], "HEIGHTxWIDTH"),
        (["--tile", "64x"], "HEIGHTxWIDTH"),
        (["--tile", "16x16", "--stride", "20"], "stride"),
        (["--tile", "16x16", "--top-k", "0"], "top_k"),
        (["--fpr", "0"], "threshold.fpr"),
        (["--fpr", "1.5"], "threshold.fpr"),
        (["--epochs", "0"], "epochs"),
        (["--epochs", "2", "--set", "training.epochs=3"], "--epochs and --set training.epochs"),
        (["--fpr", "0.1", "--set", "threshold.fpr=0.2"], "--fpr and --set threshold.fpr: give one"),
        (["--seed", "-1"], "seed"),
        (["--device", "tpu"], "device"),
        (["--drop", "blur"], "not in use"),
        (["--set", "training.epochs"], "section.name=value"),
        (["--set", "training.=3"], "section.name=value"),
        (["--set", "training.epochz=3"], "training.epochz"),
        (["--set", "training.epochs=three"], "training.epochs"),
        (["--set", "network.head=sigmoid"], "sigmoid with bce"),
        (["--set", "network.channels=[300, 300]"], "300,000"),
        (["--set", "anomalies.weights={dust = 1}"], "dust"),
        (["--add", "dust"], "known are blur"),
        (["--set", "labels.normal=[0.0, 0.8]"], "labels"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_settings_are_refused(
    parts: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    assert words in refused(2, "fit", parts / "train", "-o", tmp_path / "m", *options)
    assert not any(tmp_path.iterdir())


def test_an_interrupted_fit_does_not_hide_wrong_arguments(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "m.resume").mkdir()
    (tmp_path / "m.resume" / "network.ckpt").touch()
    command = ["-o", tmp_path / "m"]
    assert "--resume" in refused(3, "fit", parts / "train", *command)
    assert "no such file" in refused(3, "fit", tmp_path / "none", *command)
    for options, words in (
        (["--fpr", "2"], "threshold.fpr"),
        (["--tile", "16x16", "--stride", "20"], "stride"),
        (["--set", "anomalies.weights={dust = 1}"], "dust"),
        (["--add", "dust"], "known are blur"),
    ):
        assert words in refused(2, "fit", parts / "train", *command, *options)


def test_too_few_images(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    for name in ("000.png", "001.png", "002.png"):
        shutil.copy(parts / "train" / name, tmp_path / "few")
    message = refused(3, "fit", tmp_path / "few", "-o", tmp_path / "m")
    assert "at least 4 normal images" in message
