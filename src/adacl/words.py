"""Words that agree with a number."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """Return a number with its noun, as ``1 file`` and ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def are(count: int) -> str:
    """Return ``is`` for one, else ``are``."""
    return "is" if count == 1 else "are"


def were(count: int) -> str:
    """Return ``was`` for one, else ``were``."""
    return "was" if count == 1 else "were"
