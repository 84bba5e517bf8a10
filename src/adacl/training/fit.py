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
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from adacl._version import __version__
from adacl.config import Config
from adacl.data.arrays import SMALLEST_SET
from adacl.data.copies import distinct
from adacl.data.groups import joined
from adacl.data.samples import Samples
from adacl.errors import DataError
from adacl.imaging.tiles import Tiling
from adacl.model import thresholds
from adacl.model.header import ModelHeader
from adacl.model.history import EpochRecord, History
from adacl.model.learnt import Learnt
from adacl.model.model import Model
from adacl.model.thresholds import Threshold
from adacl.networks.build import Network, raw_scores
from adacl.networks.regressor import SCORING_BATCH, Regressor, count_parameters
from adacl.training.activations import activation_maxima, watched
from adacl.training.alignment import settled
from adacl.training.loop import train
from adacl.training.splits import Images, Split, fold_splits, split

OnEpoch = Callable[[str, EpochRecord], object]

MOST_DIGESTS = 100_000
MOST_ODD = 20
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
    """
    device = device or torch.device("cpu")
    count = int(samples.owner.max()) + 1
    if count < SMALLEST_SET:
        raise DataError(
            f"at least {SMALLEST_SET} normal images are needed, got n_samples = {count}; "
            "a hundred or more are advisable"
        )

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

    def run(stage: str, part: Split) -> tuple[Network, History]:
        file = checkpoints / f"{stage.replace(' ', '-')}.ckpt" if checkpoints else None
        return train(
            samples.of(part.train),
            samples.of(part.calibration if dense else part.validation),
            config,
            seed=seed,
            device=device,
            checkpoint=file,
            on_epoch=(lambda record, _: on_epoch(stage, record)) if on_epoch else None,
        )

    def score(network: Network, images: Images) -> NDArray[np.float64]:
        chosen = samples.of(images)
        if dense:
            unset = ModelHeader(
                samples.spec, config, None, resize, Threshold(0.5, "manual"), History()
            )
            scorer = Model(network, unset)
            return np.concatenate([scorer.raw(image[None]) for image in chosen])
        batches = chosen.batches(device, SCORING_BATCH)
        raw = np.concatenate([raw_scores(network, batch) for batch in batches])
        if tiling is None:
            return raw
        owner = samples.owner[chosen.numbers]
        per_image = np.split(raw, np.flatnonzero(np.diff(owner)) + 1)
        return np.array([tiling.aggregate(part) for part in per_image])

    dense = config.network.output == "map"
    size, rule = config.training.validation_size, config.threshold
    kept = split(units, config, contamination is None, seed).of_images(first, unit)
    config = settled(config, samples.of(kept.train), seed)
    network, history = run("network", kept)
    flagged = highest = None
    odd: list[int] = []
    if contamination is not None:
        scores = score(network, np.arange(count))
        threshold = thresholds.from_contamination(scores, contamination)
    elif len(kept.calibration):
        held_out = score(network, kept.calibration)
        threshold = thresholds.from_normal_scores(
            held_out,
            rule.fpr,
            rule.confidence,
            "hold-out",
            rule.set_aside,
            None if groups is None else unit[np.sort(kept.calibration)],
        )
        above = np.sort(kept.calibration)[held_out > threshold.value]
        odd = above[np.argsort(-held_out[held_out > threshold.value])].tolist()
    else:
        out_of_fold, scored = [], []
        for number, fold in enumerate(fold_splits(units, size, rule.folds, seed), start=1):
            fold = fold.of_images(first, unit)
            fold_network, _ = run(f"fold {number}", fold)
            out_of_fold.append(score(fold_network, fold.calibration))
            scored.append(unit[np.sort(fold.calibration)])
        threshold = thresholds.from_normal_scores(
            np.concatenate(out_of_fold),
            rule.fpr,
            rule.confidence,
            "cross-fitting",
            rule.set_aside,
            None if groups is None else np.concatenate(scored),
        )
        stopping = score(network, kept.validation)
        flagged = int((stopping > threshold.value).sum())
        highest = float(stopping.max())
    if isinstance(network, Regressor):
        stopped_by = samples.of(kept.validation)
        maxima = activation_maxima(network, stopped_by, config.anomalies, seed)
    else:
        with watched(network) as largest:
            score(network, kept.calibration[:: 1 + len(kept.calibration) // MOST_WATCHED])
        maxima = tuple(largest)
    header = ModelHeader(
        samples.spec,
        config,
        tiling,
        resize,
        threshold,
        history,
        {
            "adacl": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "seed": seed,
            "device": device.type,
            "images": count,
            "distinct": len(first),
            **({} if groups is None else {"groups": units}),
            "samples": len(samples),
            "train": len(kept.train),
            "validation": len(kept.validation),
            "calibration": len(kept.calibration),
            "validation_flagged": flagged,
            "validation_highest": highest,
            "parameters": count_parameters(network),
            "learnt": Learnt.of(samples).joined(seen or Learnt()).to_dict(),
            **({"odd": odd[:MOST_ODD]} if dense else {}),
        },
        maxima,
    )
    return Model(network, header, samples.digests[:MOST_DIGESTS])
