"""Collect what a report needs from a stream of scores, in bounded memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adacl.model.scoring import FileScore

Group = Literal["image", "normal", "anomalous", "trained on", "made"]
"""Images of unknown label, labelled ones, and in the report of a fit what was learned from."""

STEPS = 10_000
"""All scores are counted in steps of 1 / STEPS."""
FURTHEST = 10.0
ROWS = 50_000
SKIPPED = 1_000


class Row(NamedTuple):
    """A scored image, and the group it belongs to."""

    score: FileScore
    group: Group


@dataclass
class Gathering:
    """Counts all scores, and keeps the images worth listing.

    Up to ``ROWS`` images are all kept; of more, those that score highest, those closest to the
    threshold, and with labels the normal images that score highest and the anomalies that score
    lowest.

    Parameters
    ----------
    threshold
        The threshold in use.
    own
        The model's own; the scores above either are counted exactly.
    """

    threshold: float
    own: float
    counts: dict[Group, Counter[int]] = field(default_factory=dict, init=False)
    flagged: dict[Group, list[int]] = field(default_factory=dict, init=False)
    skipped: list[tuple[Path, str]] = field(default_factory=list, init=False)
    unnamed: int = field(default=0, init=False)
    """Files that could not be read beyond those that are ``skipped``."""
    _rows: list[Row] = field(default_factory=list, init=False)
    _cut: bool = field(default=False, init=False)

    def watch(self, scores: Iterable[FileScore], group: Group) -> Iterator[FileScore]:
        """Pass on scores, and count them."""
        for score in scores:
            self.add(score.raw, group)
            self._rows.append(Row(score, group))
            if len(self._rows) >= 2 * ROWS:
                self._rows, self._cut = self.rows, True
            yield score

    def add(self, raw: float, group: Group) -> None:
        """Count a score (raw) that belongs to no listed image."""
        self.counts.setdefault(group, Counter())[_step(raw)] += 1
        flagged = self.flagged.setdefault(group, [0, 0])
        flagged[0] += raw > self.threshold
        flagged[1] += raw > self.own

    def total(self, *groups: Group) -> int:
        """Return how many scores were counted, in all or of some groups."""
        return sum(self.counts[group].total() for group in groups or self.counts)

    @property
    def rows(self) -> list[Row]:
        """The images kept, in the order they came."""
        if len(self._rows) <= ROWS and not self._cut:
            return self._rows
        return [self._rows[index] for index in notable(self._rows, self.threshold, ROWS)]


def notable(rows: list[Row], threshold: float, count: int) -> list[int]:
    """Return the indices of up to ``count`` rows that are worth a look, in rising order.

    Each reason to look has its own share, so that what was once left out would be left out of
    more rows, too.
    """
    orders = list(by_reason(rows, threshold).values())
    share = count // len(orders)
    return sorted({int(index) for order in orders for index in order[:share]})


def by_reason(rows: list[Row], threshold: float) -> dict[str, NDArray[np.int64]]:
    """Return the indices of rows, most telling first, for each reason to look at them."""
    raw = np.array([row.score.raw for row in rows])
    falling = np.argsort(-raw, kind="stable")
    orders = {
        "worst": falling,
        "borderline": np.argsort(np.abs(raw - threshold), kind="stable"),
    }
    groups = np.array([row.group for row in rows])
    if "anomalous" in groups:
        orders["missed"] = falling[::-1][groups[falling[::-1]] == "anomalous"]
        orders["alarms"] = falling[groups[falling] == "normal"]
    return orders


def _step(raw: float) -> int:
    """Return k with k / STEPS < raw <= (k + 1) / STEPS, in the rounding of a division."""
    raw = min(FURTHEST, max(-FURTHEST, raw))
    step = math.ceil(raw * STEPS) - 1
    while step / STEPS >= raw:
        step -= 1
    while (step + 1) / STEPS < raw:
        step += 1
    return step
