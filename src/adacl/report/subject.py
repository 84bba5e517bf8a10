"""The model and the options that a report is about."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from adacl.model.header import ModelHeader
from adacl.model.threshold import Threshold

if TYPE_CHECKING:
    from adacl.deploy.scorer import Scorer
    from adacl.image_detector import ImageDetector

Story = Literal["score", "evaluate", "fit"]


@dataclass(frozen=True)
class Subject:
    """The model and the options that a report is about.

    Parameters
    ----------
    title
        Heading of the page.
    story
        Whether images were scored, labelled images evaluated, or a model fitted.
    model_path, header
        The file of the model, and what it says of itself, its fingerprint included.
    scorer
        What scored.
    threshold
        The threshold in use.
    command
        The command line that made the report, or "".
    again
        The command that applies another threshold, when ``--threshold`` is appended.
    """

    title: str
    story: Story
    model_path: Path
    header: ModelHeader
    scorer: ImageDetector | Scorer
    threshold: Threshold
    command: str
    again: Sequence[str]


def readable(text: str | Path) -> str:
    r"""Return text in which bytes that are no UTF-8 are written ``\xff``."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")
