"""What a verdict on a model is: a grade, the reason for it, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Grade = Literal["good", "usable", "weak", "none"]
Kind = Literal["normals", "preset", "epochs", "threshold", "test", "use", "other"]


@dataclass(frozen=True)
class Step:
    """Something to do next.

    Parameters
    ----------
    command
        Its words, unquoted; those in capitals stand for what the user has. Empty if no command
        does it.
    reason
        What it is for; without a command, what to do.
    kind
        What it changes: another fit gets more ``normals``, another ``preset`` or more ``epochs``;
        or it sets a ``threshold``, makes a ``test``, or puts the model to ``use``.
    value
        Of the preset or the epochs that another fit gets.
    then
        What is left to do after the command, in words.
    """

    command: tuple[str, ...]
    reason: str
    kind: Kind = "other"
    value: str = ""
    then: str = ""

    @property
    def typed(self) -> str:
        """The command as it is typed."""
        return shlex.join(self.command)

    def __str__(self) -> str:
        if not self.command:
            return self.reason
        then = f", then {self.then}" if self.then else ""
        return f"{self.typed}{then}: {self.reason}"


class Advice(NamedTuple):
    """A grade for a model, the reason for it, and the next steps.

    Parameters
    ----------
    grade
        ``good``, ``usable`` or ``weak``; ``none`` if too little is known to give one.
    why
        A sentence without its full stop.
    steps
        The next things to do, at most two.
    sensitive
        After a fit, the small change that raises most normal images above the threshold; or "".
    """

    grade: Grade
    why: str
    steps: tuple[Step, ...]
    sensitive: str = ""

    @property
    def word(self) -> str:
        """The grade in words."""
        return "weak, do not rely on it" if self.grade == "weak" else self.grade

    def lines(self) -> Iterator[str]:
        """Yield the lines that a command ends with."""
        yield from self.judgement()
        for step in self.steps:
            yield f"next: {step}"

    def judgement(self) -> Iterator[str]:
        """Yield the lines that come before those on the next steps."""
        yield f"verdict: {self.word}. {self.why[:1].upper()}{self.why[1:]}"
        if self.sensitive:
            yield f"sensitive to: {self.sensitive}".replace("×", "x")

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints; of each step the command, what follows and the reason."""
        steps = [
            {"command": step.typed, "then": step.then, "reason": step.reason} for step in self.steps
        ]
        return {**self._asdict(), "steps": steps}
