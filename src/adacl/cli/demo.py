"""``adacl demo``: one handwritten digit is normal, the others are not."""

from __future__ import annotations

import shlex
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from adacl.cli.support import options
from adacl.cli.support.progress import count, epochs, messages
from adacl.errors import DataError

__all__ = ["demo"]

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
    """Learn one handwritten digit and find the others, in under a minute.

    The digits come with scikit-learn. They are written as folders of PNG files; a model is
    fitted on the normal ones; a report shows how well it finds the rest.
    """
    with messages(quiet):
        typer.echo(_run(output, digit, seed, quiet))


def _run(folder: Path, digit: int, seed: int, quiet: bool) -> str:
    """Write the digits, fit, score and evaluate, and write the report.

    Parameters
    ----------
    folder
        Folder to write into: ``good``, ``test/good``, ``test/bad``, the model, the report.
    digit
        The normal digit.
    seed
        Decides the split of the normal digits, and the training.
    quiet
        Whether to leave out progress.

    Returns
    -------
    str
        What was found, in a few lines.

    Raises
    ------
    DataError
        If the folder holds something that this did not write.
    """
    from sklearn.datasets import load_digits

    from adacl.data.folders import list_images
    from adacl.datasets.as_folders import write_images
    from adacl.detector import AnomalyDetector
    from adacl.metrics import evaluation
    from adacl.model.file import read_model
    from adacl.report.page import write_report
    from adacl.report.subject import Subject
    from adacl.report.tally import Gathering

    started = time.perf_counter()
    _prepare(folder)
    digits = load_digits()
    images = np.stack([_enlarge(image) for image in digits.images])
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(digits.target == digit))
    held_out = len(normal) // TEST_SHARE
    parts = {
        "good": normal[held_out:],
        "test/good": normal[:held_out],
        "test/bad": np.flatnonzero(digits.target != digit),
    }
    for name, places in parts.items():
        names = [f"{digits.target[place]}-{place:04d}" for place in places]
        write_images(images[places], names, folder / name)

    with epochs(EPOCHS, quiet) as display:
        detector = AnomalyDetector(
            preset="paper", epochs=EPOCHS, random_state=seed, on_epoch=display
        )
        detector.fit(folder / "good")
    model_path = folder / "digits.adacl"
    detector.save(model_path)
    gathering = Gathering(detector.threshold_, detector.threshold_)
    good_files, bad_files = folder / "test/good", folder / "test/bad"
    good = list(gathering.watch(detector.score_files(list_images(good_files)), "normal"))
    bad = list(gathering.watch(detector.score_files(list_images(bad_files)), "anomalous"))
    figures = evaluation(
        [s.raw for s in good],
        [s.raw for s in bad],
        [s.raw > detector.threshold_ for s in good],
        [s.raw > detector.threshold_ for s in bad],
    )
    report = folder / "report.html"
    evaluate = ["adacl", "evaluate", str(model_path)]
    evaluate += ["--normal", str(good_files), "--abnormal", str(bad_files)]
    subject = Subject(
        title=f"Digit {digit} against the rest",
        story="evaluate",
        model_path=model_path,
        header=read_model(model_path)[0],
        scorer=detector,
        threshold=detector.model_.threshold,
        command=shlex.join(evaluate),
        again=evaluate,
    )
    write_report(report, subject, gathering, figures, partial(count, quiet=quiet))
    seconds = time.perf_counter() - started
    return (
        f"digit {digit} is normal, the others are anomalies: AUROC {figures['auroc']:.4f} on "
        f"{figures['n_normal']} normal and {figures['n_abnormal']} anomalous digits\n"
        f"at the threshold {detector.threshold_:.3f} (set from normals alone): "
        f"{figures['tpr']:.1%} of the anomalies found, {figures['fpr']:.1%} false alarms\n"
        f"done in {seconds:.0f} s; open {report}\n"
        "the same by hand:\n"
        f"  adacl fit {folder}/good -o parts.adacl --epochs {EPOCHS} --seed {seed}\n"
        f"  adacl score parts.adacl {folder}/test\n"
        f"  adacl evaluate parts.adacl --normal {folder}/test/good --abnormal {folder}/test/bad"
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
