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
        The closed interval of normal images, wholly below the other.
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
        Whether half of the normal images, drawn anew in every batch, are mirrored left to right
        before anomalies are made of them; for images whose mirror image is as normal. A network
        with a map learns from half of its crops upside down as well, unless it is told the place.
    turned
        Whether turned copies of normal images are as normal, and learnt from: crops are then turned
        by quarters. ``auto`` decides from the normal images, see
        :func:`adacl.training.alignment.turned_auroc`. For networks with a map.
    shift
        Pixels by which normal images are moved at most, in any direction, drawn anew in every
        batch before anomalies are made of them; what is missing is mirrored from inside. For
        networks without a map.
    tint
        How far contrast and, half as much, the brightness of each channel of normal images is
        varied at most, as a part of 1, drawn anew in every batch before anomalies are made of them.
        With a network with a map, each channel of images in colour is multiplied by a factor.
    light
        How far the brightness of normal images is varied at most, by a factor, as a part of 1; an
        offset of up to half of it is added. For networks with a map.
    vary
        How far scale and local contrast of crops are varied: 1 is by a quarter and by 40 % at
        most, 0 not at all. For networks with a map.
    record
        How far sharpness, noise and compression of crops are varied, after anomalies are made of
        them. 0 is not at all; 1 is a blur of up to 0.8 pixels, noise of up to 2 % of the full scale
        (no more than neighbouring pixels differ), and JPEG of quality 50 or better. For networks
        with a map.
    tilt
        Degrees by which half of the crops are turned at most. For networks with a map.
    crop
        Side in pixels of the squares that a network with a map learns from.
    made_weight
        Weight of all changed places together, where that of the unchanged ones is 1. For networks
        with a map.
    min_epoch_images
        Smaller sets are repeated until an epoch has this many images.
    batch_size
        Normal images a step; ``anomalies.per_image`` anomalies made from each join them, or, with a
        network with a map, places of them are changed.
    precision
        ``bfloat16`` computes the network's products in half precision while it learns: faster on
        processors that can (AVX512-BF16, AMX, GPUs), slower on others. Weights, labels, loss and
        all scoring stay in ``float32``.
    loss
        ``mse`` goes with the clip head, ``bce`` with the sigmoid head.
    balance
        Whether what is normal to an output counts as much as all anomalies to it together, of
        which a step has more if there are several views or several anomalies an image. For networks
        without a map.
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
        :func:`adacl.training.splits.validation_count`. With a network with a map, which has none,
        they set the threshold, and may be more.
    patience
        Epochs without a better validation AUROC after which training ends.
    keep
        Which network is kept: that of the epoch with the ``best`` validation AUROC, or the
        ``last``, whatever the patience.
    """

    epochs: Count = 10
    mirror: bool = False
    turned: Literal["no", "yes", "auto"] = "no"
    shift: Natural = 0
    tint: Share = 0.0
    light: Share = 0.0
    vary: Annotated[float, at_least(0), at_most(2)] = 0.0
    record: Annotated[float, at_least(0), at_most(2)] = 0.0
    tilt: Annotated[float, at_least(0), at_most(45)] = 0.0
    crop: Annotated[int, at_least(32)] = 160
    made_weight: Annotated[float, above(0)] = 0.1
    min_epoch_images: Count = 4096
    batch_size: Count = 128
    precision: Literal["float32", "bfloat16"] = "float32"
    loss: Literal["mse", "bce"] = "mse"
    balance: bool = False
    optimizer: Literal["adam", "adamw", "nadam", "radam", "muon"] = "adam"
    schedule: Literal["triangular", "one_cycle"] = "one_cycle"
    rate_min: Annotated[float, at_least(0)] = 1e-5
    rate_max: Annotated[float, above(0)] = 2e-3
    cycles: Count = 1
    weight_decay: Annotated[float, at_least(0)] = 0.0
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
        Folds of the cross-fitting that serves small sets. With 1 there is none: a fifth of the
        images is held out for the threshold, and one network trained.
    least_region
        Pixels of the smallest region above the threshold that records name, for networks with a
        map. If all are smaller, the highest is named.
    set_aside
        Highest scores of held-out normals that never set the threshold, so that one odd part does
        not hide defects. They count as flagged in the stated bound. With fewer than 20 held-out
        normals for each of them, none is set aside. Unless this is 0, scores above 0.5 (up to a
        tenth of all) do not set the threshold either, if the gap below them is wider than the
        distance from there to the median; and with a map and 30 held-out normals or more, those
        learnt set the threshold, too.
    """

    fpr: Annotated[float, above(0), below(1)] = 0.01
    confidence: Annotated[float, above(0), below(1)] = 0.95
    folds: Annotated[int, at_least(1)] = 3
    least_region: Count = 16
    set_aside: Natural = 0
