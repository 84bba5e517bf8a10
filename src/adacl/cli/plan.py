"""What a fit is about to do: how many networks it trains, and for how long."""

from __future__ import annotations

import logging

from adacl.config import Config
from adacl.data.arrays import SMALLEST_SET
from adacl.data.folders import ImageFiles
from adacl.data.images import probe
from adacl.errors import ImageError
from adacl.imaging.tiles import Tiling

__all__ = ["announce"]

log = logging.getLogger("adacl")


def announce(
    files: ImageFiles, config: Config, tiling: Tiling | None, image_size: tuple[int, int] | None
) -> int:
    """Say how many networks will be trained, for how many epochs, and what an epoch takes.

    Parameters
    ----------
    files
        The normal images.
    config
        The method.
    tiling
        How they are to be cut into tiles, or None.
    image_size
        Height and width that they are to be resized to, if given.

    Returns
    -------
    int
        The number of networks.
    """
    from adacl.training.splits import fold_splits, split_normals

    count, training, rule = len(files), config.training, config.threshold
    if count < SMALLEST_SET:
        return 1
    split = split_normals(count, training.validation_size, rule, True, 0)
    folds = 0
    if not len(split.calibration):
        folds = len(fold_splits(count, training.validation_size, rule.folds, 0))
    epochs = f"{training.epochs} epoch{'' if training.epochs == 1 else 's'}"
    if folds:
        log.info(
            "%d images: %d networks are trained for up to %s each, the model and %d more, each "
            "without a part of the images, to set the threshold",
            count,
            1 + folds,
            epochs,
            folds,
        )
    else:
        log.info("%d images: one network is trained for up to %s", count, epochs)
    samples = len(split.train) * _tiles_each(files, tiling, image_size)
    if 0 < samples < training.min_epoch_images:
        log.info(
            "an epoch goes through the %d %s to learn from again and again, until it has seen %d: "
            "so small sets take as long as large ones; --set training.min_epoch_images=N makes "
            "shorter epochs, which learn less",
            samples,
            "tiles" if tiling else "images",
            training.min_epoch_images,
        )
    return 1 + folds


def _tiles_each(
    files: ImageFiles, tiling: Tiling | None, image_size: tuple[int, int] | None
) -> int:
    """Return how many samples an image gives, told from the first; 0 if it cannot be read."""
    if tiling is None:
        return 1
    try:
        first = probe(next(iter(files)))
    except ImageError:
        return 0
    return len(tiling.places(*(image_size or (first.height, first.width))))
