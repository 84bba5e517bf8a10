"""Ablations: each a set of variants of one configuration.

Figures 7 to 10 and table 4 of the paper, and the preset ``accurate`` without each of its parts.
The unchanged variant is the same as that of ``one-vs-rest``, so its cells are shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adacl.config import AnomalyConfig, Config
from adacl.errors import ConfigError
from adacl.protocols.image.one_vs_rest import Variant

Changes = dict[str, Any]
SIGMOID = {"training__loss": "bce", "network__head": "sigmoid"}


@dataclass(frozen=True)
class Ablation:
    """An ablation: a data set (the paper's own, if it has one), and what is changed."""

    source: str
    changes: dict[str, Changes]
    every_epoch: bool = False
    preset: str = "paper"


def _interval(width: float) -> Changes:
    return {"labels__normal": [0.0, width], "labels__anomalous": [1 - width, 1.0]}


def _only(kind: str, **options: Any) -> Changes:
    changes: Changes = {"anomalies__weights": {kind: 1.0}}
    return changes | ({"anomalies__options": {kind: options}} if options else {})


ABLATIONS = {
    "loss": Ablation("cifar10", {"mse-epochs": {}, "bce-epochs": SIGMOID}, every_epoch=True),
    "labels": Ablation("cifar10", {"paper": {}, "discrete": {"labels__scheme": "discrete"}}),
    "intervals": Ablation(
        "mnist", {"paper": {}, "interval-0.1": _interval(0.1), "interval-0.2": _interval(0.2)}
    ),
    "augmentations": Ablation(
        "mnist",
        {
            "paper": {},
            "cut-paste": _only("cut_paste"),
            "puzzling": _only("puzzling"),
            "rotation-1": _only("rotation", turns=[1]),
            "rotation-3": _only("rotation", turns=[3]),
            "mix-up-0.3": _only("mix_up", rotated=[0.3, 0.3]),
            "mix-up-0.5": _only("mix_up", rotated=[0.5, 0.5]),
            "mix-up-0.7": _only("mix_up", rotated=[0.7, 0.7]),
        },
    ),
    "accurate": Ablation(
        "cifar10",
        {
            "accurate": {},
            "one-view": {
                "network__turns": [0],
                "network__mirrored": "no",
                "anomalies__weights": dict(AnomalyConfig().weights),
            },
            "one-view-scored": {"network__scored_views": 1},
            "no-distance": {"network__distance": 0.0},
            "distance-among-hidden": {"network__distance_among": "hidden"},
            "no-shift": {"training__shift": 0},
            "no-tint": {"training__tint": 0.0},
            "adam": {"training__optimizer": "adam"},
            "unbalanced": {"training__balance": False},
            "no-blocks": {"network__blocks": []},
            "no-batch-norm": {"network__batch_norm": False},
            "best-epoch": {"training__keep": "best"},
            "only-cut-paste": {"anomalies__weights": {"cut_paste": 1.0}},
            "discrete-labels": {"labels__scheme": "discrete"},
        },
        preset="accurate",
    ),
}
"""By the name that the command line uses. The paper does not name the data set of table 4 and
figure 10; the level of its AUROCs is that of MNIST."""


def get(name: str) -> Ablation:
    """Return an ablation by its name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in ABLATIONS:
        raise ConfigError(f"ablation {name!r}: known are {', '.join(ABLATIONS)}")
    return ABLATIONS[name]


def variants(
    ablation: Ablation,
    config: Config,
    settings: Sequence[str] = (),
    only: Sequence[str] | None = None,
) -> list[Variant]:
    """Return the variants of a configuration; their names end with the settings it was given.

    Parameters
    ----------
    ablation
        What is changed.
    config
        What it is changed in, with the settings.
    settings
        Settings as the command line takes them.
    only
        Names of the variants wanted; by default all.

    Raises
    ------
    ConfigError
        If there is no variant of a name that is wanted.
    """
    changes = ablation.changes
    for name in only or ():
        if name not in changes:
            raise ConfigError(f"variant {name!r}: known are {', '.join(changes)}")
    return [
        Variant("+".join([name, *settings]), config.replace(**changes[name]), ablation.every_epoch)
        for name in only or changes
    ]
