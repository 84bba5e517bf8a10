"""Tell whether images share a layout, and whether they have an upright.

Nothing but normal images, and puzzles and turned copies made of them, is looked at; with a mask
only what it shows.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch.nn import functional

from adacl.anomalies import puzzling
from adacl.anomalies.fillings import without_ground
from adacl.config import Config
from adacl.config.presets import suited
from adacl.data.samples import Samples
from adacl.errors import ConfigError
from adacl.imaging.mask import Mask
from adacl.imaging.spec import Array, ImageSpec
from adacl.metrics import auroc
from adacl.training.foreground import on_plain_ground
from adacl.training.some_normals import shown, without_hidden
from adacl.training.uprights import learn_way, wanted

log = logging.getLogger("adacl")

COMMON = 0.9
"""From this AUROC on the layout counts as common. Of thirty classes of digits, garments and
photographs, the former have 0.97 to 1, the latter 0.68 to 0.80."""
TURNED = 0.85
"""Up to this AUROC turned copies count as normal. Chance gives 0.5, give or take 0.06 with 50
held-out images, parts that lie at any angle under light from one side 0.73, sets with an upright
1."""
FEWEST, IMAGES = 20, 2048
CHUNK = 256
SIDE = 16
COMPONENTS = 32
SHRUNK, LONGEST = (1, 2, 4, 8), 400
"""Crops of 160 pixels show enough of a part whose shorter side has up to 400."""
GRAINS = 3
"""Scales, each half the one before, at which the direction of the grain is looked at."""
LEAST_CHANGE, LEAST_SPREAD = 1e-3, 0.01


def settled(config: Config, samples: Samples, seed: int) -> Config:
    """Return the configuration with everything settled that depends on the normal images.

    The preset ``accurate`` becomes ``aligned`` or ``varied``.
    A network with a map sees parts turned upright, with ``upright = "auto"``, where they lie at any
    angle and have an axis, see :func:`adacl.training.uprights.wanted`; with ``turned = "auto"`` it
    learns turned copies where the images have no upright; with ``place = "auto"`` it is told its
    places where they have one and are aligned; with ``shrink = "auto"`` it sees large images
    shrunk. A plain background says nothing of either. Without one, or with a mask, no pieces of
    parts are taken away (the filling ``ground``).
    Other configurations are returned as they are. For the arguments see :func:`layout_auroc`.
    """
    if config.network.output == "map":
        config, samples = _upright(config, samples)
        config, on_ground = _shrunk(config, samples), on_plain_ground(samples)
        config = _placed(_turned(config, on_ground, seed), on_ground, seed)
        plain = on_ground is not samples and samples.mask is None
        return config if plain else _without_ground(config)
    if config.preset != "accurate":
        return config
    if len(samples) < FEWEST:
        log.info("preset aligned, unchecked: fewer than %d images do not show what suits", FEWEST)
        return suited(config, True)
    area = layout_auroc(samples, seed)
    chosen = suited(config, area >= COMMON)
    log.info("preset %s, because %s", chosen.preset, _reason(area))
    return chosen


def _reason(area: float) -> str:
    return (
        f"the images {'' if area >= COMMON else 'do not '}show the same thing at the same place (a "
        f"simple model distinguishes them from copies with shuffled pieces: AUROC {area:.2f}, at "
        f"least {COMMON:.2f} is needed)"
    )


def _placed(config: Config, samples: Samples, seed: int) -> Config:
    if config.network.place != "auto":
        return config
    aligned = False
    if len(samples) >= FEWEST and config.training.turned != "yes":
        area = layout_auroc(_thumbnails(samples.subset(slice(IMAGES))), seed)
        aligned = area >= COMMON
        log.info(
            "what is normal %s on the place in the image, because %s",
            "may depend" if aligned else "does not depend",
            _reason(area),
        )
    return config.replace(network__place="coordinates" if aligned else "no")


def _without_ground(config: Config) -> Config:
    fillings = without_ground(config.local.fillings)
    if not any(fillings.values()):
        raise ConfigError(
            "local.fillings: ground takes away pieces of parts on a plain background, and these "
            "images show none, or have a mask; give another filling"
        )
    return config.replace(local__fillings=fillings)


def _upright(config: Config, samples: Samples) -> tuple[Config, Samples]:
    """Decide whether parts are turned upright, and return the samples so."""
    told, upright = config.network.upright, None
    if told == "yes":
        if samples.mask is not None:
            raise ConfigError("network.upright: parts that are turned have no mask; use no")
        upright = learn_way(samples)
    elif told == "auto" and config.training.turned != "no" and samples.mask is None:
        upright = wanted(samples) if len(samples) >= FEWEST else None
    if upright is None:
        return config.replace(network__upright="no"), samples
    return config.replace(network__upright="yes", training__turned="no"), upright.of(samples)


def _shrunk(config: Config, samples: Samples) -> Config:
    if config.network.shrink != "auto":
        return config
    if config.network.upright == "yes":
        side = math.sqrt(samples.spec.height * samples.spec.width)
    else:
        side = median(min(image.shape[:2]) for image in samples)
    shrink = next((factor for factor in SHRUNK if side / factor <= LONGEST), SHRUNK[-1])
    if shrink > 1:
        log.info(
            "images are seen at 1/%d of their size; hair lines may need --set network.shrink=1 "
            "(the shorter side has %g pixels, median; up to %d are seen as they are)",
            shrink,
            side,
            LONGEST,
        )
    return config.replace(network__shrink=shrink)


def _turned(config: Config, samples: Samples, seed: int) -> Config:
    if config.training.turned != "auto":
        return config
    turned = False
    if len(samples) >= FEWEST and config.network.place != "coordinates":
        area = turned_auroc(samples.subset(slice(IMAGES)), seed)
        turned = area <= TURNED
        log.info(
            "images turned by quarters %s; --turned yes or no decides it (simple models "
            "distinguish them from the others: AUROC %.2f; up to %.2f they are learnt)",
            "are learnt as normal" if turned else "are not learnt, so turned parts may be flagged",
            area,
            TURNED,
        )
    return config.replace(training__turned="yes" if turned else "no")


def _thumbnails(samples: Samples) -> Samples:
    """Shrink images of any sizes to 32 x 32 means, floats in [0, 1], of what a mask shows."""
    size = 2 * SIDE, 2 * SIDE
    small = ImageSpec(*size, samples.spec.channels, "float32", 0.0, 1.0)
    # allocated at once: small arrays among large ones that come and go would break up the memory
    thumbnails = np.empty((len(samples), *size, samples.spec.channels), np.float32)
    for number, image in enumerate(samples.ordered().batches(torch.device("cpu"), 1)):
        image = without_hidden(image, samples.mask)
        thumbnails[number] = functional.adaptive_avg_pool2d(image, size)[0].permute(1, 2, 0)
    return Samples(thumbnails, small, mask=samples.mask)


def turned_auroc(samples: Samples, seed: int) -> float:
    """Return how well the simplest models tell images from their turned copies, as an AUROC.

    One model knows the layout, see :func:`layout_auroc`; the other the grain: the logarithm of how
    much more neighbours differ along rows than along columns, at three scales.

    Parameters
    ----------
    samples
        Normal images of any sizes, four at least.
    seed
        Decides which are learnt from, and how the others are turned.

    Returns
    -------
    float
        The higher of both: near 1 if the images have an upright, near 0.5 if they have none.
    """
    layout = _told(_thumbnails(samples), seed, _turn)
    chosen = samples.subset(np.random.default_rng([seed, 4]).permutation(len(samples)))
    images = chosen.batches(torch.device("cpu"), 1)
    grains = torch.tensor([_grain(image, samples.mask) for image in images])
    learnt, held_out = grains[: len(grains) * 3 // 4], grains[len(grains) * 3 // 4 :]
    spread = learnt.std(0, correction=0) + LEAST_SPREAD

    def apart(found: torch.Tensor) -> Array:
        distance: Array = ((found - learnt.mean(0)) / spread).norm(dim=1).numpy()
        return distance

    return max(layout, auroc(apart(held_out), apart(-held_out)))


def _grain(image: torch.Tensor, mask: Mask | None) -> list[float]:
    """Return the direction of an image's grain at each scale; a quarter turn negates it.

    With a mask only those neighbours count that it both shows.
    """
    directions = []
    for _ in range(GRAINS):
        steps = [image.diff(dim=axis).abs() for axis in (-1, -2)]
        if mask is not None:
            look = torch.from_numpy(mask.resized(*image.shape[-2:]))
            pairs = look[:, 1:] & look[:, :-1], look[1:] & look[:-1]
            steps = list(map(shown, steps, pairs))
        along, across = (
            (step.mean() if step.numel() else step.sum()) + LEAST_CHANGE for step in steps
        )
        directions.append(float(torch.log(along / across)))
        image = functional.avg_pool2d(image, 2, ceil_mode=True)
    return directions


def _turn(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn each square image by one to three quarters."""
    quarters = torch.randint(1, 4, (len(images),), generator=generator).tolist()
    turned = [image.rot90(turns, (-2, -1)) for image, turns in zip(images, quarters, strict=True)]
    return torch.stack(turned)


