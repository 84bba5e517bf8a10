"""What ``adacl fit`` says before it trains."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from adacl.config import Config
from adacl.data.arrays import SMALLEST_SET
from adacl.data.training_set import ProbedFiles
from adacl.imaging.tiles import Tiling

log = logging.getLogger("adacl")

FOLDERS = 5
"""Folders that are named, those with most images."""


def announce(
    files: ProbedFiles,
    units: int,
    config: Config,
    tiling: Tiling | None,
    image_size: tuple[int, int] | None,
) -> int:
    """Say how many networks will be trained, for how many epochs, and what an epoch takes.

    The files are of so many ``units``: groups, or single images. Returns the number of networks.
    """
    from adacl.training.splits import networks_to_train, split

    _tell_folders(files.paths)
    count, training = len(files.paths), config.training
    if units < SMALLEST_SET:
        return 1
    networks = networks_to_train(units, config)
    epochs = f"{training.epochs} epoch{'' if training.epochs == 1 else 's'}"
    if networks > 1:
        log.info(
            "%d images: %d networks are trained for up to %s each, the model and %d more, each "
            "without a part of the images, to set the threshold; --set threshold.folds=1 trains "
            "one only, and sets a rougher threshold by a fifth of the images",
            count,
            networks,
            epochs,
            networks - 1,
        )
    else:
        log.info("%d images: one network is trained for up to %s", count, epochs)
    samples, exact = len(split(units, config, True, 0).train) * count // units, units == count
    if tiling:
        tiles = [tiling.count(*size) for size in files.sizes(image_size)]
        samples, exact = samples * sum(tiles) // count, exact and min(tiles) == max(tiles)
    if samples < training.min_epoch_images:
        log.info(
            "an epoch goes through %s%d %s to learn from again and again, until it has seen %d: "
            "so small sets take as long as large ones; --set training.min_epoch_images=N makes "
            "shorter epochs, which learn less",
            "the " if exact else "about ",
            samples,
            "tiles" if tiling else "images",
            training.min_epoch_images,
        )
    return networks


def _tell_folders(paths: list[Path]) -> None:
    """Say that all images are taken for normal, if they lie in more than one folder."""
    counts = Counter(path.parent for path in paths)
    if len(counts) > 1:
        told = [f"{folder} ({count})" for folder, count in counts.most_common(FOLDERS)]
        if more := len(counts) - len(told):
            told.append(f"and {more} more")
        log.info(
            "the images of all %d folders are taken for normal; name good folders only: %s",
            len(counts),
            ", ".join(told),
        )
