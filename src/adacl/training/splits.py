"""Split normal images: to learn from, for early stopping, and for the threshold.

The normals are split by image, never by tile, and exact copies stay together. Where there are too
few to spare any for the threshold, each of several folds is held out from a network of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adacl.config import Config, ThresholdConfig
from adacl.model.threshold import normals_needed

Images = NDArray[np.int64]

MOST_HELD_OUT = 1000


@dataclass(frozen=True)
class Split:
    """Numbers of the images to learn from, for early stopping, and for the threshold."""

    train: Images
    validation: Images
    calibration: Images

    def of_images(self, first: Images, unit: Images) -> Split:
        """Return the split of the images, given this split of units that stay together.

        Copies are learned from as often as they are there. Held out is one of each, because
        copies tell nothing more.

        Parameters
        ----------
        first
            Where the first of each distinct image stands.
        unit
            The unit (N,) of each image: its copies, or its group and their copies.
        """
        train = np.flatnonzero(np.isin(unit, self.train))
        validation, calibration = (
            first[np.isin(unit[first], part)] for part in (self.validation, self.calibration)
        )
        return Split(train, validation, calibration)


def split(count: int, config: Config, calibrate: bool, seed: int) -> Split:
    """Split ``count`` normals at random for the network that is kept, as it learns."""
    size, rule = config.training.validation_size, config.threshold
    if config.network.output == "map":
        return split_once(count, size, rule, seed)
    return split_normals(count, size, rule, calibrate, seed)


def networks_to_train(count: int, config: Config) -> int:
    """Return how many networks a fit on ``count`` normals trains: one, and one for each fold."""
    if len(split(count, config, True, 0).calibration):
        return 1
    return 1 + len(fold_splits(count, config.training.validation_size, config.threshold.folds, 0))


def split_normals(
    count: int, validation_size: int, config: ThresholdConfig, calibrate: bool, seed: int
) -> Split:
    """Split ``count`` normals at random for the network that is kept.

    A tenth of them (1,000 at most), but as many as the stated false-positive rate needs, are
    held out for the threshold if that is no more than a fifth; else none, or a fifth where there is
    no cross-fitting.
    """
    order = np.random.default_rng([seed, 0]).permutation(count)
    needed = normals_needed(config.fpr, config.confidence)
    held_out = max(needed, min(count // 10, MOST_HELD_OUT)) if calibrate else 0
    if count < 5 * held_out:
        held_out = 0 if config.folds > 1 else max(1, count // 5)
    stopping = validation_count(count, validation_size)
    calibration, validation, rest = np.split(order, [held_out, held_out + stopping])
    return Split(rest, validation, calibration)


def split_once(count: int, validation_size: int, config: ThresholdConfig, seed: int) -> Split:
    """Split ``count`` normals at random, without early stopping: to learn from, or held out.

    At most a fifth is held out: ``validation_size``, or more where the stated false-positive rate
    needs them. They set the threshold, and tell how the training goes.
    """
    order = np.random.default_rng([seed, 0]).permutation(count)
    needed = normals_needed(config.fpr, config.confidence)
    wanted = max(validation_size, needed, min(count // 10, MOST_HELD_OUT))
    held_out, rest = np.split(order, [validation_count(count, wanted)])
    return Split(rest, held_out[:0], held_out)


def fold_splits(count: int, validation_size: int, folds: int, seed: int) -> list[Split]:
    """Split ``count`` normals so that each is in the calibration part of exactly one split."""
    order = np.random.default_rng([seed, 1]).permutation(count)
    splits = []
    for fold in np.array_split(order, min(folds, count // 2)):
        rest = order[~np.isin(order, fold)]
        stopping = validation_count(len(rest), validation_size)
        splits.append(Split(rest[stopping:], rest[:stopping], fold))
    return splits


def validation_count(images: int, wanted: int = 150) -> int:
    """Return how many of ``images`` normals are held out for early stopping.

    The paper's 150 where that is at most a fifth of the set, else a fifth, at least one.
    """
    return min(wanted, max(1, images // 5))
