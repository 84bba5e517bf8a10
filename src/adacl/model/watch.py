"""Report once how the images of a run differ from those learnt."""

from __future__ import annotations

import logging

from adacl.model.header import ModelHeader
from adacl.model.learnt import level_words

ENOUGH = 8
"""Images of which it is said that they are darker or brighter on the whole."""
DRIFT = 0.05
FAR = 2
"""How many times brighter or darker than those learnt images are too far off to be judged."""

log = logging.getLogger("adacl")


class Watch:
    """Notices how the images of a run differ from those learnt, and reports it at the end.

    Parameters
    ----------
    header
        The model's, which knows what was learnt.
    what
        What the images are called.

    Attributes
    ----------
    count : int
        Images seen.
    """

    def __init__(self, header: ModelHeader, what: str = "images") -> None:
        self._learnt = header.learnt
        self._light = header.light_varies
        self._what = what
        self.count = self._remarks = 0
        self._sum = 0.0
        self._levels = 0
        self._first = ""

    def see(self, name: object, remark: str, level: float | None) -> None:
        """Take note of an image."""
        self.count += 1
        if level is not None and self._light:
            self._levels += 1
            self._sum += level
        if remark:
            self._remarks += 1
            self._first = self._first or f"{name}: {remark}"

    @property
    def _comparable(self) -> bool:
        return self._levels >= ENOUGH and len(self._learnt.level) == 5

    @property
    def far_off(self) -> bool:
        """Whether the images are so dark or bright, on the whole, that they cannot be judged."""
        if not self._comparable:
            return False
        mean, usual = self._sum / self._levels, self._learnt.level[2]
        return not usual / FAR <= mean <= usual * FAR

    def drift(self) -> str:
        """Return a remark if the images are on the whole darker or brighter than those learnt."""
        if not self._comparable:
            return ""
        mean, (_, low, usual, high, _) = self._sum / self._levels, self._learnt.level
        change = mean / usual - 1 if usual > 0 else 0.0
        if low <= mean <= high or abs(change) < DRIFT:
            return ""
        word = "darker" if change < 0 else "brighter"
        far = ", so far off that anomalies may be missed" if self.far_off else ""
        return (
            f"these {self._what} are {abs(change):.0%} {word} than those learnt "
            f"(mean {level_words(mean, 3)}, learnt {level_words(usual, 3)}){far}"
        )

    def tell(self) -> None:
        """Log it."""
        if drift := self.drift():
            log.warning("%s", drift)
        if self._remarks > 1:
            log.warning(
                "%s (%d of %d %s differ from those learnt)",
                self._first, self._remarks, self.count, self._what,
            )  # fmt: skip
        elif self._remarks:
            log.warning("%s", self._first)
