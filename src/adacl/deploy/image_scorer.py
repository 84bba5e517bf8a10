"""The methods that score images, of the detector and of the scorer of an exported file."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from adacl.config.sections import finite
from adacl.data.arrays import is_paths, listed, pictures_of, without_tensors
from adacl.data.folders import ImageFiles
from adacl.data.images import Decoded, decode
from adacl.data.loaders import in_parts, loaded
from adacl.data.reading import OnError, Skipped
from adacl.errors import ImageError, InputError
from adacl.imaging.spec import MAX_PIXELS, Array
from adacl.model.gate import check_range, fitting, pictures_fitting
from adacl.model.scoring import FileScore, ImageScore, ScoringModel
from adacl.model.threshold import Threshold
from adacl.model.watch import Watch
from adacl.words import remark_on_threshold, were

Identity = TypeVar("Identity")

log = logging.getLogger("adacl")


class ImageScorer(ABC):
    """Scores arrays, files and folders of images, with the signs of scikit-learn."""

    on_error: OnError

    @abstractmethod
    def _fitted(self) -> ScoringModel:
        """Return the model that scores samples."""

    @abstractmethod
    def _array(self, images: Any) -> Array:
        """Return an array of images N x H x W x C, of whatever type, size and channels."""

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

    def _checked(self, images: Any, first: int = 0) -> Sequence[Array]:
        """Return an array, PIL images or tensors as images H x W x C that the model takes."""
        header = self._fitted().header
        if pictures := pictures_of(images):
            return pictures_fitting(pictures, header, first)
        return list(fitting(self._array(without_tensors(images)), header, first))

    def _streamed(self, images: Iterator[Any]) -> Iterator[Array]:
        """Yield images, as they come, as the model takes them."""
        first = 0
        for part in in_parts(images):
            yield from self._checked(part, first)
            first += len(part)

    def _one(self, image: Any) -> Array:
        """Return one image as :meth:`_checked` does: pixels, a PIL image or a tensor."""
        if pictures := pictures_of(image):
            return self._checked(pictures)[0]
        pixels = np.asarray(without_tensors(image))
        several = pixels.ndim > 3 or is_paths(image)
        if several or not (pixels.ndim and pixels.size):
            got = type(image).__name__
            if several:
                got += f" of shape {pixels.shape}; anomaly_score and score_files take several"
            raise InputError(
                "image: need one, as a path, pixels H x W or H x W x C, a PIL image or a tensor, "
                f"got {got}"
            )
        return self._checked(pixels[None])[0]

    def _watched(self, scores: Iterable[FileScore]) -> Iterator[FileScore]:
        """Pass on scores, and warn at the end if the images differ from those learnt."""
        watch = Watch(self._fitted().header)
        for score in scores:
            watch.see(score.path, score.remark, score.level)
            yield score
        watch.tell()

    def _raw_of(self, images: Iterable[Array]) -> list[float]:
        """Return the raw regression of images, and warn if they differ from those learnt."""
        watch, raw = Watch(self._fitted().header), []
        for number, score in self._scored(enumerate(images)):
            watch.see(f"image number {number}", score.remark, score.level)
            raw.append(score.raw)
        watch.tell()
        return raw

    def score_decoded(self, images: Iterable[Array]) -> list[ImageScore]:
        """Score images as :meth:`decode` returns them."""
        return [score for _, score in self._scored(enumerate(images))]

    def _score_of(self, path: Path, score: ImageScore, known: int) -> FileScore:
        """Return the score of a file whose pixels have a known digest."""
        return FileScore.of(path, score, digest=known)

    def decode(
        self,
        name: Path | str,
        content: bytes | None = None,
        most: int = MAX_PIXELS,
        colour: bool = False,
        sent: bool = True,
    ) -> Decoded:
        """Decode an image file as the model takes it; arguments as for ``data.images.decode``.

        Raises
        ------
        ImageError
            If it cannot be decoded, holds mostly values that were not learnt, has more pixels than
            ``most``, another aspect ratio than the model's mask, or a size that a model exported
            with ``--input-size`` does not take.
        """
        header = self._fitted().header
        spec, exported_for = header.spec, header.resized_by_graph
        resize = None if exported_for else header.resize
        image = decode(
            name, content, spec.channels, spec.dtype, resize, most, colour, spec.white, sent
        )
        if exported_for and (image.height, image.width) != exported_for:
            raise ImageError(
                f"{name}: {image.height}x{image.width} pixels, the model was exported with "
                f"--input-size {exported_for[0]}x{exported_for[1]}; export it without"
            )
        try:
            header.check_layout(image.height, image.width, str(name))
            check_range(image.pixels, header, str(name), image.header.dtype)
        except InputError as error:
            raise ImageError(str(error)) from error
        remark = header.learnt.remark_on_file(image.header, header.resize is not None)
        if not remark:
            return image
        return image._replace(remark="; ".join(filter(None, (image.remark, remark))))

    def anomaly_score(self, X: Any) -> Array:
        """Return the anomaly scores (N,) in [0, 1], higher for more anomalous images."""
        return np.clip(-self.score_samples(X), 0, 1)

    def score_samples(self, X: Any) -> Array:
        """Return scores (N,), higher for more normal images: the negative raw regression.

        Parameters
        ----------
        X
            An array or tensor N x H x W, N x H x W x C or N x C x H x W, a PIL image or a list of
            them, a folder of images, or a list or generator of image files and folders. Images of a
            generator, Dataset or DataLoader are scored as they come, in bounded memory.

        Raises
        ------
        InputError, DataError
            If an array does not go with the model, or a file cannot be read.
        """
        self._fitted()
        X = loaded(X)
        if isinstance(X, Iterator):
            first = list(islice(X, 1))
            X = chain(first, X)
            if first and not isinstance(first[0], str | Path):
                return -np.array(self._raw_of(self._streamed(X)), float)
        X = listed(X)
        if is_paths(X):
            skipped: list[Skipped] = []
            raw = [score.raw for score in self.score_files(ImageFiles(X), skipped)]
            if skipped:
                log.warning(
                    "%d of %d files %s skipped, so this array is shorter than the list of files; "
                    "score_files tells which file a score belongs to",
                    len(skipped), len(skipped) + len(raw), were(len(skipped)),
                )  # fmt: skip
        else:
            raw = self._raw_of(self._checked(X))
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
        offset = self.offset_
        if threshold is not None:
            offset = -finite("threshold", threshold)
            if remark := remark_on_threshold("threshold", threshold):
                log.warning("%s", remark)
        return np.where(self.score_samples(X) < offset, -1, 1)

    @property
    def threshold_(self) -> float:
        """The threshold on the anomaly score."""
        return self._fitted().threshold.value

    @property
    def offset_(self) -> float:
        """``-threshold_``, which ``decision_function`` subtracts."""
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
