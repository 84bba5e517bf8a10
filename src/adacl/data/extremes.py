"""Tell of values that stretch the range learnt, as of hot pixels, or lie above the white level."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from adacl.data.samples import Samples
from adacl.errors import InputError
from adacl.imaging.spec import in_unit_range

NEARLY_ALL = 99.8
"""Share of the values, in percent, that counts as nearly all."""
SHARE = 4
"""How many times wider than nearly all values the range is where it is told."""
LOOKED_AT = 1 << 20
"""Values, drawn from all images, that tell where nearly all lie."""
CUT_OFF, MOST = 0.05, 0.5
"""Shares of an image above the white level that are told, and that are refused if usual."""

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


def check_cut_off(samples: Samples, name: Callable[[int], str]) -> None:
    """Warn if much of some images lies above the white level, so that it is learnt as white.

    The arguments are as for :func:`tell_extremes`.

    Raises
    ------
    InputError
        If most of most images does.
    """
    spec = samples.spec
    if spec.dtype != "uint16":
        return
    shares = []
    for image in samples:
        if samples.mask is not None:
            image = samples.mask.looked_at(image[None])
        shares.append(float((image > spec.high).mean()))
    cut = np.array(shares) > CUT_OFF
    if not cut.any():
        return
    images = np.unique(samples.owner[samples.numbers[cut]])
    remedy = "state the white of the camera (--white-level 4095 for 12 bits)"
    if np.median(shares) > MOST:
        raise InputError(
            f"white level {spec.high:g}: lower than most values of most images, such as "
            f"{name(images[0])}; {remedy}"
        )
    log.warning(
        "white level %g: more than %.0f%% of the values of %d of %d images, such as %s, are "
        "higher, and learnt as white; if they are not, %s",
        spec.high,
        100 * CUT_OFF,
        len(images),
        samples.owner.max() + 1,
        name(images[0]),
        remedy,
    )
