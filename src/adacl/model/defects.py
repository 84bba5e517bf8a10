"""What a few labelled defects tell of a threshold; they are used for nothing else.

Either the normals set the threshold and the defects judge it, or the other way round. What judges
has no part in the choice, so the intervals are exact (Clopper and Pearson 1934; for the defects
that set it, the Beta distribution of an order statistic).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from adacl.config.sections import finite
from adacl.errors import ConfigError
from adacl.words import are, plural

TAILS = (0.025, 0.975)
"""Between which 95 % of a distribution lie."""
FEW = 30
"""Defects below which the notes say that more would tell more."""


@dataclass(frozen=True)
class Defects:
    """How a threshold does on labelled defects that no training saw.

    Parameters
    ----------
    n
        Distinct images, or groups of them.
    found
        How many of them score above the threshold.
    low, high
        The share of such defects that is found lies between these with 95 % confidence.
    wanted
        The share that the threshold was set to find. None: normals set it, the defects judged it.
    flagged
        With ``wanted``, how many of the normals the threshold flags.

    Raises
    ------
    ConfigError
        If the numbers cannot be.
    """

    n: int
    found: int
    low: float
    high: float
    wanted: float | None = None
    flagged: int | None = None

    def __post_init__(self) -> None:
        counts = (self.n, self.found, self.flagged or 0)
        if not all(isinstance(count, int) for count in counts) or not 0 <= self.found <= self.n:
            raise ConfigError(f"threshold defects: need whole numbers, got {counts}")
        for name in ("low", "high", *(["wanted"] if self.wanted is not None else [])):
            share = finite(f"threshold defects {name}", getattr(self, name))
            if not 0 <= share <= 1:
                raise ConfigError(f"threshold defects {name}: need a share from 0 to 1")
            object.__setattr__(self, name, share)

    def notes(self) -> Iterator[str]:
        """Say what they were used for, and what they tell."""
        shown = plural(self.n, "labelled defect")
        role = "set" if self.wanted is not None else "judged"
        yield (
            f"finds {self.found} of {shown}; of all such defects {self.low:.0%} "
            f"to {self.high:.0%}, with 95% confidence. They {role} the threshold; no training saw "
            "them"
        )
        if self.wanted is not None and self.n < (needed := defects_needed(self.wanted)):
            share = f"{100 * self.wanted:.6g}%"
            yield (
                f"{shown} {are(self.n)} too few for {share}: a threshold just below the "
                f"lowest finds {self.n / (self.n + 1):.1%} of such defects in the long run; "
                f"{share} takes at least {needed}"
            )
        if self.n < FEW:
            tell = "tells" if self.n == 1 else "tell"
            yield f"{shown} {tell} little: more defects narrow that range"


def defects_needed(share: float) -> int:
    """Return how many defects can set a threshold that finds ``share`` of such: 9 for 90 %."""
    return math.ceil(share / (1 - share) - 1e-9)


def share_interval(count: int, n: int) -> tuple[float, float]:
    """Return the 95 % Clopper-Pearson interval of a share of which ``count`` of ``n`` are seen."""
    from scipy.special import betaincinv

    low = float(betaincinv(count, n - count + 1, TAILS[0])) if count else 0.0
    high = float(betaincinv(count + 1, n - count, TAILS[1])) if count < n else 1.0
    return low, high
