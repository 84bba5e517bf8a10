"""Anomaly maps: which places make an image anomalous, in units of the raw score.

``occlusion`` covers the image piece by piece with what surrounds the piece, and sees how much
the score falls; any runtime can do that. ``gradient`` estimates the same from the network's
gradient, and needs PyTorch. Models of tiles score the tiles of the image's score, or tiles that
overlap by half where those do not, blend them, and look into the highest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from heapq import nlargest
from operator import itemgetter
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from adacl.errors import ConfigError, InputError
from adacl.explain.occlusion import VALUES, occlusion_map
from adacl.imaging.blending import Blend, Slices
from adacl.imaging.spec import Array
from adacl.imaging.tiles import Tiling
from adacl.model.scoring import ScoringModel

if TYPE_CHECKING:
    from adacl.networks.regressor import Regressor

Method = Literal["occlusion", "gradient"]
Map = NDArray[np.float32]

SHARPENED = 32
"""Tiles of an image, at most, in which the place is looked for."""


def anomaly_map(model: ScoringModel, image: Array, method: Method = "occlusion") -> Map:
    """Return the anomaly map of an image: the part of its score that is due to each place.

    One place seldom explains all of it: what two causes raise does not fall when one is covered.
    So the highest place of a map is given all that the score has above the usual, the median
    of normal images, unless it explains more.

    Parameters
    ----------
    model
        A model, or a scorer of an exported one.
    image
        H x W x C, stored as ``model.spec`` says. For models of whole images of the size that the
        network takes, for models of tiles of any size.
    method
        ``occlusion``, or ``gradient``, for which PyTorch is needed. A network that has a map needs
        neither.

    Returns
    -------
    ndarray
        H x W, in units of the raw score; 0 and below where nothing is anomalous.

    Raises
    ------
    ConfigError
        If the method is not known.
    InputError
        If it is ``gradient`` and the model an exported one.
    """
    if method not in get_args(Method):
        raise ConfigError(f"method {method!r}: need one of {', '.join(get_args(Method))}")
    usual = model.header.map_scale.usual
    native = model.native_map(image)
    if native is not None:
        found = native - np.float32(usual)
        if model.header.mask is not None:  # what is ignored stands out nowhere
            ignored = ~model.header.mask.resized(*found.shape)
            found[ignored] = min(0, found[~ignored].min(initial=0))
        return found
    look = _looker(model, method)
    if model.tiling is not None:
        return _tile_map(model, image, model.tiling, look, usual)
    found = look(image)
    peak, excess = float(found.max()), float(model.raw(image[None])[0]) - usual
    return found * np.float32(excess / peak) if 0 < peak < excess else found


def _looker(model: ScoringModel, method: Method) -> Callable[[Array], Map]:
    """Return the function that maps an image of the size that the network takes."""
    if method == "occlusion":
        return partial(occlusion_map, model.raw)
    network: Regressor | None = getattr(model, "network", None)
    if network is None:
        raise InputError(
            "method gradient: needs the model file, not an exported one; use occlusion"
        )
    from adacl.explain.gradients import gradient_map

    return partial(gradient_map, network, model.spec)


def _tile_map(
    model: ScoringModel,
    image: Array,
    tiling: Tiling,
    look: Callable[[Array], Map],
    usual: float,
) -> Map:
    """Return how far the tiles over each pixel score above the usual, sharper where they do.

    Half of what a tile has above the usual counts everywhere in it, and half where the tile's
    own map is high; that is made for the highest tiles only, so that its cost has a bound.
    """
    height, width = image.shape[:2]
    short = max(0, tiling.height - height), max(0, tiling.width - width)
    if any(short):
        image = np.pad(image, ((0, short[0]), (0, short[1]), (0, 0)), mode="edge")
    tile = tiling.height, tiling.width
    step = tiling.stride or max(tile)
    steps = min(step, tile[0] // 2), min(step, tile[1] // 2)
    blend = Blend((height + short[0], width + short[1]), tile, steps)
    highest: list[tuple[float, Slices]] = []
    for windows in blend.batches(max(1, VALUES // (tile[0] * tile[1] * image.shape[2]))):
        above = (model.raw(np.stack([image[window] for window in windows])) - usual).tolist()
        for window, excess in zip(windows, above, strict=True):
            blend.add(window, excess / 2)
        highest = nlargest(
            SHARPENED, [*highest, *zip(above, windows, strict=True)], key=itemgetter(0)
        )
    for excess, window in highest:
        if excess > 0:
            inside = look(image[window])
            blend.add(window, excess / 2 * inside / max(float(inside.max()), 1e-9))
    return blend.finished()[:height, :width]
