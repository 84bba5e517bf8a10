"""From normal samples to a model: split the normals, train, set the threshold.

The normals are split by image, never by tile, into those to learn from, those for early
stopping, and those for the threshold; exact copies and groups stay together. Where there are too
few to spare any for the threshold, it comes from cross-fitting: further networks, each trained
without one fold, score that fold.
A network with a map keeps its last epoch, so early stopping uses none of its normals, and those
held out for it set the threshold as well: one training is enough.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from adacl._version import __version__
from adacl.config import Config, ThresholdConfig
from adacl.data.arrays import SMALLEST_SET
from adacl.data.copies import distinct
from adacl.data.groups import joined
from adacl.data.samples import Samples
from adacl.errors import DataError
from adacl.imaging.tiles import Tiling
from adacl.model import threshold_rules
from adacl.model.header import ModelHeader
from adacl.model.learnt import Learnt
from adacl.model.model import Model
from adacl.model.peak_scale import PeakScale
from adacl.model.threshold import Threshold
from adacl.networks.build import Network
from adacl.networks.regressor import Regressor, count_parameters
from adacl.training.activations import activation_maxima, watched
from adacl.training.alignment import settled
from adacl.training.fitting import Fitting, OnEpoch
from adacl.training.least_normal import least_normal, some_of
from adacl.training.sensitivity import sensitivity
from adacl.training.splits import Images, Split, fold_splits, split
from adacl.words import plural

MOST_DIGESTS = 100_000
MOST_WATCHED = 64

log = logging.getLogger("adacl")


def fit_model(
    samples: Samples,
    config: Config,
    *,
    tiling: Tiling | None = None,
    resize: tuple[int, int] | None = None,
    contamination: float | None = None,
    groups: NDArray[np.intp] | None = None,
    seed: int = 0,
    device: torch.device | None = None,
    checkpoints: Path | None = None,
    on_epoch: OnEpoch | None = None,
    seen: Learnt | None = None,
) -> Model:
    """Train a model on normal samples.

    Parameters
    ----------
    samples
        The samples.
    config
        The method; the preset ``accurate`` is first settled, see :mod:`adacl.training.alignment`.
    tiling
        How the samples were cut from images, if they were.
    resize
        Height and width that image files were resized to, if they were.
    contamination
        Share of the images to be flagged by the threshold. None sets it from normals that the
        network did not see.
    groups
        The group of each image (N,), from 0: images of one group stay on one side of every split,
        and count once for the threshold.
    seed
        Decides everything random.
    device
        Where to train; the CPU by default.
    checkpoints
        Folder for checkpoints; trainings found there are continued.
    on_epoch
        Called after every epoch with the name of the training (``network``, ``fold 1``, ...)
        and its record; ends that training by returning True.
    seen
        What is known of the images before they became samples: their sizes and colours.

    Raises
    ------
    DataError
        If there are fewer than four images, copies not counted, or fewer than four groups.
    ConfigError, InputError, ModelFileError, TrainingError
        As :func:`adacl.training.loop.train` does.
    """
    count = _count(samples)
    first, unit = _units(samples, count, groups)
    split_of_units = split(int(unit.max()) + 1, config, contamination is None, seed)
    kept = split_of_units.of_images(first, unit)
    rule, size = config.threshold, config.training.validation_size
    fitting = Fitting(
        samples,
        settled(config, samples.of(kept.train), seed),
        tiling,
        resize,
        seed,
        device or torch.device("cpu"),
        checkpoints,
        on_epoch,
    )
    network, history = fitting.train("network", kept)
    scale = fitting.peak_scale(network, kept.train)
    grouped = groups is not None
    if contamination is not None:
        scores = fitting.score(network, np.arange(count), scale)
        outcome = _Outcome(threshold_rules.from_contamination(scores, contamination))
    elif len(kept.calibration):
        outcome = _held_out(fitting, network, scale, kept, rule, unit, grouped)
    else:
        splits = fold_splits(int(unit.max()) + 1, size, rule.folds, seed)
        folds = [fold.of_images(first, unit) for fold in splits]
        outcome = _cross_fitted(fitting, folds, rule, unit if grouped else None)
        outcome = outcome.checked(fitting.score(network, kept.validation, scale))
    config, learnt = fitting.config, Learnt.of(samples).joined(seen or Learnt())
    facts = {
        "adacl": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "seed": seed,
        "device": fitting.device.type,
        "images": count,
        "distinct": len(first),
        **({} if groups is None else {"groups": int(unit.max()) + 1}),
        "samples": len(samples),
        "train": len(kept.train),
        "validation": len(kept.validation),
        "calibration": len(kept.calibration),
        "validation_flagged": outcome.flagged,
        "validation_highest": outcome.highest,
        "parameters": count_parameters(network),
        "learnt": learnt.to_dict(),
        **({"odd": list(outcome.odd)} if fitting.dense else {}),
    }
    header = ModelHeader(
        samples.spec,
        config,
        tiling,
        resize,
        outcome.threshold,
        history,
        facts,
        _largest_activations(fitting, network, scale, kept),
        mask=samples.mask,
        peak_scale=scale,
    )
    model = Model(network, header, samples.digests[:MOST_DIGESTS])
    if contamination is None:
        unseen = np.sort(kept.calibration if len(kept.calibration) else kept.validation)
        if found := sensitivity(model, samples, unseen):
            facts["sensitivity"] = found.to_dict()
    return model


def _largest_activations(
    fitting: Fitting, network: Network, scale: PeakScale, kept: Split
) -> tuple[float, ...]:
    """Return what an 8-bit export is scaled by, from images that were not learnt, if there are."""
    if isinstance(network, Regressor):
        validation = fitting.samples.of(kept.validation)
        return activation_maxima(network, validation, fitting.config.anomalies, fitting.seed)
    shown = kept.calibration if len(kept.calibration) else kept.train
    with watched(network) as largest:
        fitting.score(network, shown[:: 1 + len(shown) // MOST_WATCHED], scale)
    return tuple(largest)


def _count(samples: Samples) -> int:
    """Return the number of images, if they are enough to learn from."""
    count = int(samples.owner.max()) + 1
    if count < SMALLEST_SET:
        raise DataError(
            f"at least {SMALLEST_SET} normal images are needed, got {plural(count, 'sample')}; a "
            "hundred or more are advisable"
        )
    return count


def _units(samples: Samples, count: int, groups: Images | None) -> tuple[Images, Images]:
    """Return which images stay together: copies and groups.

    Returns
    -------
    first, unit
        The index of the first of each distinct image, and the unit of each image (N,).

    Raises
    ------
    DataError
        If there are too few distinct images or units.
    """
    first, unit = distinct(samples.digests if len(samples.digests) else np.arange(count))
    if len(first) < SMALLEST_SET:
        raise DataError(
            f"at least {SMALLEST_SET} different normal images are needed, got {count} images, "
            f"{len(first)} distinct; add other images"
        )
    if len(first) < count:
        log.warning(
            "%d images, %d distinct: exact copies stay together in every split, and count once for "
            "the threshold",
            count,
            len(first),
        )
    if groups is not None:
        unit = joined(unit, groups)
    units = int(unit.max()) + 1
    if units < SMALLEST_SET:
        raise DataError(
            f"at least {SMALLEST_SET} groups of normal images are needed, got {units} that share "
            "no copies; use a finer rule for groups, or none"
        )
    return first, unit


class _Outcome(NamedTuple):
    """The threshold, and how normal images score against it.

    Parameters
    ----------
    threshold
        The threshold.
    odd
        Numbers of the images that look least normal, of a network with a map that others were held
        out from.
    flagged, highest
        With cross-fitting, of the normals for early stopping: how many score above it, and the
        highest score.
    """

    threshold: Threshold
    odd: Sequence[int] = ()
    flagged: int | None = None
    highest: float | None = None

    def checked(self, scores: NDArray[np.float64]) -> _Outcome:
        """Compare the threshold with scores of the normals for early stopping."""
        flagged = int((scores > self.threshold.value).sum())
        return self._replace(flagged=flagged, highest=float(scores.max()))


def _held_out(
    fitting: Fitting,
    network: Network,
    scale: PeakScale,
    kept: Split,
    rule: ThresholdConfig,
    unit: Images,
    grouped: bool,
) -> _Outcome:
    """Set the threshold from normals that the network did not see.

    With a network with a map those that it learnt from tell how normal ones score, too.
    """
    held_out = np.sort(kept.calibration)
    scores = fitting.score(network, held_out, scale)
    groups = unit[held_out] if grouped else None
    threshold = threshold_rules.from_normal_scores(
        scores, rule.fpr, rule.confidence, "hold-out", rule.set_aside, groups
    )
    if not fitting.dense:
        return _Outcome(threshold)
    height, width = next(iter(fitting.samples.of(kept.train[:1]))).shape[:2]
    learnt = some_of(kept.train, height * width)
    known = fitting.score(network, learnt, scale)
    if rule.set_aside:
        threshold = threshold_rules.with_learnt(threshold, scores, known, groups, unit[learnt])
    return _Outcome(threshold, least_normal(held_out, scores, threshold.value, learnt, known))


def _cross_fitted(
    fitting: Fitting, folds: Sequence[Split], rule: ThresholdConfig, unit: Images | None
) -> _Outcome:
    """Set the threshold from the scores of each fold by a network that did not see it."""
    scores, images = [], []
    for number, fold in enumerate(folds, start=1):
        network, _ = fitting.train(f"fold {number}", fold)
        scale = fitting.peak_scale(network, fold.train)
        scores.append(fitting.score(network, fold.calibration, scale))
        images.append(np.sort(fold.calibration))
    threshold = threshold_rules.from_normal_scores(
        np.concatenate(scores),
        rule.fpr,
        rule.confidence,
        "cross-fitting",
        rule.set_aside,
        None if unit is None else unit[np.concatenate(images)],
    )
    return _Outcome(threshold)
