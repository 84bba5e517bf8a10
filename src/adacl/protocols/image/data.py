"""The data of a protocol: a benchmark by name, or a folder with one folder per class."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.data.folders import list_images
from adacl.data.images import read_image
from adacl.data.reading import stream
from adacl.data.training_set import probe_files, samples_of_files
from adacl.datasets import catalogue
from adacl.errors import ConfigError, MissingDataError

Images = NDArray[Any]
TEST_EVERY = 5


def short_name(source: str) -> str:
    """Return the name of a benchmark, or of a folder tree's top folder, which is no benchmark's."""
    if source in catalogue.BENCHMARKS:
        return source
    name = Path(source).resolve().name
    return f"{name}-folder" if name in catalogue.BENCHMARKS else name


def classes(source: str) -> tuple[str, ...]:
    """Return the classes that can be the normal one.

    Raises
    ------
    ConfigError
        If ``source`` is neither a benchmark nor a folder.
    MissingDataError
        If it is a folder without class folders.
    """
    if source in catalogue.BENCHMARKS:
        return catalogue.get(source).classes
    root = Path(source)
    if not root.is_dir():
        known = ", ".join(catalogue.BENCHMARKS)
        raise ConfigError(f"{source}: neither a folder nor a data set known by name ({known})")
    top = root / "train" if _has_official_split(root) else root
    names = tuple(folder.name for folder in _folders(top))
    if not names:
        raise MissingDataError(f"{top}: has no folders; one folder of images per class is needed")
    return names


def load_one_vs_rest(
    source: str, normal: str, data_dir: Path | None = None
) -> tuple[Images, Images, NDArray[np.bool_]]:
    """Return one class to learn from, and images of all classes to test on.

    A benchmark has its official split. A folder tree has it as ``train/CLASS`` and
    ``test/CLASS`` (where further classes may stand); without these two folders every fifth
    image of each ``CLASS``, in the order of their names, is kept for the test. The images of a
    tree are brought to one size, chosen from those to learn from.

    Parameters
    ----------
    source
        Name of a benchmark, or a folder.
    normal
        The normal class.
    data_dir
        Where the benchmarks' files are.

    Returns
    -------
    train, test, is_normal
        Images N x H x W x C and M x H x W x C, and which of the latter are normal (M,).

    Raises
    ------
    MissingDataError, ImageError
        If files are missing or broken.
    """
    if source in catalogue.BENCHMARKS:
        number = catalogue.get(source).classes.index(normal)
        images, labels = catalogue.load(source, "train", data_dir)
        test, test_labels = catalogue.load(source, "test", data_dir)
        return images[labels == number], test, test_labels == number
    train_paths, test_paths, is_normal = _split_tree(Path(source), normal)
    samples, size, _ = samples_of_files(probe_files(train_paths, "fail"), None, None, "fail")
    train = np.asarray(samples.pixels)
    dtype = train.dtype.name
    read = partial(read_image, channels=train.shape[3], dtype=dtype, size=size)
    tested = np.empty((len(test_paths), *train.shape[1:]), dtype)
    for number, (_, image) in enumerate(stream(test_paths, read)):
        tested[number] = image
    return train, tested, is_normal


def _has_official_split(root: Path) -> bool:
    return (root / "train").is_dir() and (root / "test").is_dir()


def _folders(root: Path) -> list[Path]:
    return sorted(x for x in root.iterdir() if x.is_dir() and not x.name.startswith("."))


def _split_tree(root: Path, normal: str) -> tuple[list[Path], list[Path], NDArray[np.bool_]]:
    if _has_official_split(root):
        train = list_images(root / "train" / normal)
        per_class = {folder.name: list_images(folder) for folder in _folders(root / "test")}
    else:
        everything = {folder.name: list_images(folder) for folder in _folders(root)}
        per_class = {name: paths[::TEST_EVERY] for name, paths in everything.items()}
        train = [path for number, path in enumerate(everything[normal]) if number % TEST_EVERY]
    test = [path for paths in per_class.values() for path in paths]
    is_normal = [name == normal for name, paths in per_class.items() for _ in paths]
    if not any(is_normal) or all(is_normal):
        raise MissingDataError(
            f"{root}: the test needs images of {normal!r} and of at least one other class"
        )
    return train, test, np.array(is_normal)
