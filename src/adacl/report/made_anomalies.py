"""Made anomalies as a report shows them, with the score that each gets; needs PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from adacl.anomalies import make, make_mixture
from adacl.data.folders import stream
from adacl.data.images import read_image
from adacl.imaging.spec import Array
from adacl.model.model import Model
from adacl.networks.build import raw_scores
from adacl.report.thumbnails import url

__all__ = ["examples", "mixture_scores", "samples"]

EXAMPLES = 6


def samples(model: Model, paths: Sequence[Path]) -> Tensor | None:
    """Return one network input of each image file, as a batch N x C x H x W in [0, 1].

    Of images that are cut, the tile in the middle. Files that can no longer be read are passed
    over; None if that goes for all.
    """
    spec, tiling = model.spec, model.tiling

    def read(path: Path) -> Array:
        image = read_image(path, spec.channels, spec.dtype, model.header.resize)
        if tiling is None:
            return image
        tiles = tiling.cut(image)
        middle: Array = tiles[len(tiles) // 2].copy()
        return middle

    images = [image for _, image in stream(paths, read, "skip")]
    return spec.to_tensor(np.stack(images), model.network.mean.device) if images else None


def examples(model: Model, normal: Tensor) -> list[tuple[str, list[tuple[str, float]]]]:
    """Return normal samples, and the anomalies that training makes from such.

    Returns
    -------
    list of (str, list of (str, float))
        For each kind of anomaly pictures with their raw scores.
    """
    generator = torch.Generator(normal.device).manual_seed(0)
    options = model.config.anomalies.options
    normal = normal[:EXAMPLES]
    batches = {"normal": normal} | {
        kind: make(kind, normal, generator, **options.get(kind, {}))
        for kind in model.config.anomalies.kinds
    }
    found = []
    for kind, batch in batches.items():
        pixels = (batch.permute(0, 2, 3, 1).cpu().numpy() * 255).round().astype(np.uint8)
        pictures = [url(np.broadcast_to(image, (*image.shape[:2], 3)), "PNG") for image in pixels]
        scores = raw_scores(model.network, batch).tolist()
        found.append((kind, list(zip(pictures, scores, strict=True))))
    return found


def mixture_scores(model: Model, normal: Tensor, seed: int) -> list[float]:
    """Return raw scores of one made anomaly of each sample, their kinds drawn as in training."""
    generator = torch.Generator(normal.device).manual_seed(seed)
    made, _ = make_mixture(normal, generator, model.config.anomalies)
    scores: list[float] = raw_scores(model.network, made).tolist()
    return scores
