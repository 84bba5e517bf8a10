"""The batches of a training: normal images, anomalies made from them, and labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from adacl.anomalies import make_mixture
from adacl.config import Config
from adacl.networks.regressor import seen
from adacl.networks.views import View, own_views
from adacl.training.labels import draw_labels


def draw_samples(
    normal: Tensor, views: tuple[View, ...], generator: torch.Generator, config: Config
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the images of a step with the labels for each output.

    Parameters
    ----------
    normal
        Normal images (N, C, H, W) in [0, 1].
    views
        The network's views. Each normal image is shown in all that have an output of their own:
        it is normal to that output and an anomaly to the others.
    generator
        Source of randomness, on the device of ``normal``.
    config
        The method. ``anomalies.per_image`` anomalies are made from each image; each is shown in
        one view and is an anomaly to all outputs.

    Returns
    -------
    tuple of Tensor
        Images (M, C, H, W) in [0, 1], channels last; labels (M, K) in [0, 1]; and whether each
        image is an anomaly to each output (M, K).
    """
    if config.training.mirror or config.network.mirrored == "normal":
        turned = torch.rand(len(normal), generator=generator, device=normal.device) < 0.5
        normal[turned] = normal[turned].flip(-1)
    if config.training.shift:
        normal = _shifted(normal, config.training.shift, generator)
    if config.training.tint:
        normal = _tinted(normal, config.training.tint, generator)
    own = own_views(views)
    images = [seen(normal, view) for view in own]
    for _ in range(config.anomalies.per_image):
        anomalies, _ = make_mixture(normal, generator, config.anomalies)
        images.append(_in_any_view(anomalies.images, own, generator))
    anomalous = torch.ones(
        (len(images) * len(normal), len(own)), dtype=torch.bool, device=normal.device
    )
    for index, view in enumerate(own):
        anomalous[index * len(normal) : (index + 1) * len(normal), view.output] = False
    labels = draw_labels(anomalous, generator, config.labels)
    return torch.cat(images).contiguous(memory_format=torch.channels_last), labels, anomalous


def _shifted(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    height, width = images.shape[-2:]
    padded = functional.pad(images, 4 * [most], mode="reflect")
    corners = torch.randint(
        2 * most + 1, (len(images), 2), generator=generator, device=images.device
    )
    cut = [
        image[:, top : top + height, left : left + width]
        for image, (top, left) in zip(padded, corners.tolist(), strict=True)
    ]
    return torch.stack(cut)


def _tinted(images: Tensor, most: float, generator: torch.Generator) -> Tensor:
    def within(*shape: int) -> Tensor:
        drawn = torch.rand(*shape, 1, 1, generator=generator, device=images.device)
        return most * (2 * drawn - 1)

    contrast, brightness = within(len(images), 1), within(*images.shape[:2])
    return ((images - 0.5) * (1 + contrast) + 0.5 + brightness / 2).clamp_(0, 1)


def _in_any_view(images: Tensor, views: tuple[View, ...], generator: torch.Generator) -> Tensor:
    if len(views) == 1:
        return images
    drawn = torch.randint(len(views), (len(images),), generator=generator, device=images.device)
    for index, view in enumerate(views):
        chosen = drawn == index
        images[chosen] = seen(images[chosen], view)
    return images
