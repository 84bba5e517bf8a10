"""The maps of images, of a detector or of the scorer of an exported file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adacl.data.arrays import is_one_in_colour, is_paths, listed, pictures_of, without_tensors
from adacl.data.copies import digest
from adacl.data.folders import each_image
from adacl.data.images import Decoded
from adacl.data.reading import Skipped, stream
from adacl.deploy.image_scorer import ImageScorer
from adacl.errors import InputError
from adacl.explain.heatmap import overlay, resized
from adacl.explain.maps import Method, anomaly_map
from adacl.imaging.spec import Array
from adacl.model.gate import check_files
from adacl.model.scoring import FileScore
from adacl.model.watch import Watch


class Explained(NamedTuple):
    """The score of an image file, its anomaly map H x W, and the image as shown, H x W x 3."""

    score: FileScore
    anomaly_map: NDArray[np.float32]
    shown: NDArray[np.uint8]


class ImageExplainer(ImageScorer):
    """Scores images, and shows what in them is anomalous."""

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
        watch = Watch(model.header)
        for path, image in stream(each_image(paths), read, self.on_error, skipped, workers=1):
            [(_, score)] = self._scored([(path, image.pixels)])
            score = score.with_remark(image.remark)
            watch.see(path, score.remark, score.level)
            known = digest(image.pixels)
            assert image.colour is not None
            yield Explained(
                self._score_of(path, score, known),
                self._map_of(image, method),
                model.spec.visible(image.colour),
            )
        watch.tell()

    def heat_map(self, image: Decoded, raw: float) -> NDArray[np.uint8]:
        """Return an image H x W x 3 under its heat map, in its own size.

        Parameters
        ----------
        image
            As :meth:`decode` returns it, asked for ``colour``.
        raw
            Its raw score: if it is above the threshold, what is anomalous is outlined.
        """
        header, limit = self._fitted().header, self.threshold_
        assert image.colour is not None
        shown = header.spec.visible(image.colour)
        values = self._map_of(image, "occlusion")
        return overlay(shown, values, header.map_scale, limit if raw > limit else None)

    def anomaly_map(
        self, image: str | Path | Array | Sequence[str | Path], method: Method = "occlusion"
    ) -> NDArray[np.float32]:
        """Return the anomaly map of an image, H x W in its own size.

        Its values are raw scores less the usual one, ``header.map_scale.usual``.

        Parameters
        ----------
        image
            A file, or pixels H x W or H x W x C, or a PIL image; what is not of the model's size
            is mapped in it. Of several of one size, an array N x H x W, N x H x W x C or a list of
            files or PIL images, the maps are returned, N x H x W.
        method
            ``occlusion``, or ``gradient``, which needs the model file; see
            :func:`adacl.explain.maps.anomaly_map`.
        """
        model = self._fitted()
        if not isinstance(image, str | Path):
            several = listed(image)
            if not _is_batch(several, model.spec.channels):
                return self._map_of_one(several, method)
            each = self.anomaly_map if is_paths(several) else self._map_of_one
            maps = [each(one, method) for one in several]
            if not maps:
                raise InputError("images: there are none")
            if len({each_map.shape for each_map in maps}) > 1:
                raise InputError("images of several sizes; use explain_files")
            return np.stack(maps)
        check_files(model.spec)
        return self._map_of(self.decode(image), method)

    def _map_of_one(self, image: Any, method: Method) -> NDArray[np.float32]:
        model = self._fitted()
        values = anomaly_map(model, self._one(image), method)
        return resized(values, *(_size_of(image, model.spec.channels) or values.shape))

    def _map_of(self, image: Decoded, method: Method) -> NDArray[np.float32]:
        values = anomaly_map(self._fitted(), image.pixels, method)
        return resized(values, image.height, image.width)


def _is_batch(images: Any, channels: int) -> bool:
    """Tell whether these are files, or images N x H x W (x C), rather than a single one."""
    if isinstance(images, Image.Image):
        return False
    if is_paths(images) or pictures_of(images):
        return True
    array = without_tensors(images)
    shape = np.shape(array)
    if len(shape) != 3 or is_one_in_colour(shape) or channels != 1:
        return len(shape) == 4
    return shape[2] != 1 and (shape[0] != 1 or array is images)


def _size_of(image: Any, channels: int) -> tuple[int, int] | None:
    """Return the height and width of pixels H x W, H x W x C or C x H x W, or of a PIL image.

    None of a flat row, which has none.
    """
    if pictures := pictures_of(image):
        return pictures[0].height, pictures[0].width
    shape = np.shape(without_tensors(image))
    if len(shape) == 3 and shape[0] == channels != shape[2]:
        shape = shape[1:]
    return None if len(shape) == 1 else (shape[0], shape[1])
