"""The normal images of a fit, from files or an array, with what is known of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adacl.config import Config
from adacl.data.copies import Indices
from adacl.data.groups import groups_of
from adacl.data.reading import OnError
from adacl.data.samples import Samples
from adacl.data.training_set import ProbedFiles, Size, samples_of_array, samples_of_files
from adacl.errors import InputError
from adacl.imaging.mask import Mask
from adacl.imaging.tiles import Tiling
from adacl.model.header import check_mask
from adacl.model.learnt import Learnt, sizes_of
from adacl.words import were

ChooseConfig = Callable[[list[Size]], Config]
"""Returns the configuration for images of some heights and widths."""

log = logging.getLogger("adacl")


class Normals(NamedTuple):
    """Normal images to fit a model on.

    Parameters
    ----------
    samples
        The images, or the tiles cut from them.
    config
        The configuration chosen for their sizes.
    resize
        Height and width that they were resized to, if they were.
    groups
        The group of each image (N,), if there are groups.
    seen
        Sizes and colours before they became samples.
    paths
        Their files, if they were files.
    """

    samples: Samples
    config: Config
    resize: Size | None
    groups: Indices | None
    seen: Learnt
    paths: list[Path]


def normals_of_files(
    files: ProbedFiles,
    choose: ChooseConfig,
    *,
    tiling: Tiling | None,
    image_size: Size | None,
    white: int | None,
    group: str | None,
    on_error: OnError,
    mask: Mask | None = None,
) -> Normals:
    """Decode image files; for the arguments see :class:`adacl.detector.AnomalyDetector`."""
    config = choose(files.sizes(image_size))
    if mask is not None:
        for path, header in zip(files.paths, files.headers, strict=True):
            check_mask(mask, config, header.height, header.width, str(path), image_size)
    any_size = config.network.output == "map"
    samples, resize, paths = samples_of_files(
        files, tiling, image_size, on_error, any_size, white, mask
    )
    groups = None if group is None else groups_of(paths, group)
    if len(paths) < files.listed:
        lost = files.listed - len(paths)
        log.warning("%d of %d images %s skipped", lost, files.listed, were(lost))
    kept = set(paths)
    headers = [h for path, h in zip(files.paths, files.headers, strict=True) if path in kept]
    seen = Learnt(
        sizes=sizes_of((header.height, header.width) for header in headers),
        colours=tuple(sorted({header.channels for header in headers})),
    )
    return Normals(samples, config, resize, groups, seen, paths)


def normals_of_array(
    images: NDArray[Any],
    choose: ChooseConfig,
    *,
    tiling: Tiling | None,
    white: int | None,
    groups: ArrayLike | None,
    colours: tuple[int, ...] = (),
    mask: Mask | None = None,
) -> Normals:
    """Take images N x H x W x C; for the arguments see :meth:`AnomalyDetector.fit`.

    ``colours`` are the channels that they had as pictures; by default those of the array.
    """
    size = images.shape[1], images.shape[2]
    numbers = None if groups is None else numbered(groups, len(images))
    config = choose([size])
    if mask is not None:
        check_mask(mask, config, *size, "images")
    samples = samples_of_array(images, tiling, white, mask)
    resize = None if tiling or config.network.output == "map" else size
    seen = Learnt(sizes=sizes_of([size]), colours=colours or (images.shape[3],))
    return Normals(samples, config, resize, numbers, seen, [])


def numbered(groups: ArrayLike, count: int) -> Indices:
    """Return the labels of the groups of ``count`` images as numbers from 0.

    Raises
    ------
    InputError
        If there is not one label for each image, one is None or NaN, or they cannot be compared.
    """
    if isinstance(groups, str):
        raise InputError(
            f"groups: got {groups!r}, need one label for each image; a rule for names of files is "
            "AnomalyDetector(group=...)"
        )
    labels = np.asarray(groups)
    if labels.shape != (count,):
        raise InputError(f"groups: need one label for each of {count} images, got {labels.shape}")
    if missing := sum(label is None or label != label for label in labels.tolist()):
        raise InputError(
            f"groups: {missing} of {count} labels are missing (None or NaN); give each image one, "
            "an image by itself a label of its own"
        )
    try:
        return np.unique(labels, return_inverse=True)[1]
    except TypeError as error:
        kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
        raise InputError(f"groups: labels of several types, {kinds}; give all one type") from error
