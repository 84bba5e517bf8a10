"""Tell of single values, as of hot pixels, that alone decide which range is learnt."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from adacl.data.samples import Samples
from adacl.imaging.spec import in_unit_range

NEARLY_ALL = 99.8
"""Share of the values, in percent, that counts as nearly all."""
SHARE = 4
"""How many times wider than nearly all values the range is where it is told."""
LOOKED_AT = 1 << 20
"""Values, drawn from all images, that tell where nearly all lie."""

log = logging.getLogger("adacl")


def tell_extremes(samples: Samples, name: Callable[[int], str]) -> None:
    """Warn if few values stretch the range that becomes 0 to 1 far beyond nearly all others.

    Parameters
    ----------
    samples
        All images, whose range is that of their values; with a mask, of those that it looks at.
    name
        Returns what messages call an image, by its number.
    """
    spec = samples.spec
    if spec.dtype == "uint8" or (spec.dtype == "float32" and in_unit_range(spec.low, spec.high)):
        return
    generator = np.random.default_rng(0)
    each = max(1000, LOOKED_AT // len(samples))
    ends, drawn = [], []
    for image in samples:
        if samples.mask is not None:
            image = samples.mask.looked_at(image[None])
        ends.append((image.min(), image.max()))
        drawn.append(generator.choice(image.ravel(), each))
    rest = (100 - NEARLY_ALL) / 2
    low, high = np.percentile(np.concatenate(drawn), [rest, 100 - rest])
    spread = high - low
    least, most = np.array(ends, float).T
    beyond = (least < low - spread) | (most > high + spread)
    if spread * SHARE >= spec.high - spec.low or not beyond.any():
        return
    images = np.unique(samples.owner[samples.numbers[beyond]])
    log.warning(
        "%g%% of all values lie between %g and %g, but the range learnt is %g to %g, which leaves "
        "them little contrast, because of %d of %d images, such as %s; mend hot or dead pixels, "
        "clip the values, or state the white of 16 bits (--white-level)",
        NEARLY_ALL,
        low,
        high,
        spec.low,
        spec.high,
        len(images),
        samples.owner.max() + 1,
        name(images[0]),
    )
