"""Every knob of the method as a tree of frozen dataclasses, readable and writable as TOML.

The tree is checked when it is made, so a ``Config`` that exists is valid. What is set to what is
decided in :mod:`adacl.config.presets`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import tomli_w

from adacl.config.sections import Section, build, plain, require
from adacl.errors import ConfigError

__all__ = [
    "PARAMETER_LIMIT",
    "AnomalyConfig",
    "Config",
    "LabelConfig",
    "LocalConfig",
    "NetworkConfig",
    "ThresholdConfig",
    "TrainingConfig",
]

PARAMETER_LIMIT = 300_000
"""The paper's bound on the size of the network (section 3.3)."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class AnomalyConfig(Section, name="anomalies"):
    """How anomalies are made from normal images (paper, 3.2.3).

    Parameters
    ----------
    weights
        Kind of anomaly to its share of the mixture. A kind that is left out is not made; the
        shares need not add up to 1.
    options
        Kind of anomaly to keyword arguments of its function in :mod:`adacl.anomalies`.
    per_image
        Anomalies that are made from each normal image of a step.
    """

    weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "cut_paste": 1.0,
            "puzzling": 1.0,
            "rotation": 1.0,
            "mix_up": 1.0,
        }
    )
    options: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {"cut_paste": {"area": [0.1, 0.5]}}
    )
    per_image: int = 1

    def _check(self) -> None:
        require(
            bool(self.weights)
            and all(math.isfinite(w) and w >= 0 for w in self.weights.values())
            and sum(self.weights.values()) > 0,
            "anomalies.weights: at least one kind with a positive weight is needed, "
            f"got {dict(self.weights)}",
        )
        require(self.per_image >= 1, f"anomalies.per_image: need at least 1, got {self.per_image}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds in use, sorted by name."""
        return tuple(sorted(kind for kind, weight in self.weights.items() if weight > 0))


@dataclass(frozen=True)
class LocalConfig(Section, name="local"):
    """Local anomalies, from which networks with a map learn: a shape, and what fills it.

    Parameters
    ----------
    shapes, fillings
        Name to its share, see :mod:`adacl.anomalies.shapes` and :mod:`adacl.anomalies.fillings`.
    opacity
        Range of the filling's opacity, drawn uniformly; within (0, 1].
    most
        Places of an image that are changed, at most.
    clean
        Share of the images in which nothing is changed.
    """

    shapes: Mapping[str, float] = field(
        default_factory=lambda: {"blob": 0.35, "ellipse": 0.2, "rectangle": 0.15, "scar": 0.3}
    )
    fillings: Mapping[str, float] = field(
        default_factory=lambda: {
            "another": 1.0,
            "blur": 1.0,
            "flat": 1.0,
            "moved": 1.0,
            "noise": 1.0,
            "tone": 1.0,
        }
    )
    opacity: Interval = (0.25, 1.0)
    most: int = 3
    clean: float = 0.15

    def _check(self) -> None:
        for name in ("shapes", "fillings"):
            shares = getattr(self, name).values()
            require(
                all(share >= 0 for share in shares) and sum(shares) > 0,
                f"local.{name}: at least one positive share is needed, and none below 0",
            )
        low, high = self.opacity
        require(
            0 < low <= high <= 1, f"local.opacity: need 0 < low <= high <= 1, got [{low}, {high}]"
        )
        require(self.most >= 1, f"local.most: need at least 1, got {self.most}")
        require(0 <= self.clean < 1, f"local.clean: need 0 <= clean < 1, got {self.clean}")


@dataclass(frozen=True)
class LabelConfig(Section, name="labels"):
    """Training labels of normal images and made anomalies (paper, 3.2.2).

    Parameters
    ----------
    scheme
        ``continuous`` draws a label uniformly from an interval each time a sample is seen;
        ``discrete`` uses 0 and 1.
    normal, anomalous
        The two closed intervals, within [0, 1] and not overlapping.
    """

    scheme: Literal["continuous", "discrete"] = "continuous"
    normal: Interval = (0.0, 0.3)
    anomalous: Interval = (0.7, 1.0)

    def _check(self) -> None:
        for name in ("normal", "anomalous"):
            low, high = getattr(self, name)
            require(
                0 <= low <= high <= 1,
                f"labels.{name}: need 0 <= low <= high <= 1, got [{low}, {high}]",
            )
        require(
            self.normal[1] < self.anomalous[0],
            "labels: the normal interval must lie wholly below the anomalous one, got "
            f"{list(self.normal)} and {list(self.anomalous)}",
        )


@dataclass(frozen=True)
class NetworkConfig(Section, name="network"):
    """The regressor (paper, 3.3).

    Parameters
    ----------
    channels
        Output channels of the convolution stages; each stage halves the image. Images that
        need further stages repeat the last width, see
        :func:`adacl.networks.plan.stage_widths`.
    kernel
        Side of the convolution kernels of the stages in ``channels``, in pixels; odd.
    hidden
        Units of the layer between the flattened features and the output.
    conv_dropout, dropout
        Drop probability of whole feature maps after each stage, and of the hidden units' inputs.
    batch_norm
        Whether each convolution is followed by batch normalisation.
    pool
        ``flatten`` keeps the place of each feature, ``average`` pools it away.
    head
        ``clip``: a linear output, clipped to [0, 1] as the score; ``sigmoid``.
    blocks
        Residual 3 x 3 convolutions that follow each of the stages in ``channels``; 0 where the
        list ends.
    turns
        Quarter turns of the image, 0 first, that have an output each: one for which the image
        turned so far is the normal one, and all others are anomalies. The score is the mean
        over the image's turned copies, each by its own output.
    mirrored
        ``normal``: mirrored images are as normal, and the score is the mean over them, too.
        ``own``: they are anomalies, and further views with outputs of their own.
    scored_views
        How many of the views are scored: fewer are faster, and less accurate. 0 stands for all.
    distance
        Weight, beside the regression, of the distance of an image's embedding from those of
        normal images, see :class:`adacl.networks.distance.Distance`. 0 leaves it out.
    distance_among
        What that embedding is: the ``hidden`` units, the ``features`` they are computed from, or
        ``both``.
    distance_components
        Principal components of normal images along which the distance has a scale of its own;
        along all other directions it has one scale. 0 stands for all.
    output
        ``score``: one number for an image, as in the paper. ``map``: one for every place, see
        :class:`adacl.networks.dense.DenseRegressor`, of which only ``channels``, ``place`` and
        ``window`` are settings.
    place
        Whether a network with a map is told the ``coordinates`` of every pixel: for aligned images.
        ``auto`` decides from the normal images, see :mod:`adacl.training.alignment`.
    window
        Side, in places of the map, of the square that each is the mean of; odd.
    """

    channels: tuple[int, ...] = (16, 32, 64)
    kernel: int = 5
    hidden: int = 64
    conv_dropout: float = 0.1
    dropout: float = 0.3
    batch_norm: bool = False
    pool: Literal["flatten", "average"] = "flatten"
    head: Literal["clip", "sigmoid"] = "clip"
    blocks: tuple[int, ...] = ()
    turns: tuple[int, ...] = (0,)
    mirrored: Literal["no", "normal", "own"] = "no"
    scored_views: int = 0
    distance: float = 0.0
    distance_among: Literal["hidden", "features", "both"] = "hidden"
    distance_components: int = 0
    output: Literal["score", "map"] = "score"
    place: Literal["no", "coordinates", "auto"] = "no"
    window: int = 5

    def _check(self) -> None:
        require(
            bool(self.channels) and min(self.channels) > 0,
            f"network.channels: need positive widths, got {list(self.channels)}",
        )
        require(
            self.kernel > 0 and self.kernel % 2 == 1,
            f"network.kernel: need an odd positive size, got {self.kernel}",
        )
        require(self.hidden > 0, f"network.hidden: need at least 1, got {self.hidden}")
        require(
            len(self.blocks) <= len(self.channels) and min(self.blocks, default=0) >= 0,
            "network.blocks: need a number of at least 0 for each of the stages, at most, got "
            f"{list(self.blocks)}",
        )
        require(
            self.turns[:1] == (0,) and len(set(self.turns) & {0, 1, 2, 3}) == len(self.turns),
            f"network.turns: need 0 first, then some of 1, 2, 3, got {list(self.turns)}",
        )
        views = len(self.turns) * (1 if self.mirrored == "no" else 2)
        require(
            0 <= self.scored_views <= views,
            f"network.scored_views: need 0 to {views}, got {self.scored_views}",
        )
        require(self.distance >= 0, f"network.distance: need at least 0, got {self.distance}")
        require(
            self.distance_components >= 0,
            f"network.distance_components: need at least 0, got {self.distance_components}",
        )
        require(
            self.window > 0 and self.window % 2 == 1,
            f"network.window: need an odd positive size, got {self.window}",
        )
        for name in ("conv_dropout", "dropout"):
            require(
                0 <= getattr(self, name) < 1,
                f"network.{name}: need 0 <= p < 1, got {getattr(self, name)}",
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
        before anomalies are made of them; for images whose mirror image is as normal.
    shift
        Pixels by which normal images are moved at most, in any direction, drawn anew in every
        batch before anomalies are made of them; what is missing is mirrored from inside.
    tint
        How far contrast and, half as much, the brightness of each channel of normal images is
        varied at most, as a part of 1, drawn anew in every batch before anomalies are made of them.
    light
        How far the brightness of normal images is varied at most, by a factor, as a part of 1; an
        offset of a fifth of it joins. For networks with a map.
    vary
        How far scale and local contrast of crops are varied: 1 is by a quarter and by 40 % at
        most, 0 not at all. For networks with a map.
    crop
        Side in pixels of the squares that a network with a map learns from.
    made_weight
        What changed places weigh together, for a network with a map, where those in which nothing
        was changed weigh 1.
    min_epoch_images
        Smaller sets are gone through again and again until an epoch has this many images.
    batch_size
        Normal images a step; as many made anomalies join them.
    precision
        ``bfloat16`` computes the network's products in half precision while it learns: faster on
        processors that can (AVX512-BF16, AMX, GPUs), slower on others. Weights, labels, loss and
        all scoring stay in ``float32``.
    loss
        ``mse`` goes with the clip head, ``bce`` with the sigmoid head.
    balance
        Whether what is normal to an output counts as much as all anomalies to it together, of
        which a step has more if there are several views or several anomalies an image.
    optimizer
        A variation of Adam, or ``muon``, see :class:`adacl.training.optimizers.Muon`.
    schedule
        ``triangular``: the rate rises and falls linearly between ``rate_min`` and
        ``rate_max``, ``cycles`` times; ``one_cycle``: a linear rise over the first third,
        then a cosine fall to ``rate_min``.
    validation_size
        Normal images held out for early stopping; smaller sets use a fifth, see
        :func:`adacl.training.splits.validation_count`.
    patience
        Epochs without a better validation AUROC after which training ends.
    keep
        Which network is kept: that of the epoch with the ``best`` validation AUROC, or the
        ``last``, whatever the patience.
    """

    epochs: int = 10
    mirror: bool = False
    shift: int = 0
    tint: float = 0.0
    light: float = 0.0
    vary: float = 0.0
    crop: int = 160
    made_weight: float = 0.1
    min_epoch_images: int = 4096
    batch_size: int = 128
    precision: Literal["float32", "bfloat16"] = "float32"
    loss: Literal["mse", "bce"] = "mse"
    balance: bool = False
    optimizer: Literal["adam", "adamw", "nadam", "radam", "muon"] = "adam"
    schedule: Literal["triangular", "one_cycle"] = "one_cycle"
    rate_min: float = 1e-5
    rate_max: float = 2e-3
    cycles: int = 1
    weight_decay: float = 0.0
    validation_size: int = 150
    patience: int = 10
    keep: Literal["best", "last"] = "best"

    def _check(self) -> None:
        for name in (
            "epochs",
            "min_epoch_images",
            "batch_size",
            "cycles",
            "validation_size",
            "patience",
        ):
            require(
                getattr(self, name) >= 1,
                f"training.{name}: need at least 1, got {getattr(self, name)}",
            )
        require(
            0 <= self.rate_min <= self.rate_max and self.rate_max > 0,
            "training: need 0 <= rate_min <= rate_max and rate_max > 0, got "
            f"{self.rate_min} and {self.rate_max}",
        )
        require(self.shift >= 0, f"training.shift: need at least 0, got {self.shift}")
        require(0 <= self.vary <= 2, f"training.vary: need 0 to 2, got {self.vary}")
        for name in ("tint", "light"):
            require(
                0 <= getattr(self, name) < 1,
                f"training.{name}: need 0 <= {name} < 1, got {getattr(self, name)}",
            )
        require(self.crop >= 32, f"training.crop: need at least 32, got {self.crop}")
        require(
            self.made_weight > 0,
            f"training.made_weight: need more than 0, got {self.made_weight}",
        )
        require(
            self.weight_decay >= 0,
            f"training.weight_decay: need at least 0, got {self.weight_decay}",
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
        Folds of the cross-fitting that serves small sets.
    """

    fpr: float = 0.01
    confidence: float = 0.95
    folds: int = 3

    def _check(self) -> None:
        require(0 < self.fpr < 1, f"threshold.fpr: need 0 < fpr < 1, got {self.fpr}")
        require(
            0 < self.confidence < 1,
            f"threshold.confidence: need 0 < confidence < 1, got {self.confidence}",
        )
        require(self.folds >= 2, f"threshold.folds: need at least 2, got {self.folds}")


@dataclass(frozen=True)
class Config(Section, name=""):
    """The whole tree; ``preset`` names where it started from."""

    preset: str = "paper"
    anomalies: AnomalyConfig = field(default_factory=AnomalyConfig)
    local: LocalConfig = field(default_factory=LocalConfig)
    labels: LabelConfig = field(default_factory=LabelConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    threshold: ThresholdConfig = field(default_factory=ThresholdConfig)

    def _check(self) -> None:
        pair = (self.network.head, self.training.loss)
        require(
            pair in {("clip", "mse"), ("sigmoid", "bce")},
            f"network.head = {pair[0]!r} with training.loss = {pair[1]!r}: use clip with mse "
            "or sigmoid with bce",
        )
        require(
            self.network.output == "score"
            or (self.training.keep == "last" and self.training.loss == "mse"),
            "network.output = 'map' needs training.keep = 'last' and training.loss = 'mse': the "
            "normals that are not learnt from set the threshold, and must not choose the epoch",
        )
        stages = len(self.network.channels)
        require(
            self.network.output == "score" or self.training.crop > 2**stages,
            f"training.crop: {stages} stages of network.channels need more than {2**stages} "
            f"pixels, got {self.training.crop}",
        )
        mirrored = self.network.mirrored
        require(
            not (self.training.mirror and mirrored == "own"),
            "training.mirror = true with network.mirrored = 'own': a mirrored image cannot be both "
            "normal and an anomaly; leave one of them out",
        )
        kinds, options = self.anomalies.kinds, self.anomalies.options
        require(
            "flip" not in kinds or not (self.training.mirror or mirrored != "no"),
            "the kind flip with mirrored normal images: leave it out (--drop flip), or set "
            "network.mirrored = 'no' and training.mirror = false",
        )
        turns = set(self.network.turns)
        made = options.get("rotation", {}).get("turns", (1, 3)) if "rotation" in kinds else ()
        require(
            len(turns) == 1
            or not any((view + turn) % 4 in turns for view in turns for turn in made),
            "the kind rotation makes what network.turns takes for normal in another view: leave it "
            "out (--drop rotation)",
        )

    def replace(self, **changes: Any) -> Self:
        """Return a copy with settings changed, addressed as ``section__name=value``.

        Raises
        ------
        ConfigError
            If a setting does not exist or its value is not valid.
        """
        tree = self.to_dict()
        for address, value in changes.items():
            section, _, name = address.partition("__")
            if name:
                if section not in tree or not isinstance(tree[section], dict):
                    raise ConfigError(f"{section}: unknown section of the configuration")
                tree[section][name] = value
            else:
                tree[section] = value
        return self.from_dict(tree)

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain dictionaries, lists and scalars."""
        tree: dict[str, Any] = plain(self)
        return tree

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Build and check a configuration; settings that are left out keep their default.

        Raises
        ------
        ConfigError
            If a setting is unknown, of the wrong type or out of range.
        """
        return build(cls, tree)

    def to_toml(self) -> str:
        """Return the tree as TOML."""
        return tomli_w.dumps(self.to_dict())
