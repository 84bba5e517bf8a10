"""Write images as folders of PNG files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adacl.datasets import catalogue
from adacl.errors import DataError
from adacl.files import new_folder


def write_images(images: NDArray[np.uint8], names: Iterable[str], folder: Path) -> int:
    """Write uint8 images N x H x W (x C) as ``folder``/name.png, and return their number.

    Raises
    ------
    DataError
        If they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for image, name in zip(images, names, strict=True):
            pixels: NDArray[Any] = image.squeeze(-1) if image.shape[-1] == 1 else image
            Image.fromarray(pixels).save(folder / f"{name}.png")
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return len(images)


def export_one_vs_rest(
    name: str, normal: int, folder: Path, data_dir: str | Path | None = None
) -> dict[Path, int]:
    """Write one class of a benchmark data set against the rest.

    The folder appears once it is complete.

    Returns
    -------
    dict
        The folders ``train``, ``test/normal`` and ``test/abnormal``, and their numbers of
        images. File names are class and number in the official order.

    Raises
    ------
    DataError
        If they cannot be written; nothing is left then.
    """
    classes = catalogue.get(name).classes
    counts = {}
    with new_folder(folder) as temporary:
        for split, inside, is_normal in (
            ("train", "train", True),
            ("test", "test/normal", True),
            ("test", "test/abnormal", False),
        ):
            images, labels = catalogue.load(name, split, data_dir)  # type: ignore[arg-type]
            indices = np.flatnonzero((labels == normal) == is_normal)
            names = [f"{classes[labels[index]]}-{index:05d}" for index in indices]
            counts[folder / inside] = write_images(images[indices], names, temporary / inside)
    return counts
