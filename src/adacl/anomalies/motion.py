"""Anomalous motion, made from stacks of video frames: the same place at a higher speed."""

from __future__ import annotations

import torch
from torch import Tensor

from adacl.anomalies.drawing import everywhere
from adacl.anomalies.registry import Changed
from adacl.errors import InputError


def skip(images: Tensor, generator: torch.Generator) -> Changed:
    """Play each stack of video frames faster: anomalous motion, made from normal motion.

    Parameters
    ----------
    images
        Batch (N, C, H, W) of stacks as :class:`adacl.video.chunks.Chunk` lays them out: the frames
        t - k, t, t + k; the place, if it is given (C even); then pairs of frames
        (t - j, t + j) further away, which the network never sees.
    generator
        Source of randomness: one of the pairs is drawn for each sample.

    Returns
    -------
    Changed
        The batch in which that pair takes the place of (t - k, t + k).

    Raises
    ------
    InputError
        If there is no such pair.
    """
    count, channels = images.shape[:2]
    pairs = (channels - 3) // 2
    if pairs < 1:
        raise InputError(
            f"the kind skip needs stacked video frames, got {channels} channels; use it with "
            "adacl video fit"
        )
    drawn = torch.randint(pairs, (count,), generator=generator, device=images.device)
    before = channels - 2 * (pairs - drawn)
    everyone = torch.arange(count, device=images.device)
    anomalies = images.clone()
    anomalies[:, 0] = images[everyone, before]
    anomalies[:, 2] = images[everyone, before + 1]
    return Changed(anomalies, everywhere(images))
