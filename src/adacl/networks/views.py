"""The views of an image that a network scores: the image itself, and turned and mirrored copies.

A view only moves pixels, so it maps each pixel to its source pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adacl.config import NetworkConfig

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class View:
    """A copy of an image: first mirrored left to right, if at all, then turned.

    Parameters
    ----------
    turns
        Counter-clockwise quarter turns.
    mirrored
        Whether it is mirrored.
    output
        The output of the network for which this view is the normal one.
    """

    turns: int
    mirrored: bool
    output: int

    def sources(self, height: int, width: int) -> Indices:
        """Return the source pixel of every pixel, (height * width,), as row * width + column.

        Of an image that is not square the square in the middle is turned.
        """
        sources = np.arange(height * width).reshape(height, width)
        if self.mirrored:
            sources = sources[:, ::-1].copy()
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = np.s_[top : top + side, left : left + side]
        sources[square] = np.rot90(sources[square], self.turns).copy()
        return sources.ravel()


def views_of(config: NetworkConfig) -> tuple[View, ...]:
    """Return the views of a network, those that have an output of their own first."""
    turns = tuple(enumerate(config.turns))
    straight = [View(turn, False, output) for output, turn in turns]
    if config.mirrored == "no":
        return tuple(straight)
    shift = len(turns) if config.mirrored == "own" else 0
    return (*straight, *(View(turn, True, output + shift) for output, turn in turns))


def scored_views(config: NetworkConfig) -> tuple[View, ...]:
    """Return the views whose scores are averaged: all, or the first of them."""
    return views_of(config)[: config.scored_views or None]


def own_views(views: tuple[View, ...]) -> tuple[View, ...]:
    """Return the first view of every output, in the order of the outputs."""
    return views[: 1 + max(view.output for view in views)]
