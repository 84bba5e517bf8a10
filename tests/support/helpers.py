"""What several test files share and fixtures cannot give."""

import contextlib
import io
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from adacl import cli
from adacl.config import Config

REPOSITORY = next(p for p in Path(__file__).parents if (p / "pyproject.toml").is_file())

TINY = Config().replace(
    training__epochs=1,
    training__min_epoch_images=64,
    training__batch_size=64,
    network__channels=[4, 8],
    network__hidden=8,
    threshold__folds=2,
)
"""Trains in hundredths of a second; too small to learn much."""

LEARNING = TINY.replace(
    training__epochs=5,
    training__min_epoch_images=1024,
    training__batch_size=32,
    network__channels=[8, 16],
    network__hidden=16,
)
"""Trains in about a second, and learns handwritten digits."""


QUICK = ["--epochs", "1", "--set", "training.min_epoch_images=64", "--set", "threshold.folds=2"]
"""Options of an ``adacl fit`` that ends soon, of whole images."""


def write_images(folder: Path, images: np.ndarray, suffix: str = ".png") -> list[Path]:
    """Write uint8 images N x H x W (x 3) as files named so that their order is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}{suffix}" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


def write_cell(folder: Path, name: str, result: dict[str, object]) -> None:
    """Add a finished cell to a grid."""
    with (folder / "cells.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"cell": name, **result}) + "\n")


def slow_square(x: int, delay: float) -> dict[str, int]:
    """A cell of a grid that takes its time; other processes import it from here."""
    time.sleep(delay)
    return {"x": x, "square": x * x}


def call(*arguments: object) -> tuple[int, str, str]:
    """Run the command line in this process; return exit code, stdout and stderr."""
    out, err, before = io.StringIO(), io.StringIO(), (sys.argv, sys.stdout, sys.stderr)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    sys.argv = ["adacl", *map(str, arguments)]
    sys.stdout, sys.stderr = out, err
    try:
        cli.main()
    except SystemExit as leaving:
        return int(leaving.code or 0), out.getvalue(), err.getvalue()
    finally:
        sys.argv, sys.stdout, sys.stderr = before
        for number, handler in handlers.items():
            signal.signal(number, handler)
    raise AssertionError("main() must leave by SystemExit")


def refused(code: int, *arguments: object) -> str:
    """Run a command that must fail with ``code`` and one or two lines, and return them."""
    found, _, err = call(*arguments)
    assert found == code, err
    assert "Traceback" not in err
    message = [line for line in err.splitlines() if line.startswith("adacl: ")]
    assert 1 <= len(message) <= 2
    return " ".join(message)


@contextlib.contextmanager
def without_rights() -> Iterator[None]:
    """Be a user for whom the rights of files count, if it is root who runs the tests."""
    user = os.getuid()
    if user == 0:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        if user == 0:
            os.setresuid(0, 0, 0)
