"""Whether images have a common layout: the same thing at the same place in all of them.

Nothing but normal images, and puzzles made of them, is looked at.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch.nn import functional

from adacl.anomalies import puzzling
from adacl.config import Config
from adacl.config.presets import suited
from adacl.imaging.spec import Array, ImageSpec, Stored
from adacl.metrics import auroc

__all__ = ["COMMON", "layout_auroc", "settled"]

log = logging.getLogger("adacl")

COMMON = 0.9
"""From this AUROC on the layout counts as common. Of thirty classes of digits, garments and
photographs, the former have 0.97 to 1, the latter 0.68 to 0.80."""
FEWEST, IMAGES = 20, 2048
CHUNK = 256
SIDE = 16
COMPONENTS = 32


def settled(config: Config, images: Stored, places: Array, spec: ImageSpec, seed: int) -> Config:
    """Return the configuration that the preset ``accurate`` becomes for some normal images.

    A network with a map and ``place = "auto"`` is told its places where the images are aligned.
    Other configurations are returned as they are. For the arguments see :func:`layout_auroc`.
    """
    if config.network.place == "auto":
        return _placed(config, images, places, spec, seed)
    if config.preset != "accurate":
        return config
    if len(places) < FEWEST:
        log.info("preset aligned: fewer than %d images do not tell whether it suits", FEWEST)
        return suited(config, True)
    area = layout_auroc(images, places, spec, seed)
    chosen = suited(config, area >= COMMON)
    log.info(
        "preset %s: a linear model tells the images from their puzzles with an AUROC of %.2f; "
        "from %.2f on they count as aligned",
        chosen.preset,
        area,
        COMMON,
    )
    return chosen


def _placed(config: Config, images: Stored, places: Array, spec: ImageSpec, seed: int) -> Config:
    aligned = False
    if len(places) >= FEWEST:
        small = ImageSpec(2 * SIDE, 2 * SIDE, spec.channels, "float32", 0.0, 1.0)
        area = layout_auroc(
            _thumbnails(images, places[:IMAGES], spec), np.arange(len(places[:IMAGES])), small, seed
        )
        aligned = area >= COMMON
        log.info(
            "places %s: a linear model tells the images from their puzzles with an AUROC of %.2f; "
            "from %.2f on they count as aligned",
            "are told to the network" if aligned else "do not count",
            area,
            COMMON,
        )
    return config.replace(network__place="coordinates" if aligned else "no")


def _thumbnails(images: Stored, places: Array, spec: ImageSpec) -> Array:
    """Return images of any sizes as means over 32 x 32 parts of each, floats in [0, 1]."""
    device = torch.device("cpu")
    size = (2 * SIDE, 2 * SIDE)
    rows = [
        functional.adaptive_avg_pool2d(spec.to_tensor(images[place][None], device), size)
        for place in np.sort(places)
    ]
    thumbnails: Array = torch.cat(rows).permute(0, 2, 3, 1).numpy()
    return thumbnails


@torch.inference_mode()
def layout_auroc(images: Stored, places: Array, spec: ImageSpec, seed: int) -> float:
    """Return how well the simplest model tells images from their puzzles, as an AUROC.

    The model is linear: the distance from the first principal components of other images. It
    knows what usually is where, and nothing of what belongs together.

    Parameters
    ----------
    images
        Normal images N x H x W x C, stored as ``spec`` says; may be memory-mapped.
    places
        Those that may be used, four at least.
    spec
        Form of the images.
    seed
        Decides which are used, and how they are puzzled.

    Returns
    -------
    float
        Near 1 if all images show the same in the same pose, near 0.5 if each looks different.
    """
    rng = np.random.default_rng([seed, 3])
    chosen = rng.permutation(places)[:IMAGES]
    learnt, held_out = np.split(chosen, [len(chosen) * 3 // 4])
    generator = torch.Generator().manual_seed(seed)
    size = min(SIDE, spec.height), min(SIDE, spec.width)

    def rows(chosen: Array, puzzled: bool) -> torch.Tensor:
        """Return images, or puzzles of them, as rows of about 16 x 16 pixels."""
        small = []
        for start in range(0, len(chosen), CHUNK):
            batch = spec.to_tensor(images[chosen[start : start + CHUNK]], torch.device("cpu"))
            batch = puzzling(batch, generator).images if puzzled else batch
            small.append(functional.adaptive_avg_pool2d(batch, size).flatten(1))
        return torch.cat(small)

    model = rows(np.sort(learnt), False)
    mean = model.mean(0)
    components = torch.linalg.svd(model - mean, full_matrices=False).Vh[:COMPONENTS]

    def error(puzzled: bool) -> Array:
        apart = rows(np.sort(held_out), puzzled) - mean
        found: Array = (apart - apart @ components.T @ components).norm(dim=1).numpy()
        return found

    return auroc(error(False), error(True))
