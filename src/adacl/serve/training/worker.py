"""Train one model in a process of its own; prints what happens as JSON lines.

``python -m adacl.serve.training.worker FOLDER``, where the folder holds ``training.json`` and
``images``. It leaves ``model.adacl`` and ``model.onnx`` there. Its end is tied to its standard
input: when that closes, because whoever started it is gone, it stops.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adacl.config import Config
from adacl.deploy.export import export_model
from adacl.errors import AdaclError, DataError
from adacl.model.advice import advice
from adacl.model.history import EpochRecord
from adacl.serve.training.process import give_way
from adacl.serve.training.remedies import remedies

MOST = 4000
"""Characters of a note or an error; the service reads lines of 64 KiB, and some take 12 bytes."""

IMAGE = re.compile(r"\b(\d{6})\.png\b")
"""The name under which the service keeps an image, with its number, from 1."""


def main(folder: Path) -> int:
    """Train what a folder asks for, and return the exit code."""
    give_way()
    notes = Notes(folder)
    logging.getLogger("adacl").addHandler(notes)
    logging.getLogger("adacl").setLevel(logging.INFO)
    try:
        settings = json.loads((folder / "training.json").read_text())
        notes.names = settings["names"]
        _train(folder, settings)
    except AdaclError as error:
        _tell(error=notes.worded(str(error)))
        return error.exit_code
    except OSError as error:
        name = notes.worded(Path(error.filename or "").name) or "its folder"
        _tell(error=f"{name}: {error.strerror or error}; was its folder removed, or its disk?")
        return DataError.exit_code
    return 0


def _train(folder: Path, settings: dict[str, Any]) -> None:
    from adacl.image_detector import ImageDetector
    from adacl.training.splits import networks_to_train

    config = Config.from_dict(settings["config"], settings["explicit"])
    images = sorted((folder / "images").iterdir())
    _tell(stages=networks_to_train(len(images), config))
    detector = ImageDetector(
        config=config,
        epochs=settings["epochs"],
        image_size=settings["image_size"],
        tile=settings["tile"],
        on_error="skip",
        checkpoints=folder / "checkpoints",
        on_epoch=_tell_epoch,
    )
    detector.fit(images).save(folder / "model.adacl")
    judged = advice(detector.header)
    for line in judged.judgement():
        _tell(note=line)
    for remedy in remedies(judged.steps, detector.header.config):
        _tell(note=f"next: {remedy}")
    export_model(folder / "model.adacl", folder / "model.onnx", dynamic_batch=True)


def _tell(**content: object) -> None:
    print(json.dumps(content), flush=True)


def _tell_epoch(stage: str, record: EpochRecord) -> None:
    _tell(
        epoch={
            "stage": stage,
            "epoch": record.epoch,
            "loss": record.loss,
            "validation_auroc": record.validation_auroc,
            "seconds": record.seconds,
        }
    )


class Notes(logging.Handler):
    """Prints what is logged of a training, in words for clients.

    Parameters
    ----------
    folder
        That of the training, which is not named.
    names
        What the client calls the images, in the order they came.
    """

    def __init__(self, folder: Path, names: Sequence[str] = ()) -> None:
        super().__init__()
        self.folder = folder
        self.names = names

    def emit(self, record: logging.LogRecord) -> None:
        """Print it as a note."""
        _tell(note=self.worded(record.getMessage()))

    def worded(self, text: str) -> str:
        """Return a text for clients, who know neither the folder nor the names in it."""
        for place in (self.folder / "images", self.folder):
            text = text.replace(f"{place}{os.sep}", "")
        text = IMAGE.sub(self._called, text)
        return text if len(text) <= MOST else f"{text[:MOST]} …"

    def _called(self, kept: re.Match[str]) -> str:
        number = int(kept[1])
        return self.names[number - 1] if 0 < number <= len(self.names) else kept[0]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
