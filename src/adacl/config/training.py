"""Settings of the training: labels, loop and threshold."""

from dataclasses import dataclass
from typing import Annotated, Literal

from adacl.config.sections import (
    ORDERED,
    Count,
    Natural,
    Section,
    Share,
    above,
    at_least,
    at_most,
    below,
    require,
)

Unit = Annotated[float, at_least(0), at_most(1)]
UnitInterval = Annotated[tuple[Unit, Unit], ORDERED]


@dataclass(frozen=True)
class LabelConfig(Section, name="labels"):
    """Training labels of normal images and made anomalies (paper, 3.2.2).

    Parameters
    ----------
    scheme
        ``continuous`` draws a label uniformly from an interval each time a sample is seen;
        ``discrete`` uses 0 and 1.
    normal
        The closed interval of normal images, wholly below that of made anomalies.
    anomalous
        The closed interval of made anomalies.
    """

    scheme: Literal["continuous", "discrete"] = "continuous"
    normal: UnitInterval = (0.0, 0.3)
    anomalous: UnitInterval = (0.7, 1.0)

    def _check(self) -> None:
        require(
            self.normal[1] < self.anomalous[0],
            "labels: the normal interval must lie wholly below the anomalous one, got "
            f"{list(self.normal)} and {list(self.anomalous)}",
        )


