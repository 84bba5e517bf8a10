"""The training loop: Adam family, cyclic rate, early stopping, checkpoint and resume (3.3).

All randomness of an epoch is a function of the seed and the epoch's number, so a checkpoint
needs no random state, and a resumed run equals an undisturbed one to the last bit.
"""

from __future__ import annotations

import math
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from adacl.config import Config, TrainingConfig
from adacl.data.samples import Samples
from adacl.errors import ConfigError, InputError, TrainingError
from adacl.imaging.spec import Array
from adacl.model.history import EpochRecord, History
from adacl.networks.build import Network, raw_scores
from adacl.training import checkpoints
from adacl.training.ahead import drawn_ahead
from adacl.training.image_lesson import ImageLesson
from adacl.training.optimizers import make_optimizer
from adacl.training.place_lesson import PlaceLesson

_alone = threading.Lock()
"""Held while PyTorch's global generators are seeded: all threads draw from the same ones."""


def _renew() -> None:
    """Free a child process of a lock that another thread of its parent held."""
    global _alone
    _alone = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


class Lesson(Protocol):
    """The loss of a training, and its validation."""

    slow_to_draw: bool
    """Whether drawing a step takes about as long as learning from it."""

    def network(self) -> Any:
        """Return an untrained network."""

    def draw(self, chosen: Samples, generator: torch.Generator) -> Any:
        """Draw what a step sees that shows some of the images, on the generator's device."""

    def loss(self, network: Any, step: Any) -> Tensor:
        """Return the loss of a step."""

    def validate(self, network: Any, generator: torch.Generator) -> tuple[float, dict[str, float]]:
        """Return the AUROC of held-out normals against anomalies made from them, and per kind."""

    def finish(self, network: Any) -> None:
        """Add what is learnt once the weights are final."""


def lesson_for(train_on: Samples, validate_on: Samples, config: Config) -> Lesson:
    """Return what a training teaches: places, to a network with a map, else whole images."""
    kind = PlaceLesson if config.network.output == "map" else ImageLesson
    return kind(train_on, validate_on, config)


def learn(lesson: Lesson, network: Network, optimizer: torch.optim.Optimizer, step: Any) -> Tensor:
    """Learn from a step, and return its loss."""
    loss = lesson.loss(network, step)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()


def learning_rate(step: int, steps: int, config: TrainingConfig) -> float:
    """Return the learning rate of one of ``steps`` steps, counted from 0."""
    low, high = config.rate_min, config.rate_max
    done = (step + 0.5) / steps
    if config.schedule == "triangular":
        return low + (high - low) * (1 - abs(2 * (done * config.cycles % 1) - 1))
    if done < 1 / 3:
        return low + (high - low) * 3 * done
    return low + (high - low) * (1 + math.cos(math.pi * (done - 1 / 3) * 1.5)) / 2


def _seed(*path: int) -> int:
    state: int = np.random.SeedSequence(path).generate_state(1, np.uint64)[0]
    return int(state) >> 1


def _generator(device: torch.device, *path: int) -> torch.Generator:
    return torch.Generator(device).manual_seed(_seed(*path))


@contextmanager
def _isolated(device: torch.device, *path: int) -> Iterator[None]:
    """Seed PyTorch's global generators inside, and leave them as they were outside.

    Trainings in several threads take turns.
    """
    with _alone, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(_seed(*path))
        with torch.backends.cudnn.flags(deterministic=True, benchmark=False):
            yield


