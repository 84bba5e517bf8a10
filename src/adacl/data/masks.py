"""Find and read pixel masks: of anomalous images, and of what is looked at in all."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.data.arrays import pictures_of
from adacl.data.image_files import EXTENSIONS
from adacl.data.images import probe, read_image
from adacl.data.lists import root_of
from adacl.data.pixels import header_of, pixels_of
from adacl.errors import DataError, ImageError, InputError, MissingDataError
from adacl.files import resolved
from adacl.imaging.mask import Mask

ENDINGS = ("", "_mask", "_gt")
FEW = 16
"""Grey levels that a picture of labels has at most; masks with soft or JPEG edges have more."""
MANY = 10
"""Grey pixels are told if they are more than one for so many white ones."""

log = logging.getLogger("adacl")


def find_masks(images: Sequence[Path], roots: Sequence[Path], mask_dir: Path) -> dict[Path, Path]:
    """Return the mask of each image.

    The mask of ``root/a/b.jpg`` is ``a/b``, ``a/b_mask`` or ``a/b_gt``, with the extension of any
    image, in ``mask_dir`` or in the folder of it that is named as ``root``.

    Parameters
    ----------
    images
        Image files.
    roots
        The files and folders that they were found in.
    mask_dir
        Folder of the masks.

    Raises
    ------
    MissingDataError
        If an image has no mask.
    DataError
        If it has several, or shares one with another image.
    """
    if not mask_dir.is_dir():
        raise MissingDataError(f"{mask_dir}: no such folder of masks")
    in_folder = cache(_in_folder)
    owners: dict[Path, Path] = {}
    for image in images:
        root = root_of(image, roots)
        base = root.parent if root == image else root
        inner = image.relative_to(base).parent
        for folder in (mask_dir / resolved(base).name / inner, mask_dir / inner):
            named = [path for end in ENDINGS for path in in_folder(folder)[image.stem + end]]
            found = [path for path in named if path != image]
            if found:
                break
        else:
            raise MissingDataError(
                f"{image}: has no mask in {mask_dir}; looked for {inner / image.stem}, also with "
                f"{' and '.join(ENDINGS[1:])}, as any kind of image; add it, or take the image "
                "out of the folder"
            )
        if len(found) > 1:
            raise DataError(f"{image}: has two masks, {found[0]} and {found[1]}; keep one")
        if owners.setdefault(found[0], image) != image:
            raise DataError(
                f"{found[0]}: is the mask of {owners[found[0]]} and of {image}; put the masks of "
                "each folder of images into a folder of its name"
            )
    return {image: mask for mask, image in owners.items()}


def _in_folder(folder: Path) -> dict[str, list[Path]]:
    """Return the images of a folder by their names without extension."""
    named: dict[str, list[Path]] = defaultdict(list)
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in EXTENSIONS:
                named[path.stem].append(path)
    return named


def check_masks(mask_of: Mapping[Path, Path]) -> None:
    """Check the masks of images before work begins; images that cannot be read have none.

    Grey levels that would not count are told.

    Raises
    ------
    DataError
        If one cannot be read or has not the size of its image, or if all are black.
    """
    white, grey = False, []
    for image, path in mask_of.items():
        levels, counts = np.unique(_levels(path), return_counts=True)
        bright = _bright(levels)
        dark = counts[~bright & (levels > 0)].sum()
        if 2 < len(levels) <= FEW and dark > counts[bright].sum() / MANY:
            grey.append(path)
        with suppress(ImageError):
            _check_size(path, image)
        white = white or bool(bright.any())
    if not white:
        raise DataError(
            f"{path}: is black, and so are all the masks; the pixels of anomalies have to be white"
        )
    if grey:
        log.warning(
            "%s: has several grey levels, of which only those brighter than half of the brightest "
            "count (%d of %d masks); paint all anomalous pixels white",
            grey[0], len(grey), len(mask_of),
        )  # fmt: skip


def read_mask(path: Path, image: Path) -> NDArray[np.bool_]:
    """Read a mask H x W, True where it is brighter than half of its brightest pixel.

    Raises
    ------
    ImageError
        If it cannot be read.
    DataError
        If it has not the size of its image.
    """
    _check_size(path, image)
    return _bright(_levels(path))


def _levels(path: Path) -> NDArray[Any]:
    pixels: NDArray[Any] = read_image(path, 1, probe(path).dtype)[..., 0]
    return pixels


def _check_size(path: Path, image: Path) -> None:
    header, expected = probe(path), probe(image)
    if (header.height, header.width) != (expected.height, expected.width):
        raise DataError(
            f"{path}: a mask of {header.height}x{header.width} pixels for {image} of "
            f"{expected.height}x{expected.width}; masks need the size of their image"
        )


def region_of_interest(mask: Any) -> Mask | None:
    """Return a mask of what is looked at from a file, an array H x W or a PIL image.

    White, what is brighter than half of the brightest pixel, is looked at. None stays None.

    Raises
    ------
    MissingDataError, ImageError
        If the file is not there, or cannot be read.
    InputError
        If it has not the form H x W, or nothing in it is white.
    """
    if mask is None or isinstance(mask, Mask):
        return mask
    name = "mask"
    if isinstance(mask, str | Path):
        path = Path(mask)
        if not path.exists():
            raise MissingDataError(f"{path}: no such mask")
        name = str(path)
        pixels = _levels(path)
    elif (pictures := pictures_of(mask)) and len(pictures) == 1:
        pixels = pixels_of(pictures[0], 1, header_of(pictures[0]).dtype)[..., 0]
    else:
        pixels = np.asarray(mask)
    if pixels.ndim != 2 or pixels.dtype.kind not in "buif" or not np.isfinite(pixels).all():
        raise InputError(f"{name}: need numbers H x W, got shape {pixels.shape} of {pixels.dtype}")
    return Mask.of(_bright(pixels), name)


def _bright(pixels: NDArray[Any]) -> NDArray[np.bool_]:
    bright: NDArray[np.bool_] = pixels > pixels.max(initial=0) / 2
    return bright
