"""``AnomalyDetector``: learn from normal images, score new ones; a scikit-learn estimator."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.utils.validation import check_array, validate_data

from adacl.config.presets import preset
from adacl.data.arrays import as_numbers, listed
from adacl.detector_parameters import OVERRIDDEN, Array
from adacl.errors import AdaclError, ConfigError, InputError
from adacl.image_detector import ImageDetector
from adacl.model.model import Model

__all__ = ["AnomalyDetector", "NotFittedError"]

OF_ROWS = ("n_features_in_", "feature_names_in_")
"""What scikit-learn notes of the array that was learnt."""


class NotFittedError(AdaclError, SklearnNotFittedError):  # type: ignore[misc]
    """The detector was used before ``fit`` or ``load``."""


class AnomalyDetector(ImageDetector, OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Detect anomalous images after learning from normal ones alone (ADACL).

    ``X`` is, everywhere, one of: an array N x H x W or N x H x W x C (uint8 and uint16 in their
    full scale, floats in [0, 1], or any other range, which is then learned), or a tensor of
    PyTorch, which may be N x C x H x W; a list or generator of PIL images, tensors or arrays of one
    size; a Dataset or DataLoader of PyTorch whose items are images or (image, ...); an array of
    flat rows N x F together with ``image_shape``; a folder of images; a list or generator of image
    files and folders; a Parquet, CSV or text file that names image files.

    In a grid search, settings of the method are parameters as well, such as
    ``config__training__epochs``.

    Parameters
    ----------
    preset
        Named configuration. ``paper`` is the published method, ``inspect`` its dense form for parts
        and surfaces; ``auto`` is ``paper`` for images whose shorter side is at most 64 pixels (the
        median counts) and for tiles, and ``inspect`` for larger ones.
    config
        A whole configuration, instead of a preset.
    epochs, fpr
        Override ``training.epochs`` and ``threshold.fpr`` of the configuration.
    image_shape
        (H, W) or (H, W, C) of flat rows. Without it a row is laid out as the smallest square
        that holds it, filled up with zeros.
    image_size
        Height and width that image files are resized to. By default those of any size are kept for
        a network with a map (``inspect``); for others their own size, if all have the same and it
        is at most 64 pixels, else their median shape, scaled to 64.
    tile
        Height and width of the tiles that large images are cut into.
    stride
        Pixels from one tile to the next; by default tiles do not overlap.
    top_k
        With tiles, the score of an image is the mean of its ``top_k`` highest tile scores.
    white_level
        The value of white in 16-bit images, such as 4095 of a camera of 12 bits: what becomes 1,
        and what white of 8-bit images is taken for. By default the range of values present is
        learnt, and white of 8-bit images is 65535.
    contamination
        ``auto`` sets the threshold from normals that are used neither for training nor for
        early stopping, at the rate ``fpr``. A share from 0 to 0.5 sets it so that this share of
        the training images is flagged.
    device
        ``auto``, ``cpu`` or ``cuda``.
    random_state
        Seed.
    mask
        Which part of images of one layout is looked at, with networks that have a map (the preset
        ``inspect``): a file, an array H x W or a PIL image, white where it is looked at. What is
        black is neither learnt nor judged. Images of another size need the same aspect ratio.
    group
        Which image files belong together, so that one tells little more than another: those of one
        ``folder``, or those whose names match a regular expression alike, see
        :func:`~adacl.data.groups.groups_of`. They stay on one side of every split, and count once
        for the threshold. By default each is by itself.
    on_error
        What to do with a broken image file: ``fail``, or ``skip`` it with a warning. Arrays of
        results are then shorter, which another warning says; :meth:`score_files` tells which file
        a score belongs to.
    checkpoints
        Folder for checkpoints; a training that was interrupted is continued from there.
    on_epoch
        Called after every epoch with the name of the training and its record. If it returns True,
        that training ends there, and the best network so far is kept.

    Attributes
    ----------
    model_ : Model
        Network, threshold and provenance.
    threshold_ : float
        Images with a higher score are called anomalous.
    offset_ : float
        ``-threshold_``: ``decision_function`` is ``score_samples`` minus this.
    n_features_in_ : int
        Number of values in an image, when fitted on an array.

    References
    ----------
    Khazaie, Wong, Mohsenzadeh: Augment to Detect Anomalies with Continuous Labelling, 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> digits = load_digits()
    >>> threes = digits.images[digits.target == 3]
    >>> detector = AnomalyDetector(epochs=2).fit(threes[:150])
    >>> detector.anomaly_score(digits.images[:5]).shape
    (5,)
    """

    def set_params(self, **params: Any) -> Self:
        """Set parameters, and settings of the method as ``config__section__name``.

        ``get_params`` returns the whole method as ``config``, not each of its settings.

        Raises
        ------
        ConfigError
            If a setting does not exist or its value is not valid, or the preset is ``auto``, which
            is known only once the images are.
        ValueError
            If there is no such parameter.
        """
        settings = {name: params.pop(name) for name in [*params] if name.startswith("config__")}
        super().set_params(**params)
        for name, own in OVERRIDDEN.items():
            if f"config__{name}" in settings and getattr(self, own) is not None:
                raise ConfigError(
                    f"config__{name}: {own}={getattr(self, own)} overrides it; leave {own} out"
                )
        if settings:
            if self.config is None and self.preset == "auto":
                raise ConfigError(
                    f"{next(iter(settings))}: settings of the preset auto cannot be changed; name "
                    "another preset (preset='paper'), or pass a config"
                )
            method = self.config or preset(self.preset)
            changes = {name.removeprefix("config__"): value for name, value in settings.items()}
            self.config = method.replace(**changes)
        return self

    def fit(  # noqa: D102, that of ImageDetector is inherited
        self, X: Any, y: object = None, groups: ArrayLike | None = None
    ) -> Self:
        state = self.__dict__
        before = {name: state.pop(name) for name in OF_ROWS if name in state}
        try:
            return super().fit(X, y, groups)
        except BaseException:
            for name in OF_ROWS:
                state.pop(name, None)
            state.update(before)
            raise

    def fit_predict(self, X: Any, y: object = None, **kwargs: Any) -> Array:
        """Learn from images and return +1 or -1 for each of them (N,)."""
        X = listed(X)
        labels: Array = self.fit(X, y, **kwargs).predict(X)
        return labels

    def __sklearn_tags__(self) -> Any:
        """Declare the accepted input to scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _fitted(self) -> Model:
        if not hasattr(self, "model_"):
            raise NotFittedError("this AnomalyDetector is not fitted yet; call fit or load first")
        return super()._fitted()

    def _numbers(self, X: Any, reset: bool) -> Array:
        array: Array
        shape = as_numbers(X).shape
        if len(shape) == 2:
            if not reset and self._is_one(shape):
                raise InputError(
                    f"images of shape {shape}: this looks like one image; pass N x H x W, with "
                    "N = 1 for one image"
                )
            array = validate_data(self, X, reset=reset)
        else:
            array = check_array(X, allow_nd=True)
            if reset:
                self.n_features_in_ = int(np.prod(array.shape[1:]))
        return array

    def _is_one(self, shape: tuple[int, ...]) -> bool:
        """Tell whether a shape is that of one grey image, and not of the rows that were learnt."""
        header, rows = self.header, getattr(self, "n_features_in_", shape[1])
        usual = shape == (header.spec.height, header.spec.width)
        return shape[1] != rows and (usual or header.any_size)
