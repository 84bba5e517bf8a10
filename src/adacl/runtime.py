"""Score images with an exported model, by onnxruntime or OpenVINO and without PyTorch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from adacl.backends import Run, open_backend, properties
from adacl.data.arrays import as_images, is_paths
from adacl.data.folders import ImageFiles, OnError, in_order, pass_over
from adacl.data.images import read_image
from adacl.errors import AdaclError, ConfigError, ImageError, InputError, ModelFileError
from adacl.exported_file import from_properties, unsealed
from adacl.pixels import Array, ImageSpec
from adacl.scoring import FileScore, ImageScore, check_files, fitting, scores_of
from adacl.thresholds import Threshold
from adacl.tiles import Tiling

__all__ = ["Scorer"]

Identity = TypeVar("Identity")

BATCH = 64
"""Images that a thread scores at once; larger batches are no faster."""
FILES = 16
"""Image files that a thread decodes and scores in one go."""


class Scorer:
    """Scores images with a model that ``adacl export`` wrote.

    It can be pickled, the model included, and called from several threads at once.

    Parameters
    ----------
    path
        The exported file.
    backend
        ``onnxruntime`` or ``openvino``.
    threads
        Threads that decode and score side by side; by default one a processor.
    on_error
        What to do with a broken image file: ``fail``, or ``skip`` it with a warning.

    Attributes
    ----------
    header : dict
        What the file says of itself, see ``docs/deploy.md``.
    spec : ImageSpec
        Form of the images that the graph takes.
    tiling : Tiling or None
        How images are cut into tiles.
    threshold : Threshold
        Images with a higher score are called anomalous; may be replaced.

    Raises
    ------
    MissingDataError, ModelFileError
        If the file is not there, not sound, or not one that adacl exported.
    ConfigError
        If the backend is not known or the number of threads not positive.
    MissingExtraError
        If the backend is not installed.

    Examples
    --------
    >>> scorer = Scorer("parts.onnx")  # doctest: +SKIP
    >>> scorer.anomaly_score("new_parts/")  # doctest: +SKIP
    >>> with multiprocessing.Pool() as pool:  # doctest: +SKIP
    ...     scores = pool.map(scorer, ["a.png", "b.png"])
    """

    def __init__(
        self,
        path: str | Path,
        *,
        backend: str = "onnxruntime",
        threads: int | None = None,
        on_error: OnError = "fail",
    ) -> None:
        if threads is not None and threads < 1:
            raise ConfigError(f"threads: need at least 1, got {threads}")
        self.path = Path(path)
        self.backend = backend
        self.threads = threads or os.cpu_count() or 1
        self.on_error = on_error
        self._content = unsealed(self.path)
        self._open()
        self.threshold = Threshold(**self.header["threshold"])

    def _open(self) -> None:
        try:
            self.header = from_properties(properties(self._content), self.path)
            self.spec = ImageSpec(**self.header["spec"])
            tiling, resize = self.header["tiling"], self.header["resize"]
            self.tiling = Tiling(**tiling) if tiling else None
            height, width = self.header["input_size"]
            self._size = (height, width)
            self._resize = tuple(resize) if resize else None
            self._batch = self.header["batch"]
            self._run = open_backend(self.backend, self._content, self.threads)
            self._pool = ThreadPoolExecutor(self.threads, "adacl")
        except AdaclError:
            raise
        except Exception as error:  # the engines raise classes of their own
            reason = " ".join(str(error).split())
            raise ModelFileError(f"{self.path}: not a sound exported model ({reason})") from error

    def __getstate__(self) -> dict[str, Any]:
        names = ("path", "backend", "threads", "on_error", "threshold", "_content")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __call__(self, image: str | Path | Array) -> ImageScore:
        """Score one image: a file, or pixels H x W or H x W x C."""
        if isinstance(image, str | Path):
            check_files(self.spec)
            pixels = self._read(Path(image))
        else:
            pixels = self._checked(np.asarray(image)[None])[0]
        return next(self._scores([(None, pixels)], self.raw))[1]

    def describe(self) -> dict[str, Any]:
        """Return what ``adacl info`` shows, as plain values."""
        return self.header

    def raw(self, samples: Array) -> Array:
        """Return the raw regression (S,) of samples S x H x W x C, stored as ``spec`` says."""
        size = min(BATCH, max(1, math.ceil(len(samples) / self.threads)))
        parts = [samples[i : i + size] for i in range(0, len(samples), size)]
        if len(parts) < 2 or self.threads == 1:
            found = [self._raw(part) for part in parts]
        else:
            found = list(self._pool.map(self._raw, parts))
        return np.concatenate(found) if found else np.empty(0)

    def _raw(self, samples: Array) -> Array:
        """Return the raw regression (S,) of a few samples, in this thread."""
        size = self._batch or BATCH
        parts = [self._run(samples[i : i + size]) for i in range(0, len(samples), size)]
        return np.concatenate(parts).astype(float)

    def anomaly_score(self, X: Any) -> Array:
        """Return the anomaly scores (N,) in [0, 1], higher for more anomalous images."""
        return np.clip(-self.score_samples(X), 0, 1)

    def score_samples(self, X: Any) -> Array:
        """Return scores (N,), higher for more normal images: the negative raw regression.

        Parameters
        ----------
        X
            An array N x H x W or N x H x W x C, a folder of images, or a list of image files
            and folders.

        Raises
        ------
        InputError, DataError
            If an array does not go with the model, or a file cannot be read.
        """
        if is_paths(X):
            raw = [score.raw for score in self.score_files(ImageFiles(X))]
        else:
            images = enumerate(self._checked(np.asarray(X)))
            raw = [score.raw for _, score in self._scores(images, self.raw)]
        return -np.array(raw, float)

    def predict(self, X: Any, threshold: float | None = None) -> Array:
        """Return +1 for normal and -1 for anomalous images (N,); see :meth:`score_samples`."""
        limit = self.threshold.value if threshold is None else threshold
        return np.where(-self.score_samples(X) > limit, -1, 1)

    def score_files(
        self, paths: Iterable[Path], skipped: list[Path] | None = None
    ) -> Iterator[FileScore]:
        """Score image files in order, with bounded memory.

        Every thread decodes some files and scores them, so that neither waits for the other.

        Parameters
        ----------
        paths
            Image files.
        skipped
            Receives the broken files, when ``on_error`` is ``skip``.

        Yields
        ------
        FileScore
        """
        check_files(self.spec)
        size = 1 if self.tiling else FILES
        remaining = iter(paths)
        parts = iter(lambda: list(islice(remaining, size)), [])
        for _, future in in_order(parts, self._score_files, self.threads, ahead=2):
            for path, found in future.result():
                if isinstance(found, ImageError):
                    pass_over(path, found, self.on_error, skipped)
                else:
                    yield FileScore(path, found.raw, found.score, found.tile)

    def _score_files(self, paths: Sequence[Path]) -> list[tuple[Path, ImageScore | ImageError]]:
        found: list[ImageError | None] = []
        images = []
        for path in paths:
            try:
                images.append((None, self._read(path)))
                found.append(None)
            except ImageError as error:
                found.append(error)
        scores = self._scores(images, self._raw)
        return [(path, error or next(scores)[1]) for path, error in zip(paths, found, strict=True)]

    def _read(self, path: Path) -> Array:
        size = None if self._inside else self._resize
        image = read_image(path, self.spec.channels, self.spec.dtype, size)
        if self._inside and image.shape[:2] != self._size:
            raise ImageError(
                f"{path}: {image.shape[0]}x{image.shape[1]} pixels, the model was exported with "
                f"--input-size {self._size[0]}x{self._size[1]}; export it without"
            )
        return image

    @property
    def _inside(self) -> bool:
        """Whether the graph resizes."""
        return self._size != (self.spec.height, self.spec.width)

    def _checked(self, array: Array) -> Array:
        images = as_images(array)
        if images.dtype == np.float32 and not np.isfinite(images).all():
            raise InputError("images: hold values that are not finite; remove or replace them")
        form = ImageSpec(*self._size, self.spec.channels, self.spec.dtype)
        return fitting(images, form, self.tiling)

    def _scores(
        self, images: Iterable[tuple[Identity, Array]], raw: Run
    ) -> Iterator[tuple[Identity, ImageScore]]:
        return scores_of(images, raw, self.tiling, BATCH * self.threads)
