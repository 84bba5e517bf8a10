"""What the campaign's scripts share: a small set of images, the commands, their outcome."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

SIDE = 32
FIT = ["--preset", "paper", "--epochs", "3", "--device", "cpu"]
FIT += ["--set", "training.min_epoch_images=512", "--set", "network.channels=[8,16]"]
SMALL = ["--set", "training.min_epoch_images=64", "--device", "cpu"]
TINY = ["--preset", "paper", *SMALL, "--set", "network.channels=[4,8]", "--set", "network.hidden=8"]
ONE = ["--set", "threshold.folds=1"]  # with so few images there is cross-fitting otherwise

TINY_TOML = """
preset = "paper"
[training]
min_epoch_images = 64
[network]
channels = [4, 8]
hidden = 8
[threshold]
folds = 1
"""


def textures(count: int, seed: int = 0) -> np.ndarray:
    """Return grey textures N x SIDE x SIDE."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(count, SIDE, SIDE)), (0, 2, 2))
    return (128 + 400 * smooth).clip(0, 255).astype(np.uint8)


def write_textures(folder: Path, count: int, seed: int = 0) -> Path:
    """Write textures as PNG files."""
    folder.mkdir(parents=True)
    for number, image in enumerate(textures(count, seed)):
        Image.fromarray(image).save(folder / f"{number:03d}.png")
    return folder


def command(*arguments: object) -> list[str]:
    """Return a command line of adacl."""
    return [sys.executable, "-m", "adacl", *map(str, arguments)]


def run(
    *arguments: object, before: Callable[[], None] | None = None, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run a command of adacl to its end."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        errors="backslashreplace",
        timeout=timeout,
        preexec_fn=before,
        # A limit of files would cut bytecode that is written, for good.
        env={**os.environ, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )


def earlier(path: Path) -> dict[str, Any]:
    """Return what a file of results holds already, to which a run of other parts is added."""
    return dict(json.loads(path.read_text())["results"]) if path.exists() else {}


def peak_mib() -> float:
    """Return the largest memory of the children that have ended, in MiB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def forked(said: Path, *arguments: object) -> int:
    """Start a command of adacl in a copy of this process, and return its number.

    PyTorch is loaded before, once for all copies. What the command says is added to a file.
    """
    import torch  # noqa: F401

    from adacl.cli import main

    process = os.fork()
    if process:
        return process
    code = 1
    try:
        with said.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.argv = ["adacl", *map(str, arguments)]
        main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    finally:
        os._exit(code)