@dataclass(frozen=True)
class TrainingConfig(Section, name="training"):
    """The training loop (paper, 3.3).

    Parameters
    ----------
    epochs
        Passes over the normal images.
    mirror
        Whether half of the normal images are mirrored left to right before anomalies are made from
        them, drawn anew in every batch; for images whose mirror image is also normal. A network
        with a map also learns from half of its crops upside down, unless it gets the coordinates.
    turned
        Whether turned copies of normal images count as normal, and are learnt: crops are then
        turned by quarter turns. ``auto`` decides from the normal images, see
        :func:`adacl.training.alignment.turned_auroc`. For networks with a map.
    shift
        Pixels by which normal images are moved at most, in any direction, before anomalies are made
        from them, drawn anew in every batch; the gap is filled with a mirror image of the inside.
        For networks without a map.
    tint
        How far the contrast of normal images is varied at most, as a part of 1, and half as much
        the brightness of each channel, before anomalies are made from them, drawn anew in every
        batch. For a network with a map, each channel of colour images is multiplied by a factor.
    light
        How far the brightness of normal images is varied at most, by a factor, as a part of 1; an
        offset of up to half of it is added. For networks with a map.
    light_loss
        Weight of the mean squared difference between the outputs of a crop and of the same crop in
        another light, so that the light hardly changes the score. A quarter of the crops are also
        seen in another light for this. Without ``light``, it does nothing. For networks with a map.
    vary
        How far scale and local contrast of crops are varied: 1 means the scale by at most a quarter
        and the contrast by at most 40 %, 0 not at all. For networks with a map.
    record
        How far sharpness, noise and compression of crops are varied, after anomalies are made from
        them. 0 means not at all; 1 means a blur of up to 0.8 pixels, noise of up to 2 % of the full
        scale (no more than neighbouring pixels differ), and JPEG of quality 50 or better. For
        networks with a map.
    tilt
        Degrees by which half of the crops are turned at most. For networks with a map.
    crop
        Side in pixels of the squares that a network with a map learns from.
    made_weight
        Weight of all changed places together; that of the unchanged ones is 1. For networks with a
        map.
    min_epoch_images
        Smaller sets are repeated until an epoch has this many images.
    batch_size
        Normal images in a step. For each of them, ``anomalies.per_image`` anomalies are added. For
        a network with a map, places of the images are changed instead.
    precision
        ``bfloat16`` computes the network's products in half precision while it learns: faster on
        processors that can (AVX512-BF16, AMX, GPUs), slower on others. Weights, labels, loss and
        all scoring stay in ``float32``.
    loss
        ``mse`` is for the clip head, ``bce`` for the sigmoid head.
    balance
        Whether the normal images of an output count as much as all its anomalies together. Without
        it, anomalies weigh more if there are several views or several anomalies for an image. For
        networks without a map.
    optimizer
        A variation of Adam, or ``muon``, see :class:`adacl.training.optimizers.Muon`.
    schedule
        ``triangular``: the rate rises and falls linearly between ``rate_min`` and
        ``rate_max``, ``cycles`` times; ``one_cycle``: a linear rise over the first third,
        then a cosine fall to ``rate_min``.
    rate_min
        Lowest learning rate; at most ``rate_max``.
    rate_max
        Highest learning rate.
    cycles
        Rises and falls of the ``triangular`` schedule.
    weight_decay
        Weight decay; ``adamw`` and ``muon`` shrink the weights by it, the other optimisers add it
        to the gradient.
    validation_size
        Normal images held out for early stopping; smaller sets use a fifth, see
        :func:`adacl.training.splits.validation_count`. A network with a map has no early stopping;
        for it, they set the threshold, and may be more.
    patience
        Epochs in a row with a validation AUROC below the best, after which training ends.
    keep
        Which network is kept: that of the epoch with the ``best`` validation AUROC, or the ``last``
        one, for which ``patience`` does not count.
    """

    epochs: Count = 10
    mirror: bool = False
    turned: Literal["no", "yes", "auto"] = "no"
    shift: Natural = 0
    tint: Share = 0.0
    light: Share = 0.0
    light_loss: Annotated[float, at_least(0)] = 0.0
    vary: Annotated[float, at_least(0), at_most(2)] = 0.0
    record: Annotated[float, at_least(0), at_most(2)] = 0.0
    tilt: Annotated[float, at_least(0), at_most(45)] = 0.0
    crop: Annotated[int, at_least(32), at_most(10_000)] = 160
    made_weight: Annotated[float, above(0)] = 0.1
    min_epoch_images: Count = 4096
    batch_size: Count = 128
    precision: Literal["float32", "bfloat16"] = "float32"
    loss: Literal["mse", "bce"] = "mse"
    balance: bool = False
    optimizer: Literal["adam", "adamw", "nadam", "radam", "muon"] = "adam"
    schedule: Literal["triangular", "one_cycle"] = "one_cycle"
    rate_min: Annotated[float, at_least(0)] = 1e-5
    rate_max: Annotated[float, above(0), at_most(1e30)] = 2e-3
    cycles: Count = 1
    weight_decay: Annotated[float, at_least(0), at_most(1000)] = 0.0
    validation_size: Count = 150
    patience: Count = 10
    keep: Literal["best", "last"] = "best"

    def _check(self) -> None:
        require(
            self.rate_min <= self.rate_max,
            "training.rate_min: need at most training.rate_max, got "
            f"{self.rate_min} and {self.rate_max}",
        )


@dataclass(frozen=True)
class ThresholdConfig(Section, name="threshold"):
    """How the threshold is set from normal images alone.

    Parameters
    ----------
    fpr
        Share of normal images that may be flagged.
    confidence
        Confidence of the stated upper bound on that share.
    folds
        Folds of the cross-fitting for small sets. With 1 there is no cross-fitting: a fifth of the
        images is held out for the threshold, and one network is trained.
    least_region
        Pixels of the smallest region above the threshold that is listed in records, for networks
        with a map. If all regions are smaller, the highest is listed.
    set_aside
        Highest scores of held-out normal images that never set the threshold, so that one odd part
        does not hide defects. They count as flagged in the stated bound. With fewer than 20
        held-out images for each of them, none is set aside. If this is not 0, two more rules apply.
        Scores above 0.5 (up to a tenth of all) do not set the threshold either, if the gap below
        them is wider than the distance from there to the median. And with a map and 30 held-out
        images or more, the images learnt set the threshold, too.
    """

    fpr: Annotated[float, above(0), below(1)] = 0.01
    confidence: Annotated[float, above(0), below(1)] = 0.95
    folds: Annotated[int, at_least(1)] = 3
    least_region: Count = 16
    set_aside: Natural = 0
