"""MNIST, Fashion-MNIST and CIFAR-10 in their official formats, read from a local folder.

The folder is ``--data-dir``, else the variable ``ADACL_DATA``, else the platform's cache
folder. Files may lie in it as the archives unpack, or as torchvision lays them out.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import Any, Literal

import numpy as np
import platformdirs
from numpy.typing import NDArray

from adacl.datasets.formats import Pixels, content_of, parse_idx, read_cifar
from adacl.errors import ConfigError, DataError, MissingDataError

Split = Literal["train", "test"]


@dataclass(frozen=True)
class DataFile:
    """One official file: its name, and the SHA-256 of its content, uncompressed."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Benchmark:
    """One data set: its classes, its files, where they may lie and where they come from.

    For MNIST's format ``files`` gives (images, labels) of a split, for CIFAR-10's the batches.
    ``archive`` is one download that holds all files; without it each is downloaded by itself,
    as ``name`` with ``.gz``.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    folders: tuple[str, ...]
    files: dict[str, tuple[DataFile, ...]]
    url: str
    archive: DataFile | None = None

    @property
    def all_files(self) -> tuple[DataFile, ...]:
        """The files of both splits, those of training first."""
        return (*self.files["train"], *self.files["test"])


def _benchmark(name: str, table: dict[str, Any]) -> Benchmark:
    files = {split: tuple(starmap(DataFile, of.items())) for split, of in table["files"].items()}
    lists = {key: tuple(table[key]) for key in ("classes", "shape", "folders")}
    archive = DataFile(**table["archive"]) if "archive" in table else None
    return Benchmark(name, table["title"], **lists, files=files, url=table["url"], archive=archive)


_TABLE = tomllib.loads(Path(__file__).with_name("benchmarks.toml").read_text("utf-8"))
BENCHMARKS = {name: _benchmark(name, given) for name, given in _TABLE.items()}
"""The data sets by name."""


def get(name: str) -> Benchmark:
    """Return the data set of that name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name not in BENCHMARKS:
        raise ConfigError(f"data set {name!r} is not known; known are {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]


def data_dir(folder: str | Path | None = None) -> Path:
    """Return the data folder: the given one, else ``ADACL_DATA``, else the cache folder."""
    folder = folder or os.environ.get("ADACL_DATA") or platformdirs.user_cache_dir("adacl")
    return Path(os.path.expanduser(folder))  # noqa: PTH111, leaves ~nobody as it is


def find(benchmark: Benchmark, file: DataFile, folder: Path) -> Path | None:
    """Return where an official file lies below the data folder, or None.

    Raises
    ------
    DataError
        If a folder cannot be read.
    """
    for part in benchmark.folders:
        for suffix in (".bin",) if benchmark.archive else ("", ".gz"):
            path = folder / part / (file.name + suffix)
            try:
                if path.is_file():
                    return path
            except OSError as error:
                raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return None


def load(
    name: str, split: Split, folder: str | Path | None = None
) -> tuple[Pixels, NDArray[np.int64]]:
    """Read one split of a data set.

    Parameters
    ----------
    name
        ``mnist``, ``fashion-mnist`` or ``cifar10``.
    split
        ``train`` or ``test``.
    folder
        Data folder, see :func:`data_dir`.

    Returns
    -------
    images, labels
        uint8 images N x H x W x C and class numbers (N,), in the official order.

    Raises
    ------
    MissingDataError
        If a file is not there; the message says what to put where.
    DataError
        If a file is damaged.
    """
    benchmark, root = get(name), data_dir(folder)
    paths = []
    for file in benchmark.files[split]:
        path = find(benchmark, file, root)
        if path is None:
            first = root / benchmark.folders[0]
            suffix = ".gz" if benchmark.archive is None else ".bin"
            python = root / "cifar-10-batches-py" / file.name
            raise MissingDataError(
                f"{benchmark.title}: {file.name} is not under {root}; run 'adacl data fetch "
                f"{name}', or put {first / (file.name + suffix)} there yourself"
                + f" ({python} is of the Python version; the binary one is read)"
                * python.exists()
            )
        paths.append(path)
    if benchmark.archive is None:
        images = parse_idx(paths[0], content_of(paths[0]), 3)[..., None]
        labels = parse_idx(paths[1], content_of(paths[1]), 1)
    else:
        records = np.concatenate([read_cifar(path) for path in paths])
        labels = records[:, 0]
        images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    if len(images) != len(labels) or images.shape[1:] != benchmark.shape:
        raise DataError(f"{paths[0]}: {images.shape} images do not go with {len(labels)} labels")
    if len(labels) and labels.max() >= len(benchmark.classes):
        raise DataError(f"{paths[-1]}: label {labels.max()} is out of range")
    return np.ascontiguousarray(images), labels.astype(np.int64)


def count_present(benchmark: Benchmark, folder: Path) -> int:
    """Return how many of the files of a data set lie below the data folder."""
    return sum(find(benchmark, file, folder) is not None for file in benchmark.all_files)


def verify(name: str, folder: str | Path | None = None) -> list[dict[str, str]]:
    """Compare the files at hand with the official SHA-256 digests.

    Returns
    -------
    list of dict
        For each file ``file``, ``path`` and ``state``: ``official``, ``different`` (readable,
        but other pixels: a lossy copy, say), ``damaged`` or ``missing``.
    """
    benchmark, root = get(name), data_dir(folder)
    rows = []
    for file in benchmark.all_files:
        path = find(benchmark, file, root)
        state = "missing"
        if path is not None:
            try:
                state = _state(path, file, benchmark)
            except DataError:
                state = "damaged"
        rows.append({"file": file.name, "path": str(path or ""), "state": state})
    return rows


def _state(path: Path, file: DataFile, benchmark: Benchmark) -> str:
    if benchmark.archive is None:
        content = content_of(path)
        parse_idx(path, content, 3 if "images" in file.name else 1)
    else:
        content = read_cifar(path).tobytes()
    return "official" if hashlib.sha256(content).hexdigest() == file.sha256 else "different"
