"""The configuration: a tree of checked settings, and the presets that fill it in."""

from adacl.config.anomalies import AnomalyConfig, LocalConfig
from adacl.config.method import Config
from adacl.config.network import PARAMETER_LIMIT, NetworkConfig
from adacl.config.training import LabelConfig, ThresholdConfig, TrainingConfig

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

for _name in __all__:
    if isinstance(_section := globals()[_name], type):
        _section.__module__ = __name__
