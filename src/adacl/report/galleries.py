"""Choose the images that a report shows large, with heat maps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any

import numpy as np

from adacl.report.subject import Story, Subject, readable
from adacl.report.tally import Row, by_reason
from adacl.report.thumbnails import preview

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""Passes items through and shows how many are done; takes them, a title and their number."""

SHOWN = 12
MAP_SECONDS = 60.0
"""No heat map is begun after this; those of large images take long."""

GALLERIES: dict[Story, dict[str, tuple[str, str]]] = {
    "score": {
        "worst": ("Highest scores", "The images that look least like what was learned."),
        "borderline": (
            "Closest to the threshold",
            "Where a small move of the threshold changes the label; worth a person's look. Those "
            "with the highest scores are not repeated here.",
        ),
    },
    "fit": {
        "worst": (
            "Training images that score highest",
            "Does one of them not belong among the normal images? Take it out and fit again.",
        ),
    },
}
GALLERIES["evaluate"] = {
    "missed": (
        "Missed anomalies",
        "Labelled anomalous, but not above the threshold; the lowest scores first.",
    ),
    "alarms": (
        "False alarms",
        "Labelled normal, but above the threshold; the highest scores first.",
    ),
    **GALLERIES["score"],
}


def galleries(subject: Subject, rows: list[Row], track: Track) -> tuple[list[dict[str, Any]], int]:
    """Choose images and make their heat maps, those of the first in each gallery first.

    What is among the highest scores is not shown as close to the threshold, too; where that is
    everything, this gallery is left out. Images in several folders are named with the folder.

    Returns
    -------
    galleries, int
        As the template takes them, and how many images have no heat map for lack of time.
    """
    limit = subject.threshold.value
    orders = by_reason(rows, limit)
    close = orders["borderline"]
    orders["borderline"] = close[~np.isin(close, orders["worst"][:SHOWN])]
    chosen = dict(GALLERIES[subject.story])
    if len(rows) <= SHOWN:
        chosen.pop("borderline", None)
    shown: dict[str, list[int]] = {}
    for name in chosen:
        indices = orders.get(name, np.empty(0, int)).tolist()
        if name in ("missed", "alarms"):
            indices = [n for n in indices if (rows[n].score.raw > limit) == (name == "alarms")]
        shown[name] = indices[:SHOWN]
    parts = 1 + (len({row.score.path.parent for row in rows}) > 1)
    images = {index: _image(rows[index], index, limit, parts) for index in _in_turn(shown.values())}
    end = time.monotonic() + MAP_SECONDS
    for index, image in track(images.items(), "heat maps", len(images)):
        maps = subject.scorer.anomaly_map if time.monotonic() < end else None
        score = rows[index].score
        outline = limit if score.raw > limit else None
        image["picture"] = preview(score.path, subject.header, maps, outline)
    found = [
        {
            "name": name,
            "title": title,
            "words": words,
            "images": [images[index] for index in shown[name]],
        }
        for name, (title, words) in chosen.items()
    ]
    pictures = [image["picture"] for image in images.values() if image["picture"]]
    return found, sum(picture.heat is None for picture in pictures)


def _in_turn(lists: Iterable[list[int]]) -> list[int]:
    """Return what the lists hold, once each: the first of each, then the second of each ..."""
    turns = zip_longest(*lists)
    return list(dict.fromkeys(index for turn in turns for index in turn if index is not None))


def _image(row: Row, index: int, limit: float, parts: int) -> dict[str, Any]:
    return {
        "row": index,
        "name": readable("/".join(row.score.path.parts[-parts:])),
        "score": row.score.score,
        "flagged": row.score.raw > limit,
    }