def train(
    train_on: Samples,
    validate_on: Samples,
    config: Config,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path | None = None,
    on_epoch: Callable[[EpochRecord, Any], object] | None = None,
) -> tuple[Network, History]:
    """Train a network on normal images and anomalies made from them.

    Parameters
    ----------
    train_on, validate_on
        Normal images to learn from and for early stopping. For a network with a map they may have
        any sizes.
    config
        The method.
    seed
        Decides everything random; equal seeds give equal networks on the same machine,
        version and number of threads.
    device
        Where to train.
    checkpoint
        File that is written after every epoch and, where it exists, continued from.
    on_epoch
        Called after every epoch with its record and the network as it is then. If it returns
        True, the training ends there.

    Returns
    -------
    network, history
        The network of the epoch with the best validation AUROC (the latest of equals), or of the
        last, as ``training.keep`` says.

    Raises
    ------
    ConfigError
        If the anomalies' kinds, their options or the precision cannot be, or the network is too
        large.
    InputError
        If there are no images to learn from or for validation, they are too small, or do not go
        with the mask or with a network that sees parts upright.
    ModelFileError
        If the checkpoint is damaged or belongs to other data or settings.
    TrainingError
        If the loss is no longer finite.
    """
    half = config.training.precision == "bfloat16"
    if half and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise ConfigError("training.precision: this GPU has no bfloat16; use float32")
    if not len(train_on) or not len(validate_on):
        raise InputError("training needs at least one image, and one more for validation")
    lesson = lesson_for(train_on, validate_on, config)
    with _isolated(device, seed):
        network: Network = lesson.network()
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(network, config.training)
    identity = {
        "config": config.to_dict(),
        "seed": seed,
        "spec": asdict(train_on.spec),
        "images": [_crc(train_on), _crc(validate_on)],
        **({"mask": train_on.mask.to_text()} if train_on.mask else {}),
    }
    history, best, ended = History(), network.state_dict(), False
    if checkpoint is not None and checkpoint.exists():
        history, best, ended = checkpoints.resume(checkpoint, network, optimizer, identity)

    while not (ended or _finished(history, config.training)):
        epoch = len(history.epochs)
        started = time.perf_counter()
        with _isolated(device, seed, epoch):
            loss, rate = _train_epoch(
                lesson, network, optimizer, train_on, config.training, seed, epoch
            )
        sample = validate_on.subset(slice(1)).tensor(device)
        if not (math.isfinite(loss) and np.isfinite(raw_scores(network, sample)).all()):
            raise TrainingError(
                f"the loss is no longer finite in epoch {epoch + 1}; lower training.rate_max "
                f"(now {config.training.rate_max:g})"
            )
        overall, per_kind = lesson.validate(network, _generator(device, seed, 2))
        seconds = time.perf_counter() - started
        history.epochs.append(EpochRecord(epoch, loss, overall, per_kind, rate, seconds))
        last = config.training.keep == "last"
        if last or history.best_epoch < 0 or overall >= history.best.validation_auroc:
            history.best_epoch = epoch
            best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        if checkpoint is not None:
            checkpoints.save(checkpoint, network, optimizer, best, history, identity)
        said = None if on_epoch is None else on_epoch(history.epochs[-1], network)
        ended = isinstance(said, bool | np.bool_) and bool(said)
        if ended and checkpoint is not None:
            checkpoints.save(checkpoint, network, optimizer, best, history, identity, ended)
    network.load_state_dict(best)
    lesson.finish(network)
    return network.eval(), history


def _finished(history: History, config: TrainingConfig) -> bool:
    done = len(history.epochs)
    return done >= config.epochs or done - 1 - history.best_epoch >= config.patience


def _crc(samples: Samples) -> list[int]:
    """Return number and checksum of images, to tell whether data are the same."""
    checksum = 0
    for image in samples:
        checksum = zlib.crc32(np.ascontiguousarray(image).data, checksum)
    return [len(samples), checksum]


def _train_epoch(
    lesson: Lesson,
    network: Network,
    optimizer: torch.optim.Optimizer,
    train_on: Samples,
    training: TrainingConfig,
    seed: int,
    epoch: int,
) -> tuple[float, float]:
    """Return the mean loss and the last learning rate of an epoch."""
    device = network.mean.device
    generator = _generator(device, seed, epoch, 1)
    order = train_on.subset(_order(len(train_on), training.min_epoch_images, seed, epoch))
    steps = -(-len(order) // training.batch_size)
    total = torch.zeros((), device=device)
    rate = 0.0
    network.train()
    parts = list(order.parts(training.batch_size))
    ahead = lesson.slow_to_draw and device.type == "cpu"
    with drawn_ahead(partial(lesson.draw, generator=generator), parts, ahead) as drawn:
        for number, step in enumerate(drawn):
            rate = learning_rate(epoch * steps + number, training.epochs * steps, training)
            for group in optimizer.param_groups:
                group["lr"] = rate
            total += learn(lesson, network, optimizer, step) * len(parts[number])
    mean = float(total) / len(order)
    return mean, rate


def _order(images: int, at_least: int, seed: int, epoch: int) -> Array:
    """Return the epoch's order: whole shuffles, repeated for small sets."""
    rng = np.random.default_rng([seed, epoch])
    wanted = max(images, at_least)
    shuffles = [rng.permutation(images) for _ in range(math.ceil(wanted / images))]
    return np.concatenate(shuffles)[:wanted]
