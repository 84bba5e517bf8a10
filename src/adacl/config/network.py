"""Settings of the network."""

from dataclasses import dataclass, fields
from typing import Annotated, Literal

from adacl.config.sections import (
    ODD,
    SOME,
    Count,
    Natural,
    Rule,
    Section,
    Share,
    at_least,
    at_most,
    require,
)

PARAMETER_LIMIT = 300_000
"""The paper's bound on the size of the network (section 3.3)."""

MOST_PLACES = 100_000
"""Of a map that count in the score: an exported file holds a weight for each."""
OF_ALL = ("channels", "output")
OF_MAPS = (
    "place", "shrink", "local_contrast", "upright", "window", "alone", "top", "fade", "few"
)  # fmt: skip
"""Settings of every network, and those of networks with a map alone."""

TURNS = Rule(
    "0 first, then some of 1, 2, 3",
    lambda turns: turns[:1] == (0,) and len(set(turns) & {0, 1, 2, 3}) == len(turns),
)


@dataclass(frozen=True)
class NetworkConfig(Section, name="network"):
    """The regressor (paper, 3.3).

    Parameters
    ----------
    channels
        Output channels of the convolution stages; each stage halves the image. Images that
        need further stages repeat the last width, see
        :func:`adacl.networks.architecture.stage_widths`.
    kernel
        Side of the convolution kernels of the stages in ``channels``, in pixels.
    hidden
        Units of the layer between the flattened features and the output.
    conv_dropout
        Drop probability of whole feature maps after each stage.
    dropout
        Drop probability of the hidden units' inputs.
    batch_norm
        Whether each convolution is followed by batch normalisation.
    pool
        ``flatten`` keeps the place of each feature, ``average`` pools it away.
    head
        ``clip``: a linear output, clipped to [0, 1] as the score; ``sigmoid``.
    blocks
        Residual 3 x 3 convolutions that follow each of the stages in ``channels``; 0 where the
        list ends, which is no longer than ``channels``.
    turns
        Quarter turns of the image, 0 first. Each has its own output, for which the image turned so
        far is normal, and all others are anomalies. The score is the mean over the image's turned
        copies, each by its own output.
    mirrored
        ``normal``: mirrored images count as normal, and the score is the mean over them, too.
        ``own``: they count as anomalies, and are further views with outputs of their own.
    scored_views
        How many of the views are scored: fewer are faster, and less accurate. 0 means all.
    distance
        Weight, relative to the regression, of the distance of an image's embedding from those of
        normal images, see :class:`adacl.networks.distance.Distance`. 0 leaves it out.
    distance_among
        What that embedding is: the ``hidden`` units, the ``features`` they are computed from, or
        ``both``.
    distance_components
        Principal components of normal images along which the distance has a scale of its own; along
        all other directions it has one scale. 0 means all.
    output
        ``score``: one number for an image, as in the paper. ``map``: one number for every place,
        see :class:`adacl.networks.dense.DenseRegressor`. For such a network, only ``channels``,
        ``place``, ``shrink``, ``local_contrast``, ``upright``, ``window``, ``alone``, ``top``,
        ``fade`` and ``few`` are settings; the last nine apply to no other network.
    place
        Whether a network with a map gets the ``coordinates`` of every pixel: for aligned images.
        ``auto`` decides from the normal images, see :mod:`adacl.training.alignment`.
    shrink
        A network with a map sees the mean of squares of the image as one pixel; this is the side of
        the squares in pixels. ``auto`` takes the smallest side by which the shorter side of the
        images (the median) has at most 400 of the new pixels.
    local_contrast
        Whether a network with a map sees each place relative to the mean and the spread of about 70
        pixels around it, see :func:`adacl.networks.local_contrast.local_contrast`: for light that
        varies.
    upright
        Whether a network with a map sees each part turned upright, by its own axis: for parts on a
        plain background that lie at any angle, see :mod:`adacl.networks.upright`. What lies apart
        from the part is ignored. ``auto`` decides from the normal images, see
        :func:`adacl.training.uprights.wanted`.
    window
        Each place of the map is the mean of a square; this is the side of the square, in places.
    alone
        How much a single output of a network with a map counts beside the weighted mean of all.
        The peaks of normal images bring each output to the unit of that mean. This share of what an
        output rises above its usual peak, the median of normal images, is added to the usual peak
        of the mean. The sum counts where it is larger than the mean. 0: the mean alone.
    top
        The raw score is the mean of this many highest places of the map. It is a number, not a
        share, so that a defect weighs the same in a larger image. If images are shrunk, their map
        is enlarged, and more places count in proportion.
    fade
        0: these places count alike. Otherwise the r-th highest has the weight 1 / (r + ``fade``),
        so that small and large defects count, see :func:`adacl.networks.peak.rank_weights`.
    few
        0, or a smaller number of highest places. If their mean is larger, it is the raw score
        instead. The mean of the ``top`` places is first brought to its unit, see
        :class:`adacl.model.peak_scale.PeakScale`.
    """

    channels: Annotated[tuple[Count, ...], SOME] = (16, 32, 64)
    kernel: Annotated[int, ODD, at_least(1)] = 5
    hidden: Count = 64
    conv_dropout: Share = 0.1
    dropout: Share = 0.3
    batch_norm: bool = False
    pool: Literal["flatten", "average"] = "flatten"
    head: Literal["clip", "sigmoid"] = "clip"
    blocks: tuple[Natural, ...] = ()
    turns: Annotated[tuple[int, ...], TURNS] = (0,)
    mirrored: Literal["no", "normal", "own"] = "no"
    scored_views: Natural = 0
    distance: Annotated[float, at_least(0), at_most(1000)] = 0.0
    distance_among: Literal["hidden", "features", "both"] = "hidden"
    distance_components: Natural = 0
    output: Literal["score", "map"] = "score"
    place: Literal["no", "coordinates", "auto"] = "no"
    shrink: Literal["auto", 1, 2, 4, 8] = 1
    local_contrast: bool = False
    upright: Literal["no", "yes", "auto"] = "no"
    window: Annotated[int, ODD, at_least(1)] = 5
    alone: Share = 0.0
    top: Annotated[int, at_least(1), at_most(MOST_PLACES)] = 1
    fade: Annotated[int, at_least(0), at_most(MOST_PLACES)] = 0
    few: Annotated[int, at_least(0), at_most(MOST_PLACES)] = 0

    @property
    def shrunk(self) -> int:
        """Return ``shrink`` as a number, 1 until it is settled."""
        return 1 if self.shrink == "auto" else self.shrink

    def _check(self) -> None:
        require(
            len(self.blocks) <= len(self.channels),
            f"network.blocks: need at most {len(self.channels)}, one for each of network.channels, "
            f"got {list(self.blocks)}",
        )
        views = len(self.turns) * (1 if self.mirrored == "no" else 2)
        require(
            self.scored_views <= views,
            f"network.scored_views: need 0 to {views}, got {self.scored_views}",
        )
        require(
            not self.few or self.few < self.top,
            f"network.few: need fewer places than network.top, {self.top}, or 0, got {self.few}",
        )
        for setting in fields(self):
            taken = (setting.name in OF_MAPS) == (self.output == "map")
            require(
                setting.name in OF_ALL or taken or getattr(self, setting.name) == setting.default,
                f"network.{setting.name}: does not go with network.output = {self.output!r}, "
                "which does not look at it",
            )
