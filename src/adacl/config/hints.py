"""Settings derived from what a user knows of the defects, the light and the pose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from adacl.config.method import Config
from adacl.errors import ConfigError

Light = Literal["varies", "fixed"]
Turned = Literal["yes", "no", "auto"]

DEFECTS: dict[str, dict[str, dict[str, float]]] = {
    "missing": {"fillings": {"another": 3, "flat": 3, "ground": 3, "moved": 3}},
    "scratches": {"shapes": {"scar": 4}},
    "spots": {"fillings": {"flat": 3, "tone": 3}, "shapes": {"blob": 2, "ellipse": 2}},
    "wear": {"fillings": {"blur": 3, "noise": 3}},
}
"""Name of a kind of defect to the factors of the shares of shapes and fillings."""
LIGHT_LOSS = 5.0
"""``training.light_loss`` if the light varies."""


def with_hints(
    config: Config, defects: Sequence[str], light: str | None, turned: str | None = None
) -> Config:
    """Return a configuration adjusted to expected defects, known light and known pose.

    Parameters
    ----------
    config
        Of a network with a map.
    defects
        Names in ``DEFECTS``; the shapes and fillings that suit them are drawn more often.
    light
        ``varies``: the network also learns that crops score alike in another light, so that the
        light matters less; ``fixed``: the level tells normal from anomalous. None leaves it as it
        is: images that are a little darker or brighter are normal.
    turned
        ``training.turned``. None leaves it as it is.

    Raises
    ------
    ConfigError
        If a hint is not known or contradicts the configuration, or the network has no map.
    """
    if (defects or light or turned) and config.network.output != "map":
        raise ConfigError(
            f"--expect, --light and --turned: the preset {config.preset} makes anomalies of whole "
            "images and takes no hints; use --preset inspect"
        )
    for name in dict.fromkeys(defects):
        if name not in DEFECTS:
            raise ConfigError(f"--expect {name}: need one of {', '.join(DEFECTS)}")
        if not any(
            getattr(config.local, setting).keys() & factors
            for setting, factors in DEFECTS[name].items()
        ):
            raise ConfigError(
                f"--expect {name}: none of what it would make more of is made; see local.shapes "
                "and local.fillings"
            )
        for setting, factors in DEFECTS[name].items():
            shares = getattr(config.local, setting)
            raised = {key: share * factors.get(key, 1) for key, share in shares.items()}
            config = config.replace(**{f"local__{setting}": raised})
    if light not in (None, *get_args(Light)):
        raise ConfigError(f"--light {light}: need one of {', '.join(get_args(Light))}")
    if turned not in (None, *get_args(Turned)):
        raise ConfigError(f"--turned {turned}: need one of {', '.join(get_args(Turned))}")
    if turned == "no" and config.network.upright == "yes":
        raise ConfigError(
            "--turned no: with network.upright=yes all parts are turned upright before they are "
            "judged; leave out one of them"
        )
    if light == "varies" and not config.training.light:
        raise ConfigError(
            "--light varies: with training.light=0 the training does not vary it; leave out one of "
            "them"
        )
    if light == "varies":
        config = config.replace(training__light_loss=LIGHT_LOSS)
    if light == "fixed":
        config = config.replace(
            training__light=0.0,
            training__light_loss=0.0,
            training__tint=0.0,
            network__local_contrast=False,
        )
    return config.replace(training__turned=turned) if turned else config
