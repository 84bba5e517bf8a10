"""``adacl evaluate``, as a user meets it: its figures, and what it warns of."""

import json
import re
import resource
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adacl.protocols.inspection import smallest
from support.helpers import call, refused


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


def test_evaluate_warns_of_images_seen_in_fit(parts: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    folders = ["--normal", parts / "train", "--abnormal", parts / "bad"]
    code, out, err = call("evaluate", parts / "model", *folders, "--report", page)
    assert code == 0
    assert "AUROC" in out
    assert "120 of these images were used in fitting" in err
    fault = "120 of these images were used in fitting, so the figures are too good"
    assert fault in err
    assert f"{fault}. Next: " in page.read_text()


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
    # -B: the limit would cut the bytecode of what is imported for the first time, for good.
    command = [sys.executable, "-B", "-m", "adacl", "evaluate", parts / "model.onnx", "--normal"]
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


def test_a_defect_that_fits_in_few_images_is_not_called_found(
    parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = smallest.Found("spot", 32, 0.4, found=1, n=1)
    monkeypatch.setattr(smallest, "find_smallest", lambda *_: ([few], 0.1))
    command = ("evaluate", parts / "model", "--planted", parts / "good", "--threshold", 1)
    code, out, err = call(*command)
    assert code == 0, err
    assert out.endswith("none of these defects is found in at least 9 of 10 images\n")


def test_defects_are_planted_in_each_image_once(parts: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted((parts / "good").iterdir())[:6]:
        shutil.copy(path, few)
    command = ("evaluate", parts / "model", "--planted", few, "--threshold", 9)
    _, out, err = call(*command, "--planted", few)
    assert f"{few}: named more than once, taken once" in err
    assert out.endswith("planted in 6 images only: too few to say what is found nearly always\n")
    shutil.copy(path, few / "copy.png")
    assert "7 normal images, 6 distinct: the figures count every copy" in call(*command)[2]


def test_names_and_texts_on_stdout_steer_no_terminal(parts: Path, tmp_path: Path) -> None:
    for name in ("no\x1b[31mtch", "spot\n"):
        shutil.copytree(parts / "bad", tmp_path / "bad" / name)
    out = call("evaluate", parts / "model", "--normal", parts / "good", "--abnormal",
               tmp_path / "bad")[1]  # fmt: skip
    assert re.search(r"^  no\\x1b\[31mtch  AUROC 0", out, re.MULTILINE)
    assert re.search(r"^  spot\\n         AUROC 0", out, re.MULTILINE)
    model = tmp_path / "m.onnx"
    assert call("export", parts / "model", model, "--licence", "own\x1b[2Jer")[0] == 0
    assert "licence         own\\x1b[2Jer\n" in call("info", model)[1]


def test_images_that_are_named_twice_are_evaluated_once(parts: Path) -> None:
    command = ["evaluate", parts / "model.onnx", "--abnormal", parts / "bad", "--json"]
    command += 2 * ["--normal", parts / "good"]
    code, out, err = call(*command)
    assert code == 0
    assert json.loads(out)["n_normal"] == len(list((parts / "good").iterdir()))
    assert f"warning: {parts / 'good'}: named more than once, taken once" in err


def test_normal_and_anomalous_images_must_differ(parts: Path) -> None:
    model, good = parts / "model", parts / "good"
    for bad in (good, parts, good / "000.png", parts / "bad" / ".." / "good"):
        message = refused(
            2, "evaluate", model, "--normal", parts / "train", "--normal", good, "--abnormal", bad
        )
        assert f"--normal {good if bad != parts else parts / 'train'} " in message
        assert f"--abnormal {bad}: images would count as both" in message


@pytest.mark.realdata
def test_main_job_on_mnist(data_dir: Path, tmp_path: Path) -> None:
    three = tmp_path / "three"
    assert call("data", "export", "mnist", "3", three, "--data-dir", data_dir)[0] == 0
    others = sorted((three / "test/abnormal").iterdir())
    for path in set(others) - set(others[::8]):
        path.unlink()
    model = tmp_path / "m"
    code, _, err = call("fit", three / "train", "-o", model, "--epochs", "2")
    assert code == 0
    assert "613 normals kept out" in err
    _, out, _ = call(
        "evaluate", model, "--normal", three / "test/normal", "--abnormal", three / "test/abnormal",
        "--json",
    )  # fmt: skip
    result = json.loads(out)
    assert (result["n_normal"], result["n_abnormal"]) == (1010, 1124)
    assert result["auroc"] > 0.93
    assert result["n_seen_in_fit"] == 0


def test_evaluate_warns_of_images_that_are_normal_and_anomalous(
    parts: Path, tmp_path: Path
) -> None:
    both = Path(shutil.copytree(parts / "bad", tmp_path / "both"))
    shutil.copy(sorted((parts / "good").iterdir())[0], both / "copy.png")
    code, _, err = call("evaluate", parts / "model", "--normal", parts / "good", "--abnormal", both)
    assert code == 0, err
    assert "1 of the anomalous images is also among the normal ones, the first" in err
    assert "copy.png" in err
