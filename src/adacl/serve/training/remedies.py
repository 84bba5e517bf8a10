"""What would help a model that was taught on the page, in its words instead of commands."""

from __future__ import annotations

from collections.abc import Iterable

from adacl.config import Config
from adacl.model.verdict import Step

THOROUGH = 30
"""The most epochs that the page offers."""
MORE = "teach it again with more normal pictures"


PRESETS = {
    "inspect": "if faults are small parts of the picture, teach it again with “A small fault”",
    "accurate": "if pictures differ as a whole, teach it again with “The whole thing”, “Accurate”",
}


def remedies(steps: Iterable[Step], config: Config) -> list[str]:
    """Say the next steps of a verdict on a model trained by ``config``, each once."""
    return list(dict.fromkeys(_remedy(step, config) for step in steps))


def _remedy(step: Step, config: Config) -> str:
    if step.kind == "test":
        return "try it under Inspect with new pictures, normal ones and faulty ones"
    if step.kind == "epochs":
        quick = config.preset in ("paper", "inspect") and config.training.epochs < THOROUGH
        return "teach it again with “Thorough”" if quick else MORE
    return PRESETS.get(step.value, MORE) if step.kind == "preset" else MORE
