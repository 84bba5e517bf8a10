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
from adacl.data.samples import Samples
from adacl.imaging.spec import Array, ImageSpec
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


def settled(config: Config, samples: Samples, seed: int) -> Config:
    """Return the configuration that the preset ``accurate`` becomes for some normal images.

    A network with a map and ``place = "auto"`` is told its places where the images are aligned.
    Other configurations are returned as they are. For the arguments see :func:`layout_auroc`.
    """
    if config.network.place == "auto":
        return _placed(config, samples, seed)
    if config.preset != "accurate":
        return config
    if len(samples) < FEWEST:
        log.info("preset aligned: fewer than %d images do not tell whether it suits", FEWEST)
        return suited(config, True)
    area = layout_auroc(samples, seed)
    chosen = suited(config, area >= COMMON)
    log.info(
        "preset %s: a linear model tells the images from their puzzles with an AUROC of %.2f; "
        "from %.2f on they count as aligned",
        chosen.preset,
        area,
        COMMON,
    )
    return chosen


def _placed(config: Config, samples: Samples, seed: int) -> Config:
    aligned = False
    if len(samples) >= FEWEST:
        area = layout_auroc(_thumbnails(samples.subset(slice(IMAGES))), seed)
        aligned = area >= COMMON
        log.info(
            "places %s: a linear model tells the images from their puzzles with an AUROC of %.2f; "
            "from %.2f on they count as aligned",
            "are told to the network" if aligned else "do not count",
            area,
            COMMON,
        )
    return config.replace(network__place="coordinates" if aligned else "no")


def _thumbnails(samples: Samples) -> Samples:
    """Return images of any sizes as means over 32 x 32 parts of each, floats in [0, 1]."""
    size = 2 * SIDE, 2 * SIDE
    images = samples.ordered().batches(torch.device("cpu"), 1)
    rows = [functional.adaptive_avg_pool2d(image, size) for image in images]
    small = ImageSpec(*size, samples.spec.channels, "float32", 0.0, 1.0)
    return Samples(torch.cat(rows).permute(0, 2, 3, 1).numpy(), small)


@torch.inference_mode()
def layout_auroc(samples: Samples, seed: int) -> float:
    """Return how well the simplest model tells images from their puzzles, as an AUROC.

    The model is linear: the distance from the first principal components of other images. It
    knows what usually is where, and nothing of what belongs together.

    Parameters
    ----------
    samples
        Normal images of one size, four at least.
    seed
        Decides which are used, and how they are puzzled.

    Returns
    -------
    float
        Near 1 if all images show the same in the same pose, near 0.5 if each looks different.
    """
    rng = np.random.default_rng([seed, 3])
    chosen = samples.subset(rng.permutation(len(samples))[:IMAGES])
    learnt = chosen.subset(slice(len(chosen) * 3 // 4)).ordered()
    held_out = chosen.subset(slice(len(chosen) * 3 // 4, None)).ordered()
    generator = torch.Generator().manual_seed(seed)
    size = min(SIDE, samples.spec.height), min(SIDE, samples.spec.width)

    def rows(chosen: Samples, puzzled: bool) -> torch.Tensor:
        """Return images, or puzzles of them, as rows of about 16 x 16 pixels."""
        small = []
        for batch in chosen.batches(torch.device("cpu"), CHUNK):
            batch = puzzling(batch, generator).images if puzzled else batch
            small.append(functional.adaptive_avg_pool2d(batch, size).flatten(1))
        return torch.cat(small)

    model = rows(learnt, False)
    mean = model.mean(0)
    components = torch.linalg.svd(model - mean, full_matrices=False).Vh[:COMPONENTS]

    def error(puzzled: bool) -> Array:
        apart = rows(held_out, puzzled) - mean
        found: Array = (apart - apart @ components.T @ components).norm(dim=1).numpy()
        return found

    return auroc(error(False), error(True))
