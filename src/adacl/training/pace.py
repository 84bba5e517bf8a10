"""Measure how long an epoch would take on this machine: by some of its steps, and a validation."""

from __future__ import annotations

import math
import time
from functools import partial

import numpy as np
import torch

from adacl.config import Config
from adacl.data.samples import Samples
from adacl.training.ahead import drawn_ahead
from adacl.training.alignment import settled
from adacl.training.loop import learn, lesson_for
from adacl.training.optimizers import make_optimizer
from adacl.training.place_lesson import VALIDATED
from adacl.training.splits import split

STEPS = 4
SECONDS = 6.0
"""Steps that are measured after the first: as many, or until so much time has passed."""


def epoch_seconds(samples: Samples, images: int, config: Config, tiles: int = 1) -> float:
    """Return the seconds that an epoch would take, with a network that ends up untrained.

    Parameters
    ----------
    samples
        Some images like those to learn from, or their tiles; ten or more.
    images
        How many there will be.
    config
        The method.
    tiles
        Samples of each of the images to learn from.
    """
    config = settled(config, samples, 0)
    dense, batch = config.network.output == "map", config.training.batch_size
    count = int(samples.owner.max()) + 1
    held_out = samples.of(np.arange(count // 5))
    learnt = samples.of(np.arange(count // 5, count))
    lesson = lesson_for(learnt, held_out, config)
    network = lesson.network()
    optimizer = make_optimizer(network, config.training)
    generator = torch.Generator().manual_seed(0)
    chosen = learnt.subset(np.arange(batch) % len(learnt))
    network.train()
    times: list[float] = []
    shown_again = (1 + STEPS) * [chosen]
    draw = partial(lesson.draw, generator=generator)
    with drawn_ahead(draw, shown_again, lesson.slow_to_draw) as drawn:
        started = time.perf_counter()
        for step in drawn:
            learn(lesson, network, optimizer, step)
            ended = time.perf_counter()
            times.append(ended - started)
            started = ended
            if sum(times) >= SECONDS:
                break
    seconds = float(np.median(times[1:] or times))
    started = time.perf_counter()
    lesson.validate(network, generator)
    validation = time.perf_counter() - started

    parts = split(images, config, True, 0)
    shown = max(len(parts.train) * tiles, config.training.min_epoch_images)
    if dense:
        share = max(VALIDATED, len(parts.calibration)) / max(VALIDATED, len(held_out))
    else:
        share = len(parts.validation) * tiles / len(held_out)
    return math.ceil(shown / batch) * seconds + share * validation
