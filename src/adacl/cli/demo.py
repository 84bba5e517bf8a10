"""``adacl demo``: one handwritten digit is normal, the others are not."""

from __future__ import annotations

import shlex
import shutil
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from adacl.cli.support import options
from adacl.cli.support.progress import epochs, messages
from adacl.cli.support.reports import gathering_for, report_scores
from adacl.errors import DataError

SIDE = 32
EPOCHS = 5
TEST_SHARE = 3
MARKER = ".adacl-demo"


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write.")
    ] = Path("demo"),
    digit: Annotated[int, typer.Option(min=0, max=9, help="The digit that is normal.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal results.")] = 0,
    quiet: options.Quiet = False,
) -> None:
    """Learn one handwritten digit and find the others, in a minute or two.

    The digits come with scikit-learn. They are written as folders of PNG files; a model is
    fitted on the normal ones; a report shows how well it finds the rest.
    """
    from sklearn.datasets import load_digits

    from adacl.data.folders import list_images
    from adacl.datasets.as_folders import write_images
    from adacl.image_detector import ImageDetector
    from adacl.metrics import evaluation

    started = time.perf_counter()
    _prepare(output)
    digits = load_digits()
    images = np.stack([_enlarge(image) for image in digits.images])
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(digits.target == digit))
    held_out = len(normal) // TEST_SHARE
    parts = {
        "good": normal[held_out:],
        "test/good": normal[:held_out],
        "test/bad": np.flatnonzero(digits.target != digit),
    }
    for name, numbers in parts.items():
        names = [f"{digits.target[number]}-{number:04d}" for number in numbers]
        write_images(images[numbers], names, output / name)

    model, report = output / "digits.adacl", output / "report.html"
    good_files, bad_files = output / "test/good", output / "test/bad"
    with messages(quiet):
        with epochs(EPOCHS, quiet) as display:
            detector = ImageDetector(
                preset="paper", epochs=EPOCHS, random_state=seed, on_epoch=display
            )
            detector.fit(output / "good").save(model)
        detector = ImageDetector.load(model)
        threshold = detector.model_.threshold
        gathering = gathering_for(threshold, threshold.value)
        good = list(gathering.watch(detector.score_files(list_images(good_files)), "normal"))
        bad = list(gathering.watch(detector.score_files(list_images(bad_files)), "anomalous"))
        figures = evaluation(
            [s.raw for s in good],
            [s.raw for s in bad],
            [s.raw > threshold.value for s in good],
            [s.raw > threshold.value for s in bad],
        )
        title = f"Digit {digit} against the rest"
        evaluate = ["adacl", "evaluate", str(model)]
        evaluate += ["--normal", str(good_files), "--abnormal", str(bad_files)]
        report_scores(
            report, detector, threshold, model, gathering, title, quiet, figures, evaluate
        )
    seconds = time.perf_counter() - started
    fit = ["adacl", "fit", str(output / "good"), "-o", "parts.adacl"]
    by_hand = [
        [*fit, "--epochs", str(EPOCHS), "--seed", str(seed)],
        ["adacl", "score", "parts.adacl", str(output / "test")],
        [*evaluate[:2], "parts.adacl", *evaluate[3:]],
    ]
    typer.echo(
        f"digit {digit} is normal, the others are anomalies: AUROC {figures['auroc']:.4f} on "
        f"{figures['n_normal']} normal and {figures['n_abnormal']} anomalous digits\n"
        f"at the threshold {threshold.value:.3f} (set from normals alone): "
        f"{figures['tpr']:.1%} of the anomalies found, {figures['fpr']:.1%} false alarms\n"
        f"done in {seconds:.0f} s; open {report}\n"
        "the same by hand:\n" + "\n".join(f"  {shlex.join(words)}" for words in by_hand)
    )


def _enlarge(image: np.ndarray) -> np.ndarray:
    """Turn an 8 x 8 digit with values 0 to 16 into 32 x 32 pixels of 8 bits."""
    from PIL import Image

    pixels = (image * 255 / 16).astype(np.uint8)
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _prepare(folder: Path) -> None:
    """Make the folder, or clear what an earlier demo wrote there, and nothing else."""
    marker = folder / MARKER
    if folder.is_dir() and any(folder.iterdir()) and not marker.exists():
        raise DataError(f"{folder}: holds other files; name a new folder with -o")
    try:
        for part in ("good", "test"):
            shutil.rmtree(folder / part, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        marker.touch()
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror})") from error
