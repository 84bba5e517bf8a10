"""Named configurations, and the choice among them by the images.

``paper`` is the published method. Whatever goes beyond it is another preset.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from adacl.config.anomalies import AnomalyConfig
from adacl.config.method import Config
from adacl.config.network import NetworkConfig
from adacl.config.training import ThresholdConfig, TrainingConfig
from adacl.errors import ConfigError, MissingDataError

log = logging.getLogger("adacl")

THUMBNAIL = 64
"""Shorter side in pixels, up to which the whole image is what is normal or not."""
KINDS = {"cut_paste": 1.0, "puzzling": 1.0, "mix_up": 1.0}
SCHEDULE = TrainingConfig(
    epochs=15, batch_size=32, optimizer="muon", balance=True, keep="last", weight_decay=1e-4
)
TURNS = (0, 1, 2, 3)
PRESETS: dict[str, Config] = {
    "paper": Config(),
    "aligned": Config(
        "aligned",
        AnomalyConfig(weights=KINDS, per_image=2),
        network=NetworkConfig(
            turns=TURNS, distance=1.0, distance_among="both", distance_components=16
        ),
        training=SCHEDULE,
    ),
    "varied": Config(
        "varied",
        AnomalyConfig(weights=KINDS),
        network=NetworkConfig(
            channels=(24, 64, 124),
            kernel=3,
            conv_dropout=0.0,
            dropout=0.0,
            batch_norm=True,
            pool="average",
            blocks=(0, 1, 1),
            turns=TURNS,
            mirrored="normal",
            distance=0.75,
            distance_among="features",
        ),
        training=replace(SCHEDULE, shift=2, tint=0.2),
    ),
    "inspect": Config(
        "inspect",
        network=NetworkConfig(
            channels=(16, 40, 64, 72),
            output="map",
            place="auto",
            shrink="auto",
            upright="auto",
            window=3,
            alone=0.5,
            top=200,
            few=20,
        ),
        training=TrainingConfig(
            epochs=10,
            min_epoch_images=1920,
            batch_size=8,
            light=0.1,
            tint=0.1,
            vary=0.5,
            record=1.0,
            tilt=3.0,
            mirror=True,
            turned="auto",
            optimizer="muon",
            weight_decay=1e-2,
            rate_max=1e-3,
            keep="last",
        ),
        threshold=ThresholdConfig(set_aside=1),
    ),
    "video": Config(
        "video",
        AnomalyConfig(weights={"skip": 1.0}, options={}),
        training=TrainingConfig(epochs=12, mirror=True, optimizer="muon", weight_decay=1e-4),
    ),
}
PRESETS["accurate"] = PRESETS["varied"].replace(preset="accurate")
"""``aligned`` is for images that show the same thing at the same place, ``varied`` for all others;
``accurate`` is whichever of the two suits. ``video`` is for stacked frames."""


def preset(name: str) -> Config:
    """Return a copy of the named configuration.

    Raises
    ------
    ConfigError
        If there is no preset of that name.
    """
    return _copy(name, PRESETS)


def preset_of_images(name: str) -> Config:
    """Return a copy of the named configuration for image files, which show no motion.

    Raises
    ------
    ConfigError
        If there is no preset of that name, or it is for stacked frames.
    """
    if name == "video":
        raise ConfigError(
            "preset 'video' learns motion, which images do not show; learn from videos or folders "
            "of frames with adacl video fit"
        )
    return _copy(name, PRESETS.keys() - {"video"})


def _copy(name: str, known: Collection[str]) -> Config:
    if name not in known:
        raise ConfigError(
            f"preset {name!r} is not known; known are {', '.join(sorted(known))}; adacl fit and "
            "AnomalyDetector take auto, too, which looks at the images first"
        )
    return Config.from_dict(PRESETS[name].to_dict(), explicit=())


def check_named(config: Config) -> None:
    """Check that a configuration named after another preset than ``paper`` is not like ``paper``.

    Raises
    ------
    ConfigError
        If its network is that of ``paper``: ``Config(name)`` sets the name alone.
    """
    named, paper = PRESETS.get(config.preset), PRESETS["paper"]
    if named and config.network == paper.network != named.network:
        raise ConfigError(
            f"config: it is named {config.preset}, but has the settings of paper; start it from "
            f"adacl.preset({config.preset!r})"
        )


def by_size(sizes: Sequence[tuple[int, int]]) -> Config:
    """Return the preset for images of these heights and widths in pixels, and log its name.

    ``paper`` where the median of the shorter sides is at most 64 pixels, ``inspect`` otherwise.
    """
    side = median(min(size) for size in sizes)
    name = "paper" if side <= THUMBNAIL else "inspect"
    log.info(
        "preset %s: the shorter side of the images has %g pixels (median); up to %d suit paper, "
        "more suit inspect",
        name,
        side,
        THUMBNAIL,
    )
    return preset(name)


def for_tiles() -> Config:
    """Return the preset for tiles, and log its name."""
    log.info("preset paper: tiles are scored one by one; without --tile larger images get inspect")
    return preset("paper")


def from_toml(path: str | Path) -> Config:
    """Read a configuration from a TOML file; what it leaves out is as in the preset that it names.

    Raises
    ------
    MissingDataError
        If the file is not there.
    ConfigError
        If it is not TOML or a setting is not valid.
    """
    return from_tree(read_toml(path))


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read the settings of a TOML file, unchecked.

    Raises
    ------
    MissingDataError
        If the file is not there.
    ConfigError
        If it is not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingDataError(f"{path}: no such configuration file") from error
    except (OSError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: not a readable TOML file ({error})") from error


def from_tree(settings: Mapping[str, Any], default: str = "paper") -> Config:
    """Build a configuration; what is left out is as in the preset that it names, or the default.

    Raises
    ------
    ConfigError
        If a setting is not valid, or something is left out and there is no such preset.
    """
    named = settings.get("preset", default)
    tree = PRESETS.get(str(named), PRESETS["paper"]).to_dict()
    if isinstance(named, str) and named not in PRESETS and not _is_whole(settings, tree):
        raise ConfigError(
            f"preset {named!r} is not known, and settings that are left out are as in it; known "
            f"are {', '.join(sorted(PRESETS))}"
        )
    explicit = []
    for name, value in settings.items():
        both = isinstance(value, dict) and isinstance(tree.get(name), dict)
        tree[name] = tree[name] | value if both else value
        explicit += [f"{name}__{setting}" for setting in value] if both else [name]
    return Config.from_dict(tree, explicit)


def _is_whole(settings: Mapping[str, Any], tree: Mapping[str, Any]) -> bool:
    """Tell whether nothing of a whole tree is left out."""
    sections = [(part, settings.get(name)) for name, part in tree.items() if isinstance(part, dict)]
    return all(isinstance(own, dict) and part.keys() <= own.keys() for part, own in sections)


def suited(config: Config, aligned: bool) -> Config:
    """Return the configuration that the preset ``accurate`` becomes for given images.

    Parameters
    ----------
    config
        A configuration that started from ``accurate``. Settings that were set explicitly stay as
        they are.
    aligned
        Whether the images have a common layout, see :func:`adacl.training.alignment.layout_auroc`.
    """
    start, tree = preset("aligned" if aligned else "varied"), config.to_dict()
    if config.explicit is None:
        return config.replace(preset=start.preset)
    changes = {}
    for address in sorted(config.explicit):
        section, _, name = address.partition("__")
        changes[address] = tree[section][name] if name else tree[section]
    return start.replace(**changes)


def parse_settings(texts: Iterable[str] | None) -> dict[str, Any]:
    """Read settings given as ``section.name=value``, the values as in TOML; bare words are strings.

    Returns
    -------
    dict
        As ``Config.replace`` takes them.

    Raises
    ------
    ConfigError
        If one has no ``=``.
    """
    return dict(map(_parse_setting, texts or ()))


def _parse_setting(text: str) -> tuple[str, Any]:
    address, equals, value = text.partition("=")
    if not equals or address.count(".") != 1 or not all(address.split(".")):
        raise ConfigError(f"--set {text!r}: need section.name=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    return address.replace(".", "__"), parsed
