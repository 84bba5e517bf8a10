"""adacl: visual anomaly detection from normal images alone.

An implementation of ADACL (Khazaie, Wong, Mohsenzadeh: "Augment to Detect Anomalies with
Continuous Labelling", 2022). Importing this package imports neither PyTorch nor scikit-learn;
the detectors do, on first use; ``Scorer`` does without them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from adacl._version import __version__
from adacl.config import Config
from adacl.config.presets import preset

if TYPE_CHECKING:
    from adacl.detector import AnomalyDetector
    from adacl.pyod_adapter import PyODDetector
    from adacl.runtime import Scorer
    from adacl.video.config import VideoConfig
    from adacl.video.detector import VideoAnomalyDetector

__all__ = [
    "AnomalyDetector",
    "Config",
    "PyODDetector",
    "Scorer",
    "VideoAnomalyDetector",
    "VideoConfig",
    "__version__",
    "preset",
]

_LAZY = {
    "AnomalyDetector": "adacl.detector",
    "PyODDetector": "adacl.pyod_adapter",
    "Scorer": "adacl.runtime",
    "VideoAnomalyDetector": "adacl.video.detector",
    "VideoConfig": "adacl.video.config",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'adacl' has no attribute {name!r}")
    try:
        return getattr(import_module(_LAZY[name]), name)
    except ModuleNotFoundError as error:
        from adacl.errors import missing_extra

        raise missing_extra(error) from error
