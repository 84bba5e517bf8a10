"""Continuous labels of every place of a map (section 3.2.2 per place)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from adacl.anomalies.local import Made
from adacl.config import LabelConfig
from adacl.training.visibility import grade_of

STRIDE = 2
"""Pixels from one place of the map to the next."""


def label_places(
    normal: Tensor, made: Made, generator: torch.Generator, config: LabelConfig, scales: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return label, whether it is changed, and family of every place, (N, 1, H / 2, W / 2) each.

    A place has a label from the normal interval where nothing was changed. With the visibility of
    the change it rises towards one from the anomalous interval (section 3.2.2 per place, where a
    change is seen or not). Labels are drawn once for the background of an image, and once for each
    region of changes.
    """
    region = functional.max_pool2d(made.region.float(), 3, 1, 1)
    grade = grade_of(normal, made.images, scales) * (region > 0)
    count, regions = len(normal), int(made.region.max()) + 1
    draws = torch.rand((count, regions + 1), generator=generator, device=normal.device)
    region = functional.max_pool2d(region, STRIDE, ceil_mode=True).long()
    grade = functional.max_pool2d(grade, STRIDE, ceil_mode=True)
    changed = region > 0
    family = made.families.gather(1, (region.flatten(1) - 1).clamp(min=0)).view_as(region)
    if config.scheme == "discrete":
        return changed.float(), changed, family
    (low, high), (low_made, high_made) = config.normal, config.anomalous
    background = low + (high - low) * draws[:, -1].view(-1, 1, 1, 1)
    peak = low_made + (high_made - low_made) * draws.gather(1, region.flatten(1)).view_as(grade)
    return background + (peak - background) * grade, changed, family
