"""What would help a model that was taught on the page, in its words instead of commands."""

from __future__ import annotations

from collections.abc import Iterable

from adacl.config import Config

THOROUGH = 30
"""The most epochs that the page offers."""
MORE = "teach it again with more normal pictures"


def remedies(steps: Iterable[str], config: Config) -> list[str]:
    """Say the next steps of a verdict on a model trained by ``config``, each once."""
    return list(dict.fromkeys(_remedy(step, config) for step in steps))


def _remedy(step: str, config: Config) -> str:
    if step.startswith("adacl evaluate"):
        return "try it under Inspect with new pictures, normal ones and faulty ones"
    if "--epochs" in step:
        quick = config.preset in ("paper", "inspect") and config.training.epochs < THOROUGH
        return "teach it again with “Thorough”" if quick else MORE
    if "MORE_NORMALS" in step:
        return MORE
    if "--preset inspect" in step:
        return "if faults are small parts of the picture, teach it again with “A small fault”"
    if "--preset accurate" in step:
        return "if pictures differ as a whole, teach it again with “The whole thing”, “Accurate”"
    return MORE
