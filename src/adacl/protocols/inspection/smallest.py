"""The smallest defect that a model finds, of defects planted at known sizes and contrasts."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from adacl.data import deep_colour
from adacl.data.images import probe, read_image
from adacl.imaging.spec import Array, ImageSpec
from adacl.protocols.inspection.planting import Shape, cover, local_variation, plant
from adacl.words import plural

if TYPE_CHECKING:
    from adacl.deploy.scorer import Scorer
    from adacl.image_detector import ImageDetector

    Opened = ImageDetector | Scorer

SIZES: dict[Shape, tuple[int, ...]] = {"spot": (2, 4, 8, 16, 32), "scratch": (1, 2, 3)}
NAMES: dict[Shape, str] = {"spot": "spots", "scratch": "scratches"}
CONTRASTS = (0.05, 0.1, 0.2, 0.4)
"""In parts of the scale that the network sees."""
LARGEST = 0.5
"""Of a spot, in parts of the image's shorter side."""
FOUND = 0.9
"""Share of the images in which a defect must be found to be called found."""
ENOUGH = 10
"""Images, so that such a share can be told."""
TRIES = 100
"""Places that are tried where a mask does not look everywhere."""


@dataclass
class Found:
    """In how many of ``n`` images a defect of a shape, size in pixels, and contrast was found."""

    shape: Shape
    size: int
    contrast: float
    found: int = 0
    n: int = 0

    @property
    def share(self) -> float | None:
        """In which share of the images it was found; None if it was planted in none."""
        return self.found / self.n if self.n else None


def find_smallest(
    scorer: Opened,
    paths: Iterable[Path],
    threshold: float,
    seed: int,
) -> tuple[list[Found], float]:
    """Plant defects of all sizes and contrasts in images, one at a time, and count those found.

    Parameters
    ----------
    scorer
        The model.
    paths
        Files of normal images that are not flagged themselves. Sizes are in their own pixels.
    threshold
        Images with a higher raw score are flagged.
    seed
        Decides where the defects are; in one image those of equal size differ in contrast alone.

    Returns
    -------
    list of Found
        For every shape, size and contrast.
    float
        How much the images vary within 8 x 8 pixels, in parts of the scale.
    """
    results = [
        Found(shape, size, contrast)
        for shape, sizes in SIZES.items()
        for size in sizes
        for contrast in CONTRASTS
    ]
    variations = []
    for number, path in enumerate(paths):
        header = probe(path)
        image = read_image(path, header.channels, header.dtype)
        scale = _scale(scorer.header.spec, image)
        variations.append(local_variation(image) / (scale[1] - scale[0]))
        most = LARGEST * min(image.shape[:2])
        mask = scorer.header.mask
        look = None if mask is None else mask.resized(*image.shape[:2])
        tried, planted = [], []
        for result in results:
            if result.shape == "scratch" or result.size <= most:
                changed = _planted(image, result, scale, [seed, number], look)
                if changed is not None:
                    tried.append(result)
                    planted.append(_as_png(changed))
        decoded = (scorer.decode(path, file).pixels for file in planted)
        for result, score in zip(tried, scorer.score_decoded(decoded), strict=True):
            result.n += 1
            result.found += score.raw > threshold
    return results, float(np.median(variations))


def _scale(spec: ImageSpec, image: Array) -> tuple[float, float]:
    """Return the stored values of an image that become 0 and 1."""
    full = {"uint8": 255, "uint16": spec.white}
    unit = full[image.dtype.name] / full[spec.dtype]
    return spec.low * unit, spec.high * unit


def _planted(
    image: Array,
    defect: Found,
    scale: tuple[float, float],
    seed: Sequence[int],
    look: Array | None,
) -> Array | None:
    """Return an image with a defect where ``look`` (H, W) is True; None if no place is found."""
    generator = np.random.default_rng([*seed, defect.size, list(SIZES).index(defect.shape)])
    sign = generator.choice([-1, 1])
    for _ in range(1 if look is None else TRIES):
        box, covered = cover(generator, image.shape[:2], defect.shape, defect.size)
        if look is None or look[box][covered > 0].all():
            break
    else:
        return None
    return plant(image, box, covered, sign * defect.contrast * (scale[1] - scale[0]), scale)


def _as_png(image: Array) -> bytes:
    """Return a file of an image, so that it is decoded and resized as the user's files are."""
    if image.dtype == np.uint16 and image.shape[2] == 3:
        return deep_colour.as_png(image)
    file = io.BytesIO()
    Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image).save(
        file, "PNG", compress_level=1
    )
    return file.getvalue()


def table(results: Sequence[Found]) -> Iterator[str]:
    """Yield the lines of a table: sizes down, contrasts across, the share found in the cells."""
    yield f"{'contrast':28}" + "".join(f"{contrast:>7.0%}" for contrast in CONTRASTS)
    for shape, sizes in SIZES.items():
        for size in sizes:
            name = f"spot, {size} px across" if shape == "spot" else f"scratch, {size} px wide"
            shares = [r.share for r in results if (r.shape, r.size) == (shape, size)]
            cells = ("-" if share is None else f"{share:.0%}" for share in shares)
            yield f"{name:28}" + "".join(f"{cell:>7}" for cell in cells)


def sentence(results: Sequence[Found]) -> str:
    """Say which defects are found in nearly all images, the smallest of each contrast."""
    parts = [part for shape in SIZES if (part := _smallest(results, shape))]
    if not parts:
        return "none of these defects is found in at least 9 of 10 images"
    return f"found in at least 9 of 10 images: {'; '.join(parts)}"


def _smallest(results: Sequence[Found], shape: Shape) -> str:
    words, best = [], np.inf
    for size in SIZES[shape]:
        rows = [r for r in results if (r.shape, r.size) == (shape, size)]
        lowest = np.inf
        for result in sorted(rows, key=lambda r: -r.contrast):
            if (result.share or 0.0) < FOUND:
                break
            lowest = result.contrast
        if lowest < best:
            best = lowest
            pixels = plural(size, "pixel")
            words.append(
                (f"of {pixels}" if shape == "spot" else f"{pixels} wide")
                + f" from {lowest:.0%} contrast"
            )
    return f"{NAMES[shape]} {', '.join(words)}" if words else ""
