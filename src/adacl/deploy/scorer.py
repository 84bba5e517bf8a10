"""Score images with an exported model, by onnxruntime or OpenVINO and without PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from adacl.data.arrays import as_images, as_numbers
from adacl.data.folders import each_image
from adacl.data.reading import OnError, Skipped, check_on_error, in_order, pass_over, processors
from adacl.deploy.engines import BACKENDS, open_backend, read_graph
from adacl.deploy.image_explainer import ImageExplainer
from adacl.errors import (
    AdaclError,
    ConfigError,
    ImageError,
    InputError,
    MissingExtraError,
    ModelFileError,
    is_out_of_memory,
)
from adacl.imaging.reflection import reflected
from adacl.imaging.spec import Array
from adacl.model.exported_file import from_properties, unsealed
from adacl.model.gate import check_files
from adacl.model.header import ModelHeader
from adacl.model.large_images import Window
from adacl.model.scoring import (
    FileScore,
    ImageScore,
    ScoringModel,
    scores_of,
)
from adacl.networks.architecture import smallest_side

Identity = TypeVar("Identity")

BATCH = 64
"""Images that a thread scores at once, at most; larger batches are no faster."""
PIXELS = 1 << 20
"""Values that a thread's images have, at most: what bounds the memory for large images."""
FILES = 16
"""Image files that a thread decodes and scores in one go."""


