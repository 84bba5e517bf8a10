"""The limits of the service."""

from __future__ import annotations

from dataclasses import dataclass, fields

from adacl.config.sections import finite
from adacl.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Bounds on a request, and on all of them together.

    Parameters
    ----------
    body_bytes
        Bytes of the body of a request to score, and of each file of a training.
    files
        Files of a request to score.
    pixels
        Pixels of an image.
    seconds
        From the head of a request to score until its answer.
    head_seconds, head_bytes
        For, and of, the head of a request.
    connections
        Connections that are served at the same time; more are told to come back later.
    waiting
        Images that wait to be scored.
    memory_bytes
        Bytes of all bodies held at the same time.
    training_images, training_bytes, training_seconds
        Images and bytes of a training, and seconds until they have arrived.
    trainings_waiting
        Trainings that are received or wait.
    trainings
        Trainings kept in all, with their models.
    """

    body_bytes: int = 64 << 20
    files: int = 64
    pixels: int = 40_000_000
    seconds: float = 30.0
    head_seconds: float = 10.0
    head_bytes: int = 32 << 10
    connections: int = 512
    waiting: int = 1024
    memory_bytes: int = 512 << 20
    training_images: int = 5000
    training_bytes: int = 1 << 30
    training_seconds: float = 600.0
    trainings_waiting: int = 4
    trainings: int = 100

    def __post_init__(self) -> None:
        for field in fields(self):
            finite(field.name, getattr(self, field.name), above=0)
        if self.files > self.waiting:
            raise ConfigError(f"{self.files} files in a request, but only {self.waiting} may wait")
        if self.body_bytes > self.memory_bytes:
            raise ConfigError("a single body may not be larger than the memory for all of them")
