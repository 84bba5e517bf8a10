"""Words of messages that depend on a number."""

from __future__ import annotations

import math


def plural(count: int, noun: str) -> str:
    """Return a number with its noun, as ``1 file`` and ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def are(count: int) -> str:
    """Return ``is`` for one, else ``are``."""
    return "is" if count == 1 else "are"


def were(count: int) -> str:
    """Return ``was`` for one, else ``were``."""
    return "was" if count == 1 else "were"


def remark_on_threshold(name: str, threshold: float) -> str:
    """Return a remark on a threshold given by hand, called ``name``, where no score lies."""
    if 0 <= threshold <= 1 or not math.isfinite(threshold):  # which is refused
        return ""
    few = "hardly anything" if threshold > 1 else "nearly everything"
    return (
        f"{name} {threshold:g}: scores lie in [0, 1]; beyond, raw scores are compared, and {few} "
        "may be flagged"
    )