class Scorer(ScoringModel, ImageExplainer):
    """Scores images with a model that ``adacl export`` wrote.

    It can be pickled, the model included, and called from several threads at once. With a model for
    video it refuses to score: that is what ``VideoAnomalyDetector.load`` takes.

    Parameters
    ----------
    path
        The exported file.
    backend
        ``onnxruntime`` or ``openvino``.
    threads
        Threads that decode and score side by side; by default one a processor.
    on_error
        What to do with a broken image file: ``fail``, or ``skip`` it with a warning; arrays of
        results are then shorter.

    Attributes
    ----------
    header : ModelHeader
        What the file says of itself, see ``docs/reference/model-file.md``.
    spec : ImageSpec
        Form of the images that the graph takes.
    tiling : Tiling or None
        How images are cut into tiles.
    threshold : Threshold
        Images with a higher score are called anomalous.
    content : bytes
        The file.

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
    ...     scores = pool.map(scorer, paths, chunksize=64)
    """

    def __init__(
        self,
        path: str | Path,
        *,
        backend: str = "onnxruntime",
        threads: int | None = None,
        on_error: OnError = "fail",
    ) -> None:
        if threads is not None and not (isinstance(threads, int | np.integer) and threads > 0):
            raise ConfigError(f"threads: need a whole number, at least 1, got {threads}")
        check_on_error(on_error)
        if backend not in BACKENDS:
            raise ConfigError(f"backend {backend!r}: need one of {', '.join(BACKENDS)}")
        self.path = Path(path)
        self.backend = backend
        self.threads = int(threads or processors())
        self.on_error = on_error
        self.content = unsealed(self.path)
        self._open()

    def _open(self) -> None:
        try:
            properties, kind, shape, outputs = read_graph(self.content)
            self.header = ModelHeader.from_dict(from_properties(properties))
            assert self.header.exported
            self._size, batch = self.header.exported.input_size, self.header.exported.batch
            self._least = smallest_side(self.header.config.network) if self.header.has_map else 1
            own = shape[1:3] if self.header.has_map else (self.spec.height, self.spec.width)
            form = [batch or shape[0], *(self._size or own), self.spec.channels]
            if shape != form or kind.replace("float", "float32") != f"tensor({self.spec.dtype})":
                raise ValueError(f"the graph takes {kind} {shape}, the header says {form}")
            if self.header.has_map != ("anomaly_map" in outputs):
                raise ValueError("the graph has a map and the header says none, or the reverse")
            self._run = open_backend(self.backend, self.content, self.threads, self._least)
        except MissingExtraError:
            raise
        except Exception as error:  # the engines raise classes of their own
            reason = " ".join(str(error).split())
            raise ModelFileError(f"{self.path}: not a sound exported model ({reason})") from error
        size = self._size or (self.spec.height, self.spec.width)
        pixels = math.prod(size) * self.spec.channels
        self._most = max(1, min(BATCH, PIXELS // pixels))
        self._batch = batch

    def __getstate__(self) -> dict[str, Any]:
        names = ("path", "backend", "threads", "on_error", "header", "content")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        header = state.pop("header")
        self.__dict__.update(state)
        self._open()
        self.header = header

    def __call__(self, image: str | Path | Array) -> ImageScore:
        """Score one image: a file, or pixels H x W or H x W x C."""
        if isinstance(image, str | Path):
            check_files(self._fitted().spec)
            decoded = self.decode(image)
            pixels, remark = decoded.pixels, decoded.remark
        else:
            pixels, remark = self._one(image), ""
        return next(self._scored([(None, pixels)]))[1].with_remark(remark)

    def look(self, images: Array, window: Window | None) -> Array:
        """Return the maps of pixels S x H x W x C from a window of images, or of whole ones."""
        height, width = images.shape[1:3]
        found = self._computed(images, "anomaly_map", window)
        return found[:, : (height + 1) // 2, : (width + 1) // 2]

    def raw(self, samples: Array) -> Array:
        """Return the raw regression (S,) of samples S x H x W x C, stored as ``spec`` says.

        Raises
        ------
        InputError
            If they do not have that form.
        """
        return self._side_by_side(self._raw, samples)

    def _raw(self, samples: Array) -> Array:
        """Return the raw regression (S,) of a few samples, in this thread."""
        if self.header.has_map:
            return self.peaks(self.maps(samples))
        return self._computed(samples, "raw_score").astype(float)

    def _side_by_side(self, compute: Callable[[Array], Array], samples: Array) -> Array:
        """Compute samples with several threads and return the results in order."""
        form = (*(self._size or samples.shape[1:3]), self.spec.channels)
        if samples.shape[1:] != form or samples.dtype.name != self.spec.dtype:
            raise InputError(
                f"samples: need S x {form} of {self.spec.dtype}, got {samples.shape} of "
                f"{samples.dtype}"
            )
        if not len(samples):
            return np.empty(0)
        size = min(_at_once(samples), max(8, math.ceil(len(samples) / self.threads)))
        parts = [samples[i : i + size] for i in range(0, len(samples), size)]
        if len(parts) < 2 or self.threads == 1:
            return np.concatenate([compute(part) for part in parts])
        with ThreadPoolExecutor(self.threads) as pool:  # one that lives on would not survive a fork
            return np.concatenate(list(pool.map(compute, parts)))

    def _computed(self, samples: Array, output: str, window: Window | None = None) -> Array:
        """Return an output of the graph for a few samples."""
        samples, size = self._continued(samples), self._batch or _at_once(samples)
        parts = [samples[i : i + size] for i in range(0, len(samples), size)]
        try:
            values = np.concatenate([self._run(part, output, window) for part in parts])
        except AdaclError:
            raise
        except Exception as error:  # the engines raise classes of their own
            if is_out_of_memory(error):
                raise MemoryError("not enough memory to score images") from error
            reason = " ".join(str(error).split())
            raise ModelFileError(f"{self.path}: its graph fails ({reason})") from error
        if not np.isfinite(values).all():
            raise ModelFileError(f"{self.path}: its scores are not finite; export or fit it again")
        return values

    def _continued(self, samples: Array) -> Array:
        """Extend images that are too small for a graph with a map by reflection."""
        height, width = samples.shape[1:3]
        if min(height, width) >= self._least:
            return samples
        rows, columns = reflected(height, self._least), reflected(width, self._least)
        return samples[:, rows[:, None], columns]

    @property
    def at_once(self) -> int:
        """Image files that a thread may hold decoded, so that memory stays bounded."""
        return 1 if self.tiling else self._most

    def score_files(
        self, paths: str | Path | Iterable[str | Path], skipped: list[Skipped] | None = None
    ) -> Iterator[FileScore]:
        """Score image files in order, with bounded memory; see :class:`ImageExplainer`.

        Every thread decodes some files and scores them, so that neither waits for the other.
        """
        check_files(self._fitted().spec)
        size = min(FILES, self.at_once)
        remaining = each_image(paths)
        parts = iter(lambda: list(islice(remaining, size)), [])

        def scores() -> Iterator[FileScore]:
            for _, future in in_order(parts, self._score_files, self.threads, ahead=2):
                for path, outcome in future.result():
                    if isinstance(outcome, ImageError):
                        pass_over(path, outcome, self.on_error, skipped)
                    else:
                        yield FileScore.of(path, outcome)

        yield from self._watched(scores())

    def _score_files(self, paths: Sequence[Path]) -> list[tuple[Path, ImageScore | ImageError]]:
        broken: dict[int, ImageError] = {}

        def decoded() -> Iterator[tuple[tuple[int, str], Array]]:
            for number, path in enumerate(paths):
                try:
                    image = self.decode(path)
                except ImageError as error:
                    broken[number] = error
                else:
                    yield (number, image.remark), image.pixels

        scores = self._scored(decoded(), alone=True)
        outcomes = broken | {
            number: score.with_remark(remark) for (number, remark), score in scores
        }
        return [(path, outcomes[number]) for number, path in enumerate(paths)]

    def score_decoded(
        self, images: Iterable[Array], threshold: float | None = None
    ) -> list[ImageScore]:
        """Score images as :meth:`decode` returns them, in this thread alone.

        Regions are those above ``threshold``, by default the model's.
        """
        scored = self._scored(enumerate(images), alone=True, threshold=threshold)
        return [score for _, score in scored]

    def _fitted(self) -> Scorer:
        self.header.check_kind(self.path, video=False)
        return self

    def _array(self, images: Any) -> Array:
        array = as_numbers(images)
        shape = (self.spec.height, self.spec.width, self.spec.channels)
        return as_images(array, shape if array.ndim == 2 else None)

    def _scored(
        self,
        images: Iterable[tuple[Identity, Array]],
        alone: bool = False,
        threshold: float | None = None,
    ) -> Iterator[tuple[Identity, ImageScore]]:
        compute = self.maps if self.header.has_map else self._raw
        outputs = compute if alone else partial(self._side_by_side, compute)
        return scores_of(images, outputs, self._fitted(), self._most * self.threads, threshold)


def _at_once(samples: Array) -> int:
    """Return how many samples a thread computes at once."""
    return max(1, min(BATCH, PIXELS // math.prod(samples.shape[1:])))
