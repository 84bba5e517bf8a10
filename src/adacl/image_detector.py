"""Learn from normal images, and score new ones: what of it needs no scikit-learn."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from adacl.data.arrays import (
    as_images,
    as_numbers,
    channels_last,
    check_precision,
    is_paths,
    listed,
    pictures_as_array,
    pictures_of,
    without_tensors,
)
from adacl.data.copies import digest
from adacl.data.folders import ImageFiles, each_image, list_images
from adacl.data.groups import check_rule, groups_of
from adacl.data.masks import region_of_interest
from adacl.data.pixels import header_of
from adacl.data.reading import OnError, Skipped, check_on_error, stream
from adacl.data.training_set import ProbedFiles, probe_files, tell_mixed
from adacl.deploy.image_explainer import ImageExplainer
from adacl.detector_parameters import (
    Array,
    DetectorParameters,
    check_on_epoch,
    checked_seed,
    checked_size,
)
from adacl.errors import ConfigError, InputError
from adacl.files import make_folder
from adacl.imaging.spec import check_white
from adacl.model.calibration import (
    Scored,
    calibrated,
    check_rates,
    promises_less,
    setting_digests,
    tell_learnt_defects,
)
from adacl.model.file import load_model, save_model
from adacl.model.gate import ONLY_ARRAYS, check_files
from adacl.model.header import ModelHeader
from adacl.model.history import History
from adacl.model.info import notes, weakness
from adacl.model.model import Model
from adacl.model.scoring import FileScore, ImageScore
from adacl.model.threshold import Threshold
from adacl.networks.devices import resolve_device
from adacl.training.fit import fit_model
from adacl.training.normals import Normals, normals_of_array, normals_of_files, numbered

Identity = TypeVar("Identity")
log = logging.getLogger("adacl")


class ImageDetector(DetectorParameters, ImageExplainer):
    """Detect anomalous images after learning from normal ones alone (ADACL).

    For the parameters see :class:`~adacl.detector.AnomalyDetector`, which is one for scikit-learn.
    The commands use this one, which starts sooner.
    """

    model_: Model

    def fit(self, X: Any, y: object = None, groups: ArrayLike | None = None) -> Self:
        """Learn from normal images.

        Parameters
        ----------
        X
            Normal images, see the class; or files that :func:`~adacl.data.training_set.probe_files`
            looked at already.
        y
            Ignored: all images are learnt as normal, and a warning says so if labels differ.
        groups
            A label (n,) for each image of an array; images of one label belong together, as files
            do by ``group``.

        Raises
        ------
        ConfigError, InputError
            If a parameter or the array is not valid.
        DataError
            If files cannot be used, the folder for checkpoints cannot be made, or there are fewer
            than four images or groups.
        MissingDataError
            If the mask is not there.
        ModelFileError
            If a checkpoint is damaged, or belongs to other images or settings.
        TrainingError
            If the loss is no longer finite.
        """
        contamination = self._contamination()
        if (count := len({str(label) for label in np.ravel(np.asarray(y, object))})) > 1:
            log.warning(
                "y has %d different labels, and is ignored: all images are learnt as normal; leave "
                "out those that are not", count,
            )  # fmt: skip
        normals = self._normals(listed(X), groups)
        seed = checked_seed(self.random_state)
        checkpoints = Path(self.checkpoints) if self.checkpoints else None
        if checkpoints:
            make_folder(checkpoints)
        self.model_ = fit_model(
            normals.samples,
            normals.config,
            tiling=self._tiling(),
            resize=normals.resize,
            contamination=contamination,
            groups=normals.groups,
            seed=seed,
            device=resolve_device(self.device),
            checkpoints=checkpoints,
            on_epoch=self.on_epoch,
            seen=normals.seen,
        )
        if self.group is not None:
            self.header.training["group"] = self.group
        weak = weakness(self.header)
        for line in notes(self.header):
            log.log(logging.WARNING if line in weak else logging.INFO, line)
        if self.header.spec.dtype == "float32":
            log.info(ONLY_ARRAYS)
        if odd := self.header.training.get("odd"):
            log.info(
                "look at the normal images that seem least normal, the worst first; if one is not "
                "normal, take it out and fit again: %s",
                ", ".join(str(normals.paths[n]) if normals.paths else f"number {n}" for n in odd),
            )
        return self

    def _normals(self, X: Any, groups: ArrayLike | None) -> Normals:
        """Return the normal images of a fit, once the parameters are checked."""
        if self.white_level is not None:
            check_white(self.white_level)
        if self.group is not None:
            check_rule(self.group)
        check_on_error(self.on_error)
        check_on_epoch(self.on_epoch)
        resolve_device(self.device)
        tiling, image_size = self._tiling(), checked_size("image_size", self.image_size)
        mask = region_of_interest(self.mask)
        if not (isinstance(X, ProbedFiles) or is_paths(X)):
            if self.group is not None:
                raise ConfigError("group: it names files; with arrays, give fit labels as groups")
            pictures = pictures_of(X) or []
            headers = [header_of(picture) for picture in pictures]
            if pictures:
                tell_mixed(headers, self.white_level)
                array = pictures_as_array(pictures, self.white_level or 65535)
            else:
                array = without_tensors(X)
            images = self._images(array, reset=True)
            if image_size not in (None, images.shape[1:3]):
                raise ConfigError("image_size: arrays keep their size; resize them, or pass files")
            return normals_of_array(
                images,
                self._config,
                tiling=tiling,
                white=self.white_level,
                groups=groups,
                colours=tuple(sorted({header.channels for header in headers})),
                mask=mask,
            )
        _check_no_labels(groups)
        if self.image_shape is not None:
            raise ConfigError("image_shape: it is the shape of flat rows; with files leave it out")
        return normals_of_files(
            X if isinstance(X, ProbedFiles) else probe_files(list_images(X), self.on_error),
            self._config,
            tiling=tiling,
            image_size=image_size,
            white=self.white_level,
            group=self.group,
            on_error=self.on_error,
            mask=mask,
        )

    @property
    def header(self) -> ModelHeader:
        """The header of the model, as its file will hold it."""
        return self._fitted().header

    @property
    def history_(self) -> History:
        """The epochs of the training."""
        return self.header.history

    def calibrate(
        self,
        X: Any,
        fpr: float | None = None,
        groups: ArrayLike | None = None,
        *,
        defects: Any = None,
        find: float | None = None,
    ) -> Self:
        """Set the threshold anew from normal images, without retraining.

        Parameters
        ----------
        X
            Normal images; those that were trained on are left out, exact copies count once.
        fpr
            False-positive rate; by default the one of the configuration.
        groups
            A label (n,) for each image of an array, see :meth:`fit`; for files the parameter
            ``group`` tells.
        defects
            A few labelled defects, in any of the forms of ``X``. They tell which share of such
            defects is found; the network learns nothing from them.
        find
            Set the threshold so that this share of the defects is found, instead of ``fpr``; the
            normal images then tell how many of them are flagged.

        Raises
        ------
        ConfigError
            If both rates are given, one of them is out of range, or ``find`` without defects.
        DataError
            If an image is both normal and a defect, or all normal images were trained on.
        """
        check_rates(fpr, find, defects is not None)
        normals = self._for_threshold(X, groups)
        if "groups" in self.header.training and normals.groups is None:
            log.warning("the model was fitted with groups, and is now calibrated without")
        learnt = self._fitted().learnt
        normals = normals.unlearnt([digest in learnt for digest in normals.digests])
        shown = None if defects is None else self._for_threshold(defects, None)
        if shown:
            tell_learnt_defects(sum(digest in learnt for digest in shown.digests))
        rule = self._fitted().config.threshold
        threshold = calibrated(normals, shown, rule, fpr, find)
        if less := promises_less(self.header.threshold, threshold):
            log.warning(less)
        for line in threshold.notes():
            log.info(line)
        return self.set_threshold(threshold, setting_digests(normals, shown, find))

    def set_threshold(
        self, threshold: float | Threshold, set_by: frozenset[int] = frozenset()
    ) -> Self:
        """Replace the threshold.

        Parameters
        ----------
        threshold
            A raw score, or what :meth:`calibrate` found.
        set_by
            Digests of the images that set it; those kept before go with the threshold before.

        Raises
        ------
        ConfigError
            If it is not finite.
        """
        model = self._fitted()
        before = model.threshold
        super().set_threshold(threshold)
        if set_by or model.threshold != before:
            model.set_by = set_by
        return self

    def _for_threshold(self, X: Any, groups: ArrayLike | None) -> Scored:
        X = listed(X)
        if is_paths(X):
            _check_no_labels(groups)
            files = list(self.score_files(ImageFiles(X)))
            paths = [score.path for score in files]
            together = None if self.group is None else groups_of(paths, self.group)
            return Scored([f.raw for f in files], [f.digest for f in files], together)
        images = self._checked(X)
        together = None if groups is None else numbered(groups, len(images))
        return Scored(self._raw_of(images), [digest(image) for image in images], together)

    def score_files(
        self, paths: str | Path | Iterable[str | Path], skipped: list[Skipped] | None = None
    ) -> Iterator[FileScore]:
        """Score image files in order, decoding in parallel; see :class:`ImageExplainer`."""
        model = self._fitted()
        check_files(model.spec)

        def decoded() -> Iterator[tuple[tuple[Path, int, str], Array]]:
            for path, image in stream(each_image(paths), self.decode, self.on_error, skipped):
                yield (path, digest(image.pixels), image.remark), image.pixels

        yield from self._watched(
            self._score_of(path, score.with_remark(remark), known)
            for (path, known, remark), score in model.scores(decoded())
        )

    def _score_of(self, path: Path, score: ImageScore, known: int) -> FileScore:
        model = self._fitted()
        trained_on = known in model.learnt if model.learnt else None
        return FileScore.of(path, score, trained_on, known, known in model.set_by)

    def save(self, path: str | Path) -> None:
        """Write the model to one file, see :mod:`adacl.model.file`."""
        save_model(self._fitted(), path)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto", on_error: OnError = "fail") -> Self:
        """Return a fitted detector from a model file.

        Raises
        ------
        MissingDataError, ModelFileError
            If the file is not there, or not sound.
        ConfigError
            If ``on_error`` is neither ``skip`` nor ``fail``.
        """
        check_on_error(on_error)
        return cls.from_model(load_model(path, device), device=device, on_error=on_error)

    @classmethod
    def from_model(cls, model: Model, *, device: str = "auto", on_error: OnError = "fail") -> Self:
        """Return a fitted detector for a model; ``device`` is used if it is fitted again."""
        tiling, threshold = model.tiling, model.threshold
        share = threshold.fpr if threshold.method == "contamination" else None
        detector = cls(
            config=model.config,
            image_size=model.header.resize,
            tile=(tiling.height, tiling.width) if tiling else None,
            stride=tiling.stride if tiling else None,
            top_k=tiling.top_k if tiling else 1,
            white_level=model.spec.white if model.spec.white < 65535 else None,
            contamination="auto" if share is None else share,
            mask=None if model.header.mask is None else model.header.mask.pixels,
            device=device,
            random_state=model.header.training.get("seed", 0),
            group=model.header.training.get("group"),
            on_error=on_error,
        )
        detector.model_ = model
        return detector

    def _fitted(self) -> Model:
        return self.model_

    def _array(self, images: Any) -> Array:
        return self._images(images, reset=False)

    def _scored(
        self, images: Iterable[tuple[Identity, Array]]
    ) -> Iterator[tuple[Identity, ImageScore]]:
        return self._fitted().scores(images)

    def _numbers(self, X: Any, reset: bool) -> Array:
        """Return an array of rows or images; with ``reset`` it is the one to learn from."""
        return as_numbers(X)

    def _images(self, X: Any, reset: bool) -> Array:
        array = self._numbers(X, reset)
        if array.ndim == 2:
            values = array.shape[1]
            if reset and self.image_shape is None and math.isqrt(values) ** 2 != values:
                log.warning(
                    "each of the %d rows is taken for a flat image, and %d values make no square; "
                    "is this one image, put it in a list, else say image_shape=(H, W)",
                    len(array),
                    values,
                )
        if reset:
            check_precision(array)
        images = as_images(array, self.image_shape)
        if reset:
            images = channels_last(images)
            form, size = images.shape[1:], images.shape[1:3]
            shape = self.image_shape if array.ndim != 2 else None
            if shape is not None and not any(np.array_equal(shape, own) for own in (form, size)):
                raise ConfigError(
                    "image_shape: it is the shape of flat rows, and these are images of "
                    f"{size[0]} x {size[1]}; leave it out"
                )
            return images
        spec = self._fitted().spec
        learnt = (spec.height, spec.width, spec.channels)
        if array.ndim == 2 and not hasattr(self, "n_features_in_") and images.shape[1:] != learnt:
            raise InputError(
                f"rows of shape {array.shape} do not go with a model that takes {learnt}; pass "
                "N x H x W, with N = 1 for one image"
            )
        return images


def _check_no_labels(groups: ArrayLike | None) -> None:
    """Check that files come without labels of groups."""
    if groups is not None:
        raise ConfigError("groups: labels go with arrays; for files set the parameter group")
