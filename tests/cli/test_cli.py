"""The command line, as a user meets it: results, messages, exit codes."""

import csv
import errno
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from adacl.cli.support.progress import epochs, messages
from adacl.config.presets import PRESETS, preset
from adacl.data import reading
from adacl.model import tensor_file
from adacl.model.history import EpochRecord
from support.helpers import REPOSITORY, call, refused, without_rights

QUICK = ["--epochs", "1", "--set", "training.min_epoch_images=64", "--set", "threshold.folds=2"]


def write_digits(folder: Path, images: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        pixels = (image * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).resize((16, 16)).save(folder / f"{number:03d}.png")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real digits: ``train`` and ``good`` hold threes, ``bad`` others; ``model`` is fitted.

    It is exported, too, as ``model.onnx``.
    """
    root = tmp_path_factory.mktemp("parts")
    digits = load_digits()
    threes = digits.images[digits.target == 3]
    write_digits(root / "train", threes[:120])
    write_digits(root / "good", threes[120:])
    write_digits(root / "bad", digits.images[digits.target != 3][:200])
    command = ["fit", str(root / "train"), "-o", str(root / "model"), "--epochs", "6"]
    command += ["--set", "training.min_epoch_images=1024", "--set", "threshold.folds=2"]
    assert call(*command)[0] == 0
    assert call("export", root / "model", root / "model.onnx")[0] == 0
    return root


def test_help_and_start_up_import_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['adacl', '--help']; from adacl.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules), 'heavy import'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("demo", "fit", "score", "evaluate", "calibrate", "info", "doctor", "data"):
        assert command in done.stdout


def test_info_needs_no_torch(parts: Path) -> None:
    code = (
        f"import sys; sys.argv = ['adacl', 'info', {str(parts / 'model')!r}]\n"
        "from adacl.cli import main\ntry: main()\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "120 normal images" in done.stdout


def test_version_and_bare_call() -> None:
    assert call("--version")[1].startswith("adacl 0.")
    assert call()[1] == call("--help")[1]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_name_of_the_output_tells_the_format(parts, tmp_path, form):
    named, asked, table = (tmp_path / name for name in (f"a.{form.upper()}", "b", f"c.{form}"))
    command = ["score", parts / "model", parts / "good"]
    call(*command, "-o", named)
    call(*command, "-o", asked, "--format", form)
    assert named.read_text() == asked.read_text()
    call(*command, "-o", table, "--format", "table")
    assert table.read_text().split()[:2] == ["pred_score", "pred_label"]


@pytest.mark.parametrize(("before", "after"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_sleep_unless_the_environment_says_otherwise(before, after):
    script = (
        "import atexit, os, sys; from adacl import cli; sys.argv[1:] = ['--version'];"
        "atexit.register(lambda: print(os.environ['OMP_WAIT_POLICY'])); cli.main()"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": before} if before else {}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == after


def test_readers_are_as_many_as_asked_and_change_no_score(parts, tmp_path, monkeypatch):
    asked = []

    class Pool(reading.ThreadPoolExecutor):
        def __init__(self, workers):
            asked.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(reading, "ThreadPoolExecutor", Pool)
    model, exported = tmp_path / "m.adacl", tmp_path / "m.onnx"
    assert call("fit", str(parts / "train"), "-o", str(model), "--readers", "3", *QUICK)[0] == 0
    assert call("export", str(model), str(exported), "--dynamic-batch")[0] == 0
    for scored in (model, exported):
        score = ["score", str(scored), str(parts / "good"), "--format", "csv"]
        assert call(*score, "--readers", "3")[1] == call(*score, "--readers", "1")[1]
    assert asked == [3, 3, 3, 1, 3, 1]
    assert call(*score, "--readers", "0")[0] == 2


def test_trained_model_tells_real_digits_apart(parts: Path) -> None:
    code, out, _ = call(
        "evaluate",
        parts / "model",
        "--normal",
        parts / "good",
        "--abnormal",
        parts / "bad",
        "--json",
    )
    result = json.loads(out)
    assert code == 0
    assert {
        "auroc",
        "eer",
        "average_precision",
        "threshold",
        "fpr",
        "tpr",
        "n_normal",
        "n_abnormal",
    } <= set(result)
    assert (result["n_normal"], result["n_abnormal"]) == (63, 200)
    assert result["auroc"] > 0.9
    assert result["n_seen_in_fit"] == 0


def test_evaluate_warns_of_images_seen_in_fit(parts: Path) -> None:
    code, out, err = call(
        "evaluate", parts / "model", "--normal", parts / "train", "--abnormal", parts / "bad"
    )
    assert code == 0
    assert "AUROC" in out
    assert "120 of these images were used in fitting" in err


def test_evaluate_says_what_may_help_where_few_anomalies_are_found(
    parts: Path, tmp_path: Path
) -> None:
    folders = ["--normal", parts / "good", "--abnormal", parts / "bad"]
    command = ["evaluate", parts / "model", *folders, "--json"]
    _, out, err = call(*command, "--threshold", "9", "--report", tmp_path / "page.html")
    assert json.loads(out)["tpr"] == 0
    assert "verdict: weak, do not rely on it. Anomalies do score higher" in err
    assert f"next: adacl calibrate {parts / 'model'} MORE_NORMALS --fpr 0.05: " in err
    assert err.count("next: ") == 2
    assert json.loads(out)["verdict"]["grade"] == "weak"
    assert ">weak, do not rely on it</strong>" in (tmp_path / "page.html").read_text()
    assert call(*command, "--threshold", "1", "-q")[2] == ""
    _, out, err = call(*command, "--threshold", "-9")
    assert "63 of 63 normal images are flagged" in err
    swapped = ["--normal", parts / "bad", "--abnormal", parts / "good"]
    _, _, err = call("evaluate", parts / "model", *swapped)
    command = shlex.join(map(str, ["evaluate", parts / "model", *folders]))
    assert f"next: adacl {command}: if the two were swapped" in err
    assert json.loads(out)["verdict"]["grade"] == "weak"


def test_evaluate_tells_its_figures_before_a_report_that_fails(parts: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    with Image.open(next((parts / "bad").iterdir())) as image:
        image.save(small)
    command = [sys.executable, "-m", "adacl", "evaluate", parts / "model.onnx", "--normal"]
    command += [parts / "good", "--abnormal", small, "--report", tmp_path / "page.html"]
    ended = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert ended.returncode == 3
    assert "AUROC" in ended.stdout
    assert f"adacl: {tmp_path / 'page.html'}: cannot be written" in ended.stderr
    assert sorted(tmp_path.iterdir()) == [small]


def test_evaluate_breaks_down_by_folder(parts: Path, tmp_path: Path) -> None:
    paths = sorted((parts / "bad").iterdir())
    for number, path in enumerate(paths):
        folder = tmp_path / "test" / ("even" if number % 2 else "odd/deeper")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
    command = ["evaluate", parts / "model", "--normal", parts / "good", "--abnormal"]
    page = tmp_path / "page.html"
    found = json.loads(call(*command, tmp_path / "test", "--json", "--report", page)[1])
    for row in found["kinds"]:
        cells = [f">{row['kind']}<", f">{row['n']}<", f">{row['auroc']:.3f} "]
        assert re.search(".*".join(cells), page.read_text(), re.DOTALL)
    assert {row["kind"]: row["n"] for row in found["kinds"]} == {"even": 100, "odd": 100}
    areas = [row["auroc"] for row in found["kinds"]]
    assert areas == sorted(areas)
    assert np.mean(areas) == pytest.approx(found["auroc"])
    assert np.mean([row["tpr"] for row in found["kinds"]]) == pytest.approx(found["tpr"])
    for row in (found, *found["kinds"]):
        assert row["auroc_95"][0] < row["auroc"] < row["auroc_95"][1]
    assert found["auroc_95"][1] - found["auroc_95"][0] < 0.1
    folders = [tmp_path / "test" / name for name in ("even", "odd")]
    out = call(*command, folders[0], "--abnormal", folders[1])[1]
    assert re.search(rf"^  {folders[0]} +AUROC 0", out, re.MULTILINE)
    assert re.search(rf"^  {folders[1] / 'deeper'} +AUROC 0", out, re.MULTILINE)
    assert json.loads(call(*command, parts / "bad", "--json")[1])["kinds"] == []
    assert "kinds" not in call(*command, parts / "bad")[1]


def test_score_formats_agree_and_keep_the_order(parts: Path, tmp_path: Path) -> None:
    paths = [parts / "bad", parts / "good" / "005.png", parts / "good" / "001.png"]
    _, out, _ = call("score", parts / "model", *paths, "--format", "jsonl")
    records = [json.loads(line) for line in out.splitlines()]
    expected = [*sorted((parts / "bad").iterdir()), *paths[1:]]
    assert [record["image_path"] for record in records] == list(map(str, expected))
    assert all(0 <= record["pred_score"] <= 1 for record in records)
    assert {record["pred_label"] for record in records} == {0, 1}

    call("score", parts / "model", *paths, "--format", "csv", "-o", tmp_path / "scores.csv")
    rows = list(csv.DictReader((tmp_path / "scores.csv").open()))
    assert [float(row["pred_score"]) for row in rows] == [r["pred_score"] for r in records]

    _, table, err = call("score", parts / "model", *paths)
    assert f"{sum(r['pred_label'] for r in records)} of 202 images are anomalous\n" in err
    assert call("score", parts / "model", *paths, "-q")[1:] == (table, "")
    lines = table.splitlines()
    assert lines[0].split() == ["pred_score", "pred_label", "image_path"]
    assert [line.split()[1] == "ANOMALOUS" for line in lines[1:]] == [
        bool(record["pred_label"]) for record in records
    ]


def test_threshold_by_hand(parts: Path) -> None:
    _, out, _ = call(
        "score", parts / "model", parts / "good", "--format", "jsonl", "--threshold", "-1"
    )
    assert all(json.loads(line)["pred_label"] == 1 for line in out.splitlines())


def test_what_is_left_out_is_told_as_a_warning_that_steers_no_terminal(
    parts: Path, tmp_path: Path
) -> None:
    bad = shutil.copytree(parts / "bad", tmp_path / "bad")
    (bad / "no\x1b[31mtes.doc\x1b").touch()
    command = ("evaluate", parts / "model", "--normal", parts / "good", "--abnormal", bad)
    code, _, err = call(*command)
    assert code == 0
    assert "warning: ignored 1 file of another type: 1 .doc\\x1b\n" in err
    assert err.count("ignored") == 1


def test_images_that_are_named_twice_are_evaluated_once(parts: Path) -> None:
    command = ["evaluate", parts / "model.onnx", "--abnormal", parts / "bad", "--json"]
    command += 2 * ["--normal", parts / "good"]
    code, out, err = call(*command)
    assert code == 0
    assert json.loads(out)["n_normal"] == len(list((parts / "good").iterdir()))
    assert f"warning: {parts / 'good'}: named more than once, taken once" in err


def test_calibrate_changes_the_threshold_and_the_colours_alone(parts: Path, tmp_path: Path) -> None:
    target = tmp_path / "calibrated"
    code, _, err = call("calibrate", parts / "model", parts / "good", "-o", target, "--fpr", "0.2")
    assert code == 0
    assert "63 calibration normals" in err
    assert "the old one on" not in err
    before, after = (tensor_file.read(path) for path in (parts / "model", target))
    assert after[1]["threshold"]["fpr"] == 0.2
    assert after[1]["threshold"]["method"] == "calibration"
    assert after[1]["map_scale"]["threshold"] == after[1]["threshold"]["value"]
    for moved in ("threshold", "map_scale"):
        before[1][moved] = after[1][moved]
    before[1]["training"].pop("sensitivity")  # counted at the threshold before
    assert before[1] == after[1]
    assert all((before[0][name] == after[0][name]).all() for name in before[0])


def test_calibrate_checks_the_rate_before_the_work(parts: Path) -> None:
    code, _, err = call("calibrate", parts / "model", parts / "train", "--fpr", "2")
    assert (code, err) == (2, "adacl: --fpr: need a rate between 0 and 1, got 2.0\n")


def test_calibrate_warns_of_fewer_images_and_of_those_seen_in_fit(
    parts: Path, tmp_path: Path
) -> None:
    command = ("calibrate", parts / "model", "-o", tmp_path / "x")
    err = refused(3, *command, parts / "train")
    assert "all of these images were used in fitting" in err
    assert not (tmp_path / "x").exists()
    alone = call(*command, parts / "good")[2]
    rests = "warning: the new threshold rests on 63 normals, the old one on 120 normals: with 95%"
    assert f"{rests} confidence at most 4.6% of new normal images are flagged, before 2.5%" in alone
    assert "keep the old file (-o)" in alone
    both = call(*command, parts / "good", parts / "train")[2]
    assert "120 of these images were used in fitting; they are left out" in both
    assert alone.splitlines()[-3:] == both.splitlines()[-3:]


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
    assert "fold" not in err
    assert call("fit", parts / "train", *options, "-q")[2] == ""


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_a_resumable_state_and_resuming_changes_nothing(
    parts: Path, tmp_path: Path, number: signal.Signals
) -> None:
    options = ["--epochs", "12", "--set", "training.min_epoch_images=512", "--set",
               "threshold.folds=2", "--set", "training.patience=12", "--set",
               "network.channels=[4, 8]", "--set", "network.hidden=8"]  # fmt: skip
    target = tmp_path / "m"
    command = [sys.executable, "-m", "adacl", "fit", str(parts / "train"), "-o", str(target)]
    process = subprocess.Popen(
        [*command, *options],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "m.resume" / "network.ckpt").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"interrupted; not written: {target}; repeat the command with --resume" in err
    assert "Traceback" not in err
    assert not target.exists()

    assert "--resume" in refused(3, "fit", parts / "train", "-o", target, *options)
    other = ["fit", parts / "train", "-o", target, *options, "--seed", "5", "--resume"]
    assert "other data or settings" in refused(4, *other)
    begins = "is there to continue; this one begins anew"
    code, _, err = call("fit", parts / "train", "-o", target, *options, "--resume")
    assert (code, begins in err) == (0, False)
    assert not (tmp_path / "m.resume").exists()
    undisturbed = ["fit", parts / "train", "-o", tmp_path / "undisturbed", *options]
    code, _, err = call(*undisturbed, "--resume")
    assert (code, begins in err) == (0, True)
    assert target.read_bytes() == (tmp_path / "undisturbed").read_bytes()


STOPPED = """
import os, signal
from adacl.cli.support.interrupts import end_on_sigterm, until_stopped

end_on_sigterm()
before, written = signal.getsignal(signal.SIGTERM), []
for number in until_stopped(iter(range(9))):
    if number == 3:
        os.kill(os.getpid(), signal.SIGTERM)
    written.append(number)
assert written == [0, 1, 2, 3]
assert signal.getsignal(signal.SIGTERM) is before
assert list(until_stopped(iter(range(3)))) == [0, 1, 2]
stream = until_stopped(iter(range(9)))
next(stream)
os.kill(os.getpid(), signal.SIGTERM)
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("stopped at once")
"""


def test_a_stream_is_stopped_between_two_records_and_a_second_signal_stops_those() -> None:
    """Whatever is being written when the signal comes."""
    run = [
        sys.executable,
        "-c",
        f"import signal\nsignal.signal(2, signal.default_int_handler){STOPPED}",
    ]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "stopped at once\n"), done.stderr


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_interrupted_commands_say_what_was_not_written(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, records, new = (tmp_path / name for name in ("page.html", "records.txt", "new"))
    score = ["score", parts / "model", parts / "good"]
    evaluate = [
        "evaluate",
        parts / "model",
        "--normal",
        parts / "good",
        "--abnormal",
        parts / "bad",
    ]
    with monkeypatch.context() as patch:
        patch.setattr("adacl.cli.score.report_scores", interrupt)
        patch.setattr("adacl.cli.evaluate.report_scores", interrupt)
        for command in (score, evaluate):
            assert refused(130, *command, "--report", page).endswith(f"not written: {page}")
        assert records.name not in refused(130, *score, "--report", page, "-o", records)
        assert records.exists()
    with monkeypatch.context() as patch:
        patch.setattr("adacl.cli.score.write_records", interrupt)
        assert refused(130, *score) == "adacl: interrupted"
        message = refused(130, *score, "--report", page, "-o", records)
        assert message == f"adacl: interrupted; not written: {records}, {page}"
    monkeypatch.setattr("adacl.deploy.export.export_model", interrupt)
    monkeypatch.setattr("adacl.image_detector.ImageDetector.from_model", interrupt)
    monkeypatch.setattr("adacl.deploy.opening.read_header", interrupt)
    for command in (["export", parts / "model", page.with_suffix(".onnx")],
                    ["calibrate", parts / "model", parts / "good", "-o", new]):  # fmt: skip
        assert refused(130, *command).endswith(f"not written: {command[-1]}")
    assert refused(130, "info", parts / "model") == "adacl: interrupted"


def test_an_interrupt_while_python_ends_changes_nothing(parts: Path) -> None:
    code = (
        "import atexit, os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        f"sys.argv = ['adacl', 'info', {str(parts / 'model')!r}]\n"
        "from adacl.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--preset", "best"], "accurate, aligned, inspect, paper, varied, video"),
        (["--image-size", "4x4"], "HEIGHTxWIDTH"),
        (["--image-size", "a"], "HEIGHTxWIDTH"),
        (["--tile", "64x"], "HEIGHTxWIDTH"),
        (["--tile", "16x16", "--stride", "20"], "stride"),
        (["--tile", "16x16", "--top-k", "0"], "top_k"),
        (["--fpr", "0"], "threshold.fpr"),
        (["--fpr", "1.5"], "threshold.fpr"),
        (["--epochs", "0"], "epochs"),
        (["--seed", "-1"], "seed"),
        (["--device", "tpu"], "device"),
        (["--drop", "blur"], "not in use"),
        (["--set", "training.epochs"], "section.name=value"),
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


def test_usage_errors_name_the_help_of_the_command(parts: Path) -> None:
    assert refused(2, "fit").endswith("(see adacl fit --help)")
    assert refused(2, "fit", parts, "-o", parts / "x", "--tile", "a").endswith("adacl fit --help)")
    assert refused(2, "video", "score").endswith("(see adacl video score --help)")
    assert refused(2, "paint").endswith("(see adacl --help)")


def test_wrong_places_are_refused(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    model = parts / "model"
    assert "no such file" in refused(3, "fit", tmp_path / "none", "-o", tmp_path / "m")
    message = refused(3, "fit", tmp_path / "empty", "-o", tmp_path / "m")
    assert "no images found" in message
    assert "adacl video fit" not in message
    film = tmp_path / "films" / "monday" / "door.mp4"
    film.parent.mkdir(parents=True)
    film.write_bytes(b"film")
    for source in (film, tmp_path / "films"):
        assert "adacl video fit" in refused(3, "fit", source, "-o", tmp_path / "m")
        for command in (
            ("score", model, source),
            ("explain", model, source),
            ("evaluate", model, "--normal", parts / "good", "--abnormal", source),
        ):
            assert "for videos use adacl video fit, score, " in refused(3, *command)
    assert "is a folder" in refused(3, "fit", parts / "train", "-o", tmp_path)
    assert "does not exist" in refused(3, "fit", parts / "train", "-o", tmp_path / "a" / "m")
    assert "no such configuration" in refused(
        3, "fit", parts / "train", "-o", tmp_path / "m", "--config", tmp_path / "none.toml"
    )
    assert "no such file" in refused(3, "score", tmp_path / "none", parts / "good")
    assert "no such file" in refused(3, "score", model, tmp_path / "none")
    assert "does not exist" in refused(3, "score", model, parts, "-o", tmp_path / "a" / "b")
    assert "no images found" in refused(
        3, "evaluate", model, "--normal", tmp_path / "empty", "--abnormal", parts / "bad"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "films"}


def test_normal_and_anomalous_images_must_differ(parts: Path) -> None:
    model, good = parts / "model", parts / "good"
    for bad in (good, parts, good / "000.png", parts / "bad" / ".." / "good"):
        message = refused(
            2, "evaluate", model, "--normal", parts / "train", "--normal", good, "--abnormal", bad
        )
        assert f"--normal {good if bad != parts else parts / 'train'} " in message
        assert f"--abnormal {bad}: images would count as both" in message


def test_an_exported_file_is_named_as_one(parts: Path, tmp_path: Path) -> None:
    message = refused(2, "export", parts / "model", tmp_path / "model.txt")
    assert "model.txt: is an ONNX file; give it a name that ends in .onnx" in message


def test_too_few_images(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    for name in ("000.png", "001.png", "002.png"):
        shutil.copy(parts / "train" / name, tmp_path / "few")
    message = refused(3, "fit", tmp_path / "few", "-o", tmp_path / "m")
    assert "at least 4 normal images" in message


def test_broken_images_are_named_and_skipped_or_refused(parts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(parts / "good", folder)
    whole = (folder / "000.png").read_bytes()
    (folder / "a-text.png").write_text("not an image")
    (folder / "b-empty.jpg").write_bytes(b"")
    (folder / "c-cut.png").write_bytes(whole[: len(whole) // 2])
    code, out, err = call("score", parts / "model", folder, "--format", "jsonl")
    assert code == 0
    assert len(out.splitlines()) == 63
    for name in ("a-text.png", "b-empty.jpg", "c-cut.png"):
        assert name in err
    assert "3 of 66 images were skipped" in err
    assert "a-text.png" in refused(
        3, "score", parts / "model", folder, "--on-error", "fail", "-o", tmp_path / "out"
    )
    assert not (tmp_path / "out").exists()
    assert "a-text.png" in refused(3, "fit", folder, "-o", tmp_path / "m", "--on-error", "fail")
    code, _, err = call("fit", folder, "-o", tmp_path / "m", *QUICK)
    assert code == 0
    assert "3 of 66 images were skipped" in err


def test_only_broken_images(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("not an image")
    assert "can be read" in refused(3, "fit", tmp_path, "-o", tmp_path / "m")
    assert "can be read" in refused(
        3, "evaluate", parts / "model", "--normal", tmp_path, "--abnormal", parts / "bad"
    )
    assert "can be read" in refused(3, "calibrate", parts / "model", tmp_path, "-o", tmp_path / "m")


def test_files_without_permission_are_errors_of_data(parts: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        model, closed, image = (Path(folder) / name for name in ("model", "closed", "closed.png"))
        shutil.copy(parts / "model", model)
        shutil.copy(parts / "model", closed)
        shutil.copy(next((parts / "good").iterdir()), image)
        assert call("score", model, image)[0] == 0
        for path in (closed, image):
            path.chmod(0)
        commands = {("info", closed): closed, ("score", closed, image): closed}
        commands[("score", model, image)] = image
        with without_rights():
            for command, named in commands.items():
                assert f"adacl: {named}: cannot be read (Permission denied)" in refused(3, *command)


def test_links_that_lead_back_and_pipes_are_named_and_passed_over(
    parts: Path, tmp_path: Path
) -> None:
    shutil.copytree(parts / "good", tmp_path / "in")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    os.mkfifo(tmp_path / "in" / "pipe.png")
    code, out, err = call("score", parts / "model", tmp_path / "in")
    assert code == 0
    assert len(out.splitlines()) == len(list((parts / "good").iterdir())) + 1
    assert "again: this link leads back to a folder above it" in err
    assert "pipe.png: cannot be read (a pipe, not a file)" in err


def test_unsound_models_are_refused(parts: Path, tmp_path: Path) -> None:
    content = (parts / "model").read_bytes()
    model = tmp_path / "model"
    for damaged in (b"", b"x" * 100, content[:-1], content[: len(content) // 2]):
        model.write_bytes(damaged)
        for command in (("info", model), ("score", model, parts / "good")):
            assert str(model) in refused(4, *command)


def test_full_disk_leaves_the_old_file(parts: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    command = [sys.executable, "-m", "adacl", "score", parts / "model.onnx", parts / "good"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_colour_and_no_progress_when_not_a_terminal(parts: Path) -> None:
    environment = os.environ | {"NO_COLOR": "1"}
    command = [sys.executable, "-m", "adacl", "score", parts / "model.onnx", parts / "good"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert "\x1b" not in done.stdout + done.stderr


def test_tiles_name_the_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "large"
    folder.mkdir()
    stripes = np.indices((64, 96))[1] % 16 * 8 + 60
    for number in range(24):
        pixels = (stripes + rng.integers(0, 8, stripes.shape)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    pixels[40:56, 66:82] = stripes[40:56, 66:82].T[:16, :16]
    Image.fromarray(pixels).save(tmp_path / "defect.png")
    model = tmp_path / "m"
    quick = ["--set", "training.min_epoch_images=1024", "--set", "threshold.folds=2"]
    quick += ["--set", "network.channels=[8, 16]", "--set", "network.hidden=16"]
    call("fit", folder, "-o", model, "--tile", "32x32", "--epochs", "3", *quick, "-q")
    _, out, _ = call("score", model, tmp_path / "defect.png", "--format", "jsonl")
    assert json.loads(out)["tile"] == [32, 64]
    assert "32 x 32" in call("info", model)[1]


def test_doctor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADACL_DATA", str(tmp_path))
    code, out, _ = call("doctor", "--json")
    findings = {finding["topic"]: finding for finding in json.loads(out)}
    assert code == 0
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = project["optional-dependencies"]
    for developers in ("campaign", "dev", "docs"):
        del wanted[developers]
    for extra, requirements in wanted.items():
        finding = findings.pop(f"extra {extra}")
        assert finding["ok"] is ("missing" not in finding["found"])
        for requirement in requirements:
            package = re.match("[a-z0-9-]+", requirement)[0]
            assert package in {"adacl", "uvloop"} or package in finding["found"].replace("_", "-")
    assert not [topic for topic in findings if topic.startswith("extra")]
    assert not findings["data mnist"]["ok"]
    assert "adacl data fetch mnist" in findings["data mnist"]["found"]


def test_doctor_tells_of_folders_that_cannot_be_used_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setenv("ADACL_DATA", str(tmp_path / ("x" * 300)))
    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    code, out, err = call("doctor", "--json")
    findings = {finding["topic"]: finding for finding in json.loads(out)}
    assert (code, err) == (0, "")
    for topic, words in (("temporary space", "No usable"), ("data cifar10", "cannot be read")):
        assert not findings[topic]["ok"]
        assert words in findings[topic]["found"]


def test_data_without_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADACL_DATA", str(tmp_path))
    listed = json.loads(call("data", "list", "--json")[1])
    assert [row["files_present"] for row in listed] == [0, 0, 0]
    code, out, err = call("data", "verify", "mnist")
    assert code == 3
    assert "missing" in out
    assert "adacl data fetch" in err
    assert "put" in refused(3, "data", "export", "mnist", "3", tmp_path / "out")
    assert "class '10'" in refused(2, "data", "export", "mnist", "10", tmp_path / "out")
    assert "known are" in refused(2, "data", "fetch", "imagenet")
    assert not (tmp_path / "out").exists()


def test_an_export_of_data_that_fails_leaves_nothing_and_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    images, labels = np.zeros((4, 8, 8, 1), np.uint8), np.array([3, 3, 1, 2])
    monkeypatch.setattr("adacl.datasets.fetch.fetch", lambda *_: [])
    monkeypatch.setattr("adacl.datasets.catalogue.load", lambda *_: (images, labels))
    command = ["data", "export", "mnist", "3", tmp_path / "out"]
    with monkeypatch.context() as broken:
        broken.setattr(Image.Image, "save", full_disk)
        said = refused(3, *command)
    assert f"{tmp_path / 'out' / 'train'}: cannot be written (No space left on device)" in said
    assert not list(tmp_path.iterdir())
    assert call(*command)[0] == 0
    assert len(list((tmp_path / "out").rglob("*.png"))) == 6


def test_scores_are_not_written_as_text_into_a_file_named_parquet(
    parts: Path, tmp_path: Path
) -> None:
    said = refused(2, "score", parts / "model", parts / "good", "-o", tmp_path / "x.parquet")
    assert "x.parquet: would hold text" in said
    assert not list(tmp_path.iterdir())


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_demo_writes_a_report_and_touches_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adacl.cli.demo.EPOCHS", 2)
    quick = {"training__min_epoch_images": 256, "threshold__folds": 2}
    small = {"network__channels": [4, 8], "network__hidden": 8}
    monkeypatch.setitem(PRESETS, "paper", preset("paper").replace(**quick, **small))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("keep")
    assert "holds other files" in refused(3, "demo", "-o", tmp_path / "mine")
    for _ in range(2):
        code, out, _ = call("demo", "-o", tmp_path / "demo", "-q")
        assert code == 0
    assert "AUROC" in out
    page = (tmp_path / "demo" / "report.html").read_text()
    assert "Digit 3 against the rest" in page
    assert "adacl evaluate" in page
    assert not re.search(r"""<[^>]* (src|href)=["'](?!data:|#)""", page)


@pytest.mark.realdata
def test_main_job_on_mnist(data_dir: Path, tmp_path: Path) -> None:
    three = tmp_path / "three"
    assert call("data", "export", "mnist", "3", three, "--data-dir", data_dir)[0] == 0
    model = tmp_path / "m"
    code, _, err = call("fit", three / "train", "-o", model, "--epochs", "2")
    assert code == 0
    assert "613 normals kept out" in err
    _, out, _ = call(
        "evaluate", model, "--normal", three / "test/normal", "--abnormal", three / "test/abnormal",
        "--json",
    )  # fmt: skip
    result = json.loads(out)
    assert (result["n_normal"], result["n_abnormal"]) == (1010, 8990)
    assert result["auroc"] > 0.93
    assert result["n_seen_in_fit"] == 0


def test_records_and_models_replace_no_image(parts: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(parts / "good", tmp_path / "good"))
    image = sorted(folder.iterdir())[0]
    before = image.read_bytes()
    for command in (
        ("score", parts / "model.onnx", folder, "--format", "csv", "-o", image),
        ("calibrate", parts / "model", folder, "-o", image),
        ("fit", folder, "-o", image),
    ):
        assert "is an image, which would be replaced" in refused(2, *command)
    assert image.read_bytes() == before


def test_outputs_replace_no_file_of_another_kind(parts: Path, tmp_path: Path) -> None:
    model, exported = parts / "model", parts / "model.onnx"
    good, bad = parts / "good", parts / "bad"
    files = {name: tmp_path / name for name in ("a.csv", "a.mp4", "a.toml", "other", "other.onnx")}
    for path in files.values():
        path.write_text(f"path\n{good / '000.png'}\n")
    shutil.copy(model, files["other"])
    shutil.copy(exported, files["other.onnx"])
    before = {path: path.read_bytes() for path in files.values()}
    for word, command in (
        ("a list or table", ("fit", files["a.csv"], "-o", files["a.csv"])),
        ("a video", ("fit", good, "-o", files["a.mp4"])),
        ("a file of settings", ("fit", good, "-o", files["a.toml"])),
        ("an exported file", ("calibrate", model, good, "-o", files["other.onnx"])),
        ("a model file", ("score", model, bad, "-o", files["other"])),
        ("an exported file", ("score", exported, bad, "-o", files["other.onnx"])),
        ("a video", ("score", exported, bad, "--format", "csv", "-o", files["a.mp4"])),
        ("a model file", ("export", model, files["other"])),
    ):
        assert f"is {word}, which would be replaced; name another output" in refused(2, *command)
    assert before == {path: path.read_bytes() for path in files.values()}
    assert call("score", exported, bad, "-o", files["a.csv"])[0] == 0


def test_explain_replaces_no_picture_that_adacl_did_not_write(parts: Path, tmp_path: Path) -> None:
    first, second = sorted((parts / "bad").iterdir())[:2]
    taken, free = tmp_path / "taken.png", tmp_path / "free.png"
    shutil.copy(first, taken)
    message = refused(2, "explain", parts / "model.onnx", second, "-o", taken)
    assert "is there, and is no picture that adacl wrote" in message
    assert taken.read_bytes() == first.read_bytes()
    for image in (first, second):
        assert call("explain", parts / "model.onnx", image, "-o", free)[0] == 0


def test_heat_maps_never_lie_among_the_images(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("good", "bad"):
        shutil.copytree(parts / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    model, images = parts / "model.onnx", [Path("good/000.png"), sorted(Path("bad").iterdir())[0]]
    before = sorted(tmp_path.rglob("*"))
    for command in (
        ("explain", model, *images),
        ("explain", model, "good", "bad"),
        ("score", model, "good", "bad", "--heatmaps", "."),
    ):
        assert "where heat maps would be scored as images" in refused(2, *command)
    (tmp_path / "file").touch()
    message = refused(2, "score", model, "good", "--heatmaps", "file")
    assert "is a file, but a folder of maps is to be written; name a folder" in message
    (tmp_path / "file").unlink()
    assert sorted(tmp_path.rglob("*")) == before
    assert call("explain", model, *images, "-o", "maps")[0] == 0
    assert call("explain", model, images[0])[0] == 0
    assert Path("000.png.heatmap.png").is_file()


def test_evaluate_warns_of_images_that_are_normal_and_anomalous(
    parts: Path, tmp_path: Path
) -> None:
    both = Path(shutil.copytree(parts / "bad", tmp_path / "both"))
    shutil.copy(sorted((parts / "good").iterdir())[0], both / "copy.png")
    code, _, err = call("evaluate", parts / "model", "--normal", parts / "good", "--abnormal", both)
    assert code == 0, err
    assert "1 of the anomalous images is also among the normal ones, the first" in err
    assert "copy.png" in err


def test_an_image_that_is_named_twice_is_scored_once(parts: Path, tmp_path: Path) -> None:
    image = parts / "good" / "000.png"
    for named in ([image, image], [parts / "good", image], [image, parts / "good"]):
        code, out, err = call("score", parts / "model.onnx", *named, "--format", "jsonl")
        assert code == 0, err
        paths = [json.loads(line)["image_path"] for line in out.splitlines()]
        assert paths.count(str(image)) == 1
        assert len(set(paths)) == len(paths)
        assert f"warning: {image}: named more than once, taken once" in err
    code, out, err = call("explain", parts / "model", image, image, "-o", tmp_path / "x.png")
    assert code == 0, err
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize(("threshold", "few"), [(40, "hardly anything"), (-1, "nearly everything")])
def test_a_threshold_that_is_no_score_is_remarked_on(
    parts: Path, threshold: float, few: str
) -> None:
    command = ["score", parts / "model.onnx", parts / "good", "-q", "--threshold"]
    code, _, err = call(*command, threshold)
    assert code == 0, err
    assert f"warning: --threshold {threshold}: scores lie in [0, 1]" in err
    assert f"{few} may be flagged" in err
    for within in (0, 0.4, 1):
        assert call(*command, within)[2] == ""


SIGNALLED_TWICE = """
import os, signal, sys
from adacl import cli
from adacl.cli.support.interrupts import interruptible

def work():
    try:
        yield
    finally:
        os.kill(os.getpid(), signal.SIGTERM)

@cli.app.command("wait")
def wait():
    with interruptible([]):
        items = work()
        next(items)
        os.kill(os.getpid(), signal.SIGTERM)

sys.argv = ["adacl", "wait"]
cli.main()
"""


def test_a_second_signal_does_not_disturb_the_end() -> None:
    """As `timeout` sends it, while what reads files ahead is being closed."""
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED_TWICE], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (130, "adacl: interrupted\n")
