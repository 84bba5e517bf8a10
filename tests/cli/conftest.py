"""A model of real digits, which tests of commands share."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from support.helpers import call


def write_digits(folder: Path, images: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        pixels = (image * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).resize((16, 16)).save(folder / f"{number:03d}.png")


@pytest.fixture(scope="session")
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
    command += ["--set", "network.channels=[8, 16]", "--set", "network.hidden=16"]
    assert call(*command)[0] == 0
    assert call("export", root / "model", root / "model.onnx")[0] == 0
    return root
