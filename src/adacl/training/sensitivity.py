"""Measure which small changes raise normal images above the threshold of a model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from adacl.config import Config
from adacl.data.samples import Samples
from adacl.imaging.changes import CHANGES, LEVEL, Change
from adacl.model.model import Model
from adacl.model.sensitivity import Sensitivity

FEWEST, MOST = 8, 30
PIXELS = 1 << 21
"""Of all images that are looked at, as the network sees them, about: what bounds the time."""
LONGEST = 65_500
"""Pixels of a side that JPEG takes, at most."""
STRONG = "exposure -30 %"
"""Stronger than the other changes, and reported as a drift when images are scored."""


def sensitivity(model: Model, samples: Samples, images: NDArray[np.int64]) -> Sensitivity | None:
    """Score some normal images as they are, and under each change.

    Parameters
    ----------
    model
        The model.
    samples, images
        The normal images, and the numbers of those that the training did not see.

    Returns
    -------
    Sensitivity or None
        None for images of other than 8 bits, and if there are fewer than ``FEWEST``, or they are
        so large that it would take long, or longer than a JPEG file may be.
    """
    spec, threshold = model.spec, model.threshold.value
    if spec.dtype != "uint8" or spec.channels not in (1, 3) or len(images) < FEWEST:
        return None
    size = samples.of(images[:1])
    seen = sum(sample[..., 0].size for sample in size) / model.config.network.shrunk**2
    count = min(MOST, len(images), int(PIXELS / seen))
    longest = max(max(sample.shape[:2]) for sample in samples.of(images))
    if count < FEWEST or longest > LONGEST:
        return None
    chosen = [samples.of(images[[n]]) for n in np.linspace(0, len(images) - 1, count, dtype=int)]

    def flagged(change: Change) -> int:
        return sum(raw > threshold for raw in _raw(model, chosen, change))

    changes = _harmless(model.config)
    return Sensitivity(
        count,
        flagged(lambda image: image),
        {name: flagged(change) for name, change in changes.items()},
    )


def _harmless(config: Config) -> dict[str, Change]:
    """Return the changes that are no defects: not those of the light, if its level tells."""
    fixed = config.network.output == "map" and config.training.light == 0
    left_out = {STRONG, *(LEVEL if fixed else ())}
    return {name: change for name, change in CHANGES.items() if name not in left_out}


def _raw(model: Model, images: list[Samples], change: Change) -> list[float]:
    """Return the raw scores of images, each of whose samples is changed."""
    changed = (np.stack([change(sample) for sample in image]) for image in images)
    if model.tiling is not None:
        return [model.tiling.aggregate(model.raw(samples)) for samples in changed]
    if model.header.has_map:
        return [float(model.raw(image)[0]) for image in changed]
    return [float(raw) for raw in model.raw(np.concatenate(list(changed)))]
