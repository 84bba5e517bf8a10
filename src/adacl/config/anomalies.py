"""Settings of the anomalies that are made: of whole images, and of places."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from adacl.config.sections import ORDERED, Count, Rule, Section, Share, above, at_least, at_most

Shares = Annotated[
    Mapping[str, Annotated[float, at_least(0)]],
    Rule("a sum above 0", lambda shares: sum(shares.values()) > 0),
]
Opacity = Annotated[float, above(0), at_most(1)]


@dataclass(frozen=True)
class AnomalyConfig(Section, name="anomalies"):
    """How anomalies are made from normal images, for networks without a map (paper, 3.2.3).

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

    weights: Shares = field(
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
    per_image: Annotated[int, at_least(1), at_most(100)] = 1

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds in use, sorted by name."""
        return tuple(sorted(kind for kind, weight in self.weights.items() if weight > 0))


@dataclass(frozen=True)
class LocalConfig(Section, name="local"):
    """Local anomalies, from which networks with a map learn: a shape, and what fills it.

    Parameters
    ----------
    shapes
        Shape to its share, see :mod:`adacl.anomalies.shapes`.
    fillings
        Filling to its share, see :mod:`adacl.anomalies.fillings`. ``ground``, missing pieces, is
        for parts on a plain background without a mask, and left out elsewhere.
    opacity
        Range of the filling's opacity, drawn uniformly; that of pieces of images and of scars is
        0.5 at least.
    most
        Places of an image that are changed, at most.
    clean
        Share of the images in which nothing is changed.
    """

    shapes: Shares = field(
        default_factory=lambda: {"blob": 0.35, "ellipse": 0.2, "rectangle": 0.15, "scar": 0.3}
    )
    fillings: Shares = field(
        default_factory=lambda: {
            "another": 1.0,
            "blur": 1.0,
            "flat": 1.0,
            "ground": 1.0,
            "moved": 1.0,
            "noise": 1.0,
            "tone": 1.0,
        }
    )
    opacity: Annotated[tuple[Opacity, Opacity], ORDERED] = (0.25, 1.0)
    most: Count = 3
    clean: Share = 0.15