def _puzzle(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return puzzling(images, generator).images


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
    return _told(samples, seed, _puzzle)


@torch.inference_mode()
def _told(
    samples: Samples, seed: int, change: Callable[[torch.Tensor, torch.Generator], torch.Tensor]
) -> float:
    """Return how well a linear model tells images from changed ones, as an AUROC."""
    rng = np.random.default_rng([seed, 3])
    chosen = samples.subset(rng.permutation(len(samples))[:IMAGES])
    learnt = chosen.subset(slice(len(chosen) * 3 // 4)).ordered()
    held_out = chosen.subset(slice(len(chosen) * 3 // 4, None)).ordered()
    generator = torch.Generator().manual_seed(seed)
    size = min(SIDE, samples.spec.height), min(SIDE, samples.spec.width)
    look = torch.ones(size, dtype=torch.bool)
    if samples.mask is not None:
        white = torch.from_numpy(samples.mask.pixels.astype(np.float32))
        look = functional.adaptive_avg_pool2d(white[None], size)[0] > 0

    def rows(chosen: Samples, changed: bool) -> torch.Tensor:
        """Return images, or changed ones, as rows of about 16 x 16 pixels."""
        small = []
        for batch in chosen.batches(torch.device("cpu"), CHUNK):
            batch = change(batch, generator) if changed else batch
            small.append(functional.adaptive_avg_pool2d(batch, size)[..., look].flatten(1))
        return torch.cat(small)

    model = rows(learnt, False)
    mean = model.mean(0)
    known = max(1, round(COMPONENTS * float(look.float().mean())))
    components = torch.linalg.svd(model - mean, full_matrices=False).Vh[:known]

    def error(changed: bool) -> Array:
        apart = rows(held_out, changed) - mean
        error: Array = (apart - apart @ components.T @ components).norm(dim=1).numpy()
        return error

    return auroc(error(False), error(True))
