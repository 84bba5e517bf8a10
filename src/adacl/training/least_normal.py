"""Which of the normal images look least normal: perhaps defects that got among them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from adacl.model.threshold_rules import BETWEEN
from adacl.training.splits import Images

NAMED, PIXELS = 20, 200_000_000
"""Images that are named, and pixels of learnt ones that are scored for it, about, at most."""
USUAL = 0.9


def some_of(learnt: Images, pixels: int) -> Images:
    """Return numbers of learnt images of so many pixels, in rising order: every n-th of many."""
    return np.sort(learnt)[:: 1 + len(learnt) * pixels // PIXELS]


def least_normal(
    held_out: Images,
    scores: NDArray[np.float64],
    threshold: float,
    learnt: Images,
    learnt_scores: NDArray[np.float64],
) -> list[int]:
    """Return the numbers of the images that look least normal, the highest score first.

    These are those above 0.5, nearer to anomalies, that score higher than nine tenths of the images
    held out: of the latter, and of those learnt, though these were taught to be normal. Images
    held out that are above the threshold always are among them.

    Parameters
    ----------
    held_out, scores
        Numbers (n,) of images, and their raw scores.
    threshold
        That they gave.
    learnt, learnt_scores
        The same of images that were learnt (m,).
    """
    least = max(BETWEEN, float(np.quantile(scores, USUAL)))
    above = scores > min(least, threshold)
    numbers = np.append(held_out[above], learnt[learnt_scores > least])
    found = np.append(scores[above], learnt_scores[learnt_scores > least])
    named: list[int] = numbers[np.argsort(-found, kind="stable")][:NAMED].tolist()
    return named
