"""One training that a client asked for, and its file."""

from __future__ import annotations

import json
import logging
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from adacl.errors import DataError
from adacl.files import atomic_file

LARGEST = 2**53
"""Counts beyond are not as the service writes them."""

log = logging.getLogger("adacl")

FILE = "training.json"
ID = re.compile("[0-9a-f]{16}")

State = Literal["queued", "running", "finished", "failed", "cancelled"]
STATES = get_args(State)


@dataclass
class Training:
    """What is known of a training; ``docs/reference/http.md`` has the fields that clients see."""

    id: str
    name: str
    epochs: int
    image_size: tuple[int, int] | None
    tile: tuple[int, int] | None
    config: dict[str, Any]
    created: str
    explicit: list[str] | None = None
    state: State = "queued"
    images: int = 0
    names: list[str] = field(default_factory=list)
    """What the client calls the images, as long as they are kept."""
    skipped: list[dict[str, str]] = field(default_factory=list)
    stages: int = 1
    history: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    model: str | None = None
    error: str | None = None
    forgotten: bool = False

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state not in ("queued", "running")

    @property
    def progress(self) -> float:
        """The share of the epochs that are done, of the network and of all folds."""
        if self.state == "finished":
            return 1.0
        if not self.history:
            return 0.0
        before = len({record["stage"] for record in self.history}) - 1
        share: float = (self.history[-1]["epoch"] + 1) / self.epochs
        return min(1.0, (before + share) / self.stages)

    def describe(self, position: int | None) -> dict[str, Any]:
        """Return the fields that clients see."""
        shown = ("id", "name", "state", "images", "skipped", "epochs", "history", "model", "error")
        content = {name: getattr(self, name) for name in (*shown, "notes", "created")}
        return content | {"position": position, "progress": self.progress}


def write(folder: Path, training: Training) -> None:
    """Write a training into its folder.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    with atomic_file(folder / FILE, "w") as file:
        json.dump(asdict(training), file)


def read_all(root: Path) -> list[Training]:
    """Read the trainings in the folders below ``root``, in the order they came in.

    Folders of trainings that were never received whole are removed; what else is there stays.

    Raises
    ------
    DataError
        If ``root`` cannot be read.
    """
    found = []
    try:
        folders = [folder for folder in root.iterdir() if ID.fullmatch(folder.name)]
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error.strerror})") from error
    for folder in folders:
        try:
            if not (folder / FILE).exists():
                shutil.rmtree(folder, ignore_errors=True)
                continue
            training = Training(**json.loads((folder / FILE).read_text()))
            _check(training, folder.name)
            found.append(training)
        except (OSError, RecursionError, TypeError, ValueError) as error:
            log.warning("%s: not a sound training, passed over (%s)", folder, error)
    return sorted(found, key=lambda training: training.created)


def _check(training: Training, name: str) -> None:
    """Check what the service relies on; a worker checks the configuration.

    Raises
    ------
    ValueError
        If a field is not as the service writes it.
    """
    kept = training
    sound = {
        "id": kept.id == name,  # it becomes a path
        "state": kept.state in STATES,
        "created": isinstance(kept.created, str),
        "name": isinstance(kept.name, str),
        "model": kept.state != "finished" or isinstance(kept.model, str),
        "config": isinstance(kept.config, dict),
        "skipped": isinstance(kept.skipped, list),
        "names": isinstance(kept.names, list) and all(isinstance(n, str) for n in kept.names),
        "notes": isinstance(kept.notes, list),
        "images": _is_count(kept.images),
        "epochs": _is_count(kept.epochs, 1),
        "stages": _is_count(kept.stages, 1),
        "history": isinstance(kept.history, list)
        and all(
            isinstance(record, dict)
            and isinstance(record.get("stage"), str)
            and _is_count(record.get("epoch"))
            for record in kept.history
        ),
    }
    unsound = [field for field, holds in sound.items() if not holds]
    if unsound:
        raise ValueError(f"{unsound[0]} is not as it was written")


def _is_count(value: object, least: int = 0) -> bool:
    return isinstance(value, int) and least <= value <= LARGEST
