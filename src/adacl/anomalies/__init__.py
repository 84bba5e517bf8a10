"""Anomalies made from normal images.

Each kind is a function of a batch of images, N x C x H x W in [0, 1], and a
``torch.Generator`` on the same device. It returns a new batch of the same form and the mask,
N x 1 x H x W, of where each image was changed; or the batch alone if all of each image is wrong. A
further kind takes one function and one registration::

    @register("mirror")
    def mirror(images: Tensor, generator: torch.Generator) -> Tensor:
        return images.flip(-1)

The kinds of :mod:`adacl.anomalies.defects` and :mod:`adacl.anomalies.pose` are made only where they
are given a weight (``adacl fit --add scar``).
"""

from adacl.anomalies.defects import blur, foreign_paste, noise, scar, tone
from adacl.anomalies.mixture import check_anomaly_config, draw_kinds, make, make_mixture
from adacl.anomalies.motion import skip
from adacl.anomalies.paper import cut_paste, mix_up, puzzling, rotation
from adacl.anomalies.pose import flip, shift
from adacl.anomalies.registry import KINDS, register

__all__ = [
    "KINDS",
    "check_anomaly_config",
    "cut_paste",
    "draw_kinds",
    "make",
    "make_mixture",
    "mix_up",
    "puzzling",
    "register",
    "rotation",
    "skip",
]

for _kind in (
    cut_paste,
    puzzling,
    rotation,
    mix_up,
    skip,
    flip,
    shift,
    foreign_paste,
    blur,
    noise,
    tone,
    scar,
):
    register(_kind.__name__)(_kind)

for _name in __all__[1:]:
    globals()[_name].__module__ = __name__
