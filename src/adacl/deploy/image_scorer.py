"""What the detector and the scorer of an exported file have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from adacl.config.sections import finite
from adacl.data.arrays import is_paths, listed
from adacl.data.copies import digest
from adacl.data.folders import ImageFiles, OnError, Skipped, each_image, stream
from adacl.data.images import MAX_PIXELS, Decoded, decode
from adacl.errors import ImageError, InputError
from adacl.explain.heatmap import resized
from adacl.explain.maps import Method, anomaly_map
from adacl.imaging.spec import Array
from adacl.model.scoring import FileScore, ImageScore, ScoringModel, check_files
from adacl.model.thresholds import Threshold

Identity = TypeVar("Identity")


class Explained(NamedTuple):
    """The score of an image file, its anomaly map H x W, and itself as people see it, H x W x 3."""

    score: FileScore
    anomaly_map: NDArray[np.float32]
    shown: NDArray[np.uint8]


class ImageScorer(ABC):
    """Scores arrays, files and folders of images, with the signs of scikit-learn."""

    on_error: OnError

    @abstractmethod
    def _fitted(self) -> ScoringModel:
        """Return what scores samples."""

    @abstractmethod
    def _checked(self, array: Any) -> Array:
        """Return an array as images N x H x W x C that the model takes."""

    @abstractmethod
    def _scored(
        self, images: Iterable[tuple[Identity, Array]]
    ) -> Iterator[tuple[Identity, ImageScore]]:
        """Score images H x W x C one after another, in the order given."""

    @abstractmethod
    def score_files(
        self, paths: str | Path | Iterable[str | Path], skipped: list[Skipped] | None = None
    ) -> Iterator[FileScore]:
        """Score image files in order, decoding in parallel with bounded memory.

        Parameters
        ----------
        paths
            Image files and folders, one or several.
        skipped
            Receives the broken files, each with the reason, when ``on_error`` is ``skip``.

        Yields
        ------
        FileScore
        """

    def score_decoded(self, images: Iterable[Array]) -> list[ImageScore]:
        """Score images as :meth:`decode` returns them."""
        return [score for _, score in self._scored(enumerate(images))]

    def explain_files(
        self,
        paths: str | Path | Iterable[str | Path],
        skipped: list[Skipped] | None = None,
        method: Method = "occlusion",
    ) -> Iterator[Explained]:
        """Score image files one by one and map them; each is decoded once.

        Parameters
        ----------
        paths, skipped
            As for :meth:`score_files`.
        method
            As for :meth:`anomaly_map`.
        """
        model = self._fitted()
        check_files(model.spec)
        read = partial(self.decode, colour=True)
        for path, image in stream(each_image(paths), read, self.on_error, skipped, workers=1):
            [(_, score)] = self._scored([(path, image.pixels)])
            known = digest(image.pixels)
            assert image.colour is not None
            yield Explained(
                FileScore.of(path, score, self._trained_on(known), known),
                self._map_of(image, method),
                model.spec.visible(image.colour),
            )

    def _trained_on(self, _digest: int) -> bool | None:
        """Tell whether the model was fitted on an image of this digest, if that is known."""
        return None

    def decode(
        self,
        name: Path | str,
        content: bytes | None = None,
        most: int = MAX_PIXELS,
        colour: bool = False,
    ) -> Decoded:
        """Decode an image file as the model takes it; arguments as for ``data.images.decode``.

        Raises
        ------
        ImageError
            If it cannot be decoded, has more pixels than ``most``, or a size that a model exported
            with ``--input-size`` does not take.
        """
        header = self._fitted().header
        spec, resize = header.spec, header.resize
        given = header.exported.input_size if header.exported else None
        if given == (spec.height, spec.width):
            given = None
        if given:
            resize = None  # the graph resizes
        image = decode(name, content, spec.channels, spec.dtype, resize, most, colour)
        if given and (image.height, image.width) != given:
            raise ImageError(
                f"{name}: {image.height}x{image.width} pixels, the model was exported with "
                f"--input-size {given[0]}x{given[1]}; export it without"
            )
        return image

    def anomaly_score(self, X: Any) -> Array:
        """Return the anomaly scores (N,) in [0, 1], higher for more anomalous images."""
        return np.clip(-self.score_samples(X), 0, 1)

    def score_samples(self, X: Any) -> Array:
        """Return scores (N,), higher for more normal images: the negative raw regression.

        Parameters
        ----------
        X
            An array N x H x W or N x H x W x C, a folder of images, or a list or generator of
            image files and folders.

        Raises
        ------
        InputError, DataError
            If an array does not go with the model, or a file cannot be read.
        """
        self._fitted()
        X = listed(X)
        if is_paths(X):
            raw = [score.raw for score in self.score_files(ImageFiles(X))]
        else:
            raw = [score.raw for _, score in self._scored(enumerate(self._checked(X)))]
        return -np.array(raw, float)

    def decision_function(self, X: Any) -> Array:
        """Return ``score_samples(X) - offset_`` (N,), negative for outliers."""
        scores = self.score_samples(X)
        return scores - self.offset_

    def predict(self, X: Any, threshold: float | None = None) -> Array:
        """Return +1 for normal and -1 for anomalous images (N,).

        Parameters
        ----------
        X
            Images, as for :meth:`score_samples`.
        threshold
            Used instead of the model's own.

        Raises
        ------
        ConfigError
            If the threshold is not finite.
        """
        offset = self.offset_ if threshold is None else -finite("threshold", threshold)
        return np.where(self.score_samples(X) < offset, -1, 1)

    def anomaly_map(
        self, image: str | Path | Array | Sequence[str | Path], method: Method = "occlusion"
    ) -> NDArray[np.float32]:
        """Return which places of an image make it anomalous, H x W in its own size.

        Parameters
        ----------
        image
            A file, or pixels H x W or H x W x C. Of several of one size, an array N x H x W,
            N x H x W x C or a list of files, the maps are returned, N x H x W.
        method
            ``occlusion``, or ``gradient``, which needs the model file; see
            :func:`adacl.explain.maps.anomaly_map`.
        """
        model = self._fitted()
        if not isinstance(image, str | Path):
            several = listed(image)
            if _is_batch(several, model.spec.channels):
                maps = [self.anomaly_map(one, method) for one in several]
                if len({found.shape for found in maps}) > 1:
                    raise InputError("images of several sizes; use explain_files")
                return np.stack(maps)
            return anomaly_map(model, self._checked(np.asarray(image)[None])[0], method)
        check_files(model.spec)
        return self._map_of(self.decode(image), method)

    def _map_of(self, image: Decoded, method: Method) -> NDArray[np.float32]:
        found = anomaly_map(self._fitted(), image.pixels, method)
        return resized(found, image.height, image.width)

    @property
    def threshold_(self) -> float:
        """The threshold on the anomaly score."""
        return self._fitted().threshold.value

    @property
    def offset_(self) -> float:
        """``-threshold_``, of which ``decision_function`` tells the distance."""
        return -self.threshold_

    def set_threshold(self, threshold: float | Threshold) -> Self:
        """Replace the threshold.

        Raises
        ------
        ConfigError
            If it is not finite.
        """
        model = self._fitted()
        if not isinstance(threshold, Threshold):
            threshold = model.threshold.moved_to(threshold)
        model.header = model.header.with_threshold(threshold)
        return self


def _is_batch(images: Any, channels: int) -> bool:
    """Tell whether these are files, or pixels N x H x W (x C), rather than those of one image."""
    if is_paths(images):
        return True
    shape = np.shape(images)
    return len(shape) == 4 or (len(shape) == 3 and channels == 1 != shape[2])
