"""Every setting of the method as a tree of frozen dataclasses, readable and writable as TOML.

The tree is checked when it is made, so a ``Config`` that exists is valid. What is set to what is
decided in :mod:`adacl.config.presets`.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import tomli_w

from adacl.config import network as network_section
from adacl.config.anomalies import AnomalyConfig, LocalConfig
from adacl.config.network import NetworkConfig
from adacl.config.sections import Section, build, plain, require, settings
from adacl.config.training import LabelConfig, ThresholdConfig, TrainingConfig
from adacl.errors import ConfigError

OF_MAPS = ("turned", "light", "light_loss", "vary", "record", "tilt", "crop", "made_weight")
OF_WHOLE_IMAGES = ("shift", "balance")
"""Settings of the training that only networks with a map have, and that only others have."""


@dataclass(frozen=True)
class Config(Section, name=""):
    """The whole configuration.

    Parameters
    ----------
    preset
        Name of the preset that it started from.
    anomalies, local, labels, network, training, threshold
        The sections.
    explicit
        What was set beside the preset, as ``section__name`` or ``section``; None where all of it
        was. No part of what is written to files or compared.
    """

    preset: str = "paper"
    anomalies: AnomalyConfig = field(default_factory=AnomalyConfig)
    local: LocalConfig = field(default_factory=LocalConfig)
    labels: LabelConfig = field(default_factory=LabelConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    threshold: ThresholdConfig = field(default_factory=ThresholdConfig)
    explicit: frozenset[str] | None = field(default=None, compare=False, repr=False, kw_only=True)

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
        self._check_used()
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
        rotated = options.get("rotation", {}).get("turns", (1, 3)) if "rotation" in kinds else ()
        require(
            isinstance(rotated, list | tuple) and all(isinstance(turn, int) for turn in rotated),
            f"anomalies.options.rotation.turns: need whole numbers, got {rotated!r}",
        )
        require(
            len(turns) == 1
            or not any((view + turn) % 4 in turns for view in turns for turn in rotated),
            "the kind rotation makes what network.turns takes for normal in another view: leave it "
            "out (--drop rotation)",
        )

    def _check_used(self) -> None:
        """Refuse settings that only networks of the other kind have."""
        whole = self.network.output == "score"
        made = self.local if whole else self.anomalies
        of_others = OF_MAPS if whole else OF_WHOLE_IMAGES
        for section, names in ((self.training, of_others), (made, settings(type(made)))):
            default = type(section)()
            for name in names:
                require(
                    getattr(section, name) == getattr(default, name),
                    f"{section._prefix}{name}: does not go with network.output = "
                    f"{self.network.output!r}, which does not look at it",
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
                    sections = [name for name, part in tree.items() if isinstance(part, dict)]
                    raise ConfigError(
                        f"{section}: unknown section of the configuration; known are "
                        f"{', '.join(sections)}"
                    )
                tree[section][name] = value
            else:
                tree[section] = value
        explicit = self.explicit
        return self.from_dict(tree, None if explicit is None else explicit.union(changes))

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain dictionaries, lists and scalars."""
        tree: dict[str, Any] = plain(self)
        return tree

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any], explicit: Iterable[str] | None = None) -> Self:
        """Build and check a configuration; settings that are left out keep their default.

        Parameters
        ----------
        tree
            What :meth:`to_dict` returned, or a part of it.
        explicit
            What of it was set beside the preset; by default all of it.

        Raises
        ------
        ConfigError
            If a setting is unknown, of the wrong type or out of range.
        """
        known = None if explicit is None else frozenset(explicit) - {"preset"}
        return dataclasses.replace(build(cls, tree), explicit=known)

    @classmethod
    def of_model(cls, tree: Mapping[str, Any]) -> Self:
        """Build the configuration that a model file, or the record of a run, holds.

        Earlier versions took settings that the kind of network does not look at; they get their
        default.

        Raises
        ------
        ConfigError
            As for :meth:`from_dict`.
        """
        sections = {
            name: dict(v) if isinstance(v, Mapping) else v for name, v in dict(tree).items()
        }
        network, training = sections.get("network"), sections.get("training")
        if isinstance(network, dict) and isinstance(training, dict):
            whole = network.get("output", "score") == "score"
            sections.pop("local" if whole else "anomalies", None)
            for name in OF_MAPS if whole else OF_WHOLE_IMAGES:
                training.pop(name, None)
            for name in network_section.OF_MAPS if whole else ():
                network.pop(name, None)
        return cls.from_dict(sections)

    def to_toml(self) -> str:
        """Return the whole tree as TOML. Where that is read, all of it counts as set."""
        return tomli_w.dumps(self.to_dict())
