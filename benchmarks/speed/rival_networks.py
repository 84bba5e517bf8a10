"""Networks of the shape that industrial detectors have, with random weights, to be timed.

Written from the papers: EfficientAD (Batzner et al., 2024), PatchCore (Roth et al., 2022), PaDiM
(Defard et al., 2021), on a ResNet-18 (He et al., 2016) or WideResNet-50-2 (Zagoruyko, Komodakis,
2016). Wherever a step is left out, it is one that would cost the rival time: no map of pixels is
drawn, and PatchCore's memory is drawn at random instead of by its greedy search.

Each is a module with ``fit`` and ``score`` of uint8 images N x H x W x C; what ``fit`` learns is
part of its ``state_dict``.
"""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

Images = NDArray[np.uint8]

COLOUR_MEAN = (0.485, 0.456, 0.406)
COLOUR_SD = (0.229, 0.224, 0.225)
"""Of ImageNet, which such networks are pre-trained on."""


class Rival(nn.Module, ABC):
    """What the rivals share: images to tensors, batches, counting.

    ``batch`` images are worked on at once, resized to ``side`` pixels. ``constant_seconds`` is
    the part of the last fit that does not grow with the number of images.
    """

    side: int
    batch: int
    constant_seconds = 0.0

    def to_input(self, images: Images) -> Tensor:
        """Return images as a tensor N x 3 x side x side, normalized as for ImageNet."""
        pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2) / 255
        size = (self.side, self.side)
        resized = interpolate(pixels, size, mode="bilinear").expand(-1, 3, -1, -1)
        mean, sd = torch.tensor(COLOUR_MEAN), torch.tensor(COLOUR_SD)
        normalized = (resized - mean[:, None, None]) / sd[:, None, None]
        return normalized.contiguous(memory_format=torch.channels_last)

    def batches(self, images: Images) -> Iterator[Tensor]:
        """Yield the inputs batch by batch."""
        for start in range(0, len(images), self.batch):
            yield self.to_input(images[start : start + self.batch])

    @abstractmethod
    def fit(self, images: Images) -> None:
        """Learn from normal images."""

    @abstractmethod
    def scores(self, inputs: Tensor) -> Tensor:
        """Return the scores of one batch."""

    @torch.inference_mode()
    def score(self, images: Images) -> NDArray[np.float64]:
        """Return a score per image, higher for more anomalous ones."""
        self.eval()
        return torch.cat([self.scores(batch) for batch in self.batches(images)]).double().numpy()

    def count_weights(self) -> int:
        """Return the number of weights of the networks."""
        return sum(weight.numel() for weight in self.parameters())

    def count_stored(self) -> int:
        """Return how many further numbers scoring needs: a memory or Gaussians."""
        return sum(numbers.numel() for numbers in self.buffers(recurse=False))


class Basic(nn.Module):
    """The residual block of ResNet-18: two 3 x 3 convolutions."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(inputs, width, 3, stride), nn.ReLU(), *_convolution(width, width, 3)
        )
        self.shortcut = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        return relu(self.body(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    """The residual block of WideResNet-50-2: 1 x 1, 3 x 3 at twice the width, 1 x 1."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(inputs, 2 * width, 1),
            nn.ReLU(),
            *_convolution(2 * width, 2 * width, 3, stride),
            nn.ReLU(),
            *_convolution(2 * width, 4 * width, 1),
        )
        self.shortcut = _shortcut(inputs, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        return relu(self.body(x) + self.shortcut(x))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    same = inputs == outputs and stride == 1
    return nn.Identity() if same else nn.Sequential(*_convolution(inputs, outputs, 1, stride))


class Backbone(nn.Module):
    """A residual network up to its third stage; returns the features of all three.

    Parameters
    ----------
    block
        Class of the residual blocks.
    expansion
        A block's output channels over its width.
    depths
        Blocks of each stage.
    """

    def __init__(self, block: Callable[..., nn.Module], expansion: int, depths: Sequence[int]):
        super().__init__()
        stem = [*_convolution(3, 64, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
        self.stem = nn.Sequential(*stem)
        self.stages = nn.ModuleList()
        self.channels: list[int] = []
        inputs = 64
        for stage, depth in enumerate(depths):
            width = 64 * 2**stage
            blocks = []
            for place in range(depth):
                blocks.append(block(inputs, width, 2 if stage and not place else 1))
                inputs = expansion * width
            self.stages.append(nn.Sequential(*blocks))
            self.channels.append(inputs)
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features of every stage."""
        x = self.stem(x)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def resnet18() -> Backbone:
    """Return a ResNet-18 up to its third stage."""
    return Backbone(Basic, 1, (2, 2, 2))


def wide_resnet50() -> Backbone:
    """Return a WideResNet-50-2 up to its third stage."""
    return Backbone(Bottleneck, 4, (3, 4, 6))


def _stacked(features: Sequence[Tensor]) -> Tensor:
    """Return feature maps enlarged to the first one's size and stacked, N x P x C."""
    size = features[0].shape[-2:]
    enlarged = [interpolate(x, size, mode="bilinear") for x in features]
    return torch.cat(enlarged, 1).flatten(2).transpose(1, 2)


class PatchCore(Rival):
    """Distance of the farthest patch to the nearest patch in a memory of normal ones.

    Patches are those of stages 2 and 3, averaged over 3 x 3. The memory is 1 % of the patches
    of ``total`` images, drawn at random; where fewer images are at hand, a larger share of
    theirs, so that scoring costs the same.
    """

    SHARE = 0.01
    side = 224
    batch = 8
    bank: Tensor

    def __init__(self, backbone: Backbone, total: int) -> None:
        super().__init__()
        self.backbone, self.total = backbone, total
        self.register_buffer("bank", torch.empty(0))

    def patches(self, inputs: Tensor) -> Tensor:
        """Return the patches N x P x C of a batch."""
        return _stacked([avg_pool2d(x, 3, 1, 1) for x in self.backbone(inputs)[1:]])

    @torch.inference_mode()
    def fit(self, images: Images) -> None:
        """Fill the memory."""
        share = self.SHARE * self.total / len(images)
        kept = []
        for batch in self.batches(images):
            patches = self.patches(batch).flatten(0, 1)
            kept.append(patches[torch.randperm(len(patches))[: round(share * len(patches))]])
        self.bank = torch.cat(kept)

    def scores(self, inputs: Tensor) -> Tensor:
        """Return the largest distance to the memory within each image."""
        nearest = [torch.cdist(patches, self.bank).amin(1) for patches in self.patches(inputs)]
        return torch.stack(nearest).amax(1)


class PaDiM(Rival):
    """Largest Mahalanobis distance to a Gaussian per position, of 100 random channels."""

    CHANNELS = 100
    REGULARIZATION = 0.01
    side = 224
    batch = 8
    mean: Tensor
    inverse: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.channels = torch.randperm(sum(backbone.channels))[: self.CHANNELS].tolist()
        self.register_buffer("mean", torch.empty(0))
        self.register_buffer("inverse", torch.empty(0))

    def features(self, inputs: Tensor) -> Tensor:
        """Return the chosen channels P x N x C of a batch."""
        return _stacked(self.backbone(inputs))[..., self.channels].transpose(0, 1).contiguous()

    @torch.inference_mode()
    def fit(self, images: Images) -> None:
        """Estimate mean and covariance at every position."""
        total: Any = 0
        products: Any = 0
        for batch in self.batches(images):
            features = self.features(batch)
            total = total + features.sum(1)
            products = products + features.mT @ features
        started = time.perf_counter()
        self.mean = total / len(images)
        products -= len(images) * self.mean[:, :, None] * self.mean[:, None]
        covariance = products / (len(images) - 1)
        self.inverse = torch.linalg.inv(covariance + self.REGULARIZATION * torch.eye(self.CHANNELS))
        self.constant_seconds = time.perf_counter() - started

    def scores(self, inputs: Tensor) -> Tensor:
        """Return the largest distance within each image."""
        away = self.features(inputs) - self.mean[:, None]
        return ((away @ self.inverse) * away).sum(2).clamp_min(0).sqrt().amax(0)


def _pdn(outputs: int) -> nn.Sequential:
    """Return the small patch description network: features 64 x 64 of images 256 x 256."""
    return nn.Sequential(
        nn.Conv2d(3, 128, 4, padding=3),
        nn.ReLU(),
        nn.AvgPool2d(2, padding=1),
        nn.Conv2d(128, 256, 4, padding=3),
        nn.ReLU(),
        nn.AvgPool2d(2, padding=1),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, outputs, 4),
    )


def _autoencoder(outputs: int) -> nn.Sequential:
    """Return the autoencoder: a bottleneck of 64 numbers, features 64 x 64."""
    layers: list[nn.Module] = []
    inputs = 3
    for width in (32, 32, 64, 64, 64):
        layers += [nn.Conv2d(inputs, width, 4, stride=2, padding=1), nn.ReLU()]
        inputs = width
    layers.append(nn.Conv2d(64, 64, 8))
    for size in (3, 8, 15, 32, 63, 127):
        layers += [nn.Upsample(size, mode="bilinear"), nn.Conv2d(64, 64, 4, padding=2)]
        layers += [nn.ReLU(), nn.Dropout(0.2)]
    layers += [nn.Upsample(64, mode="bilinear"), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(64, outputs, 3, padding=1))


class EfficientAD(Rival):
    """EfficientAD-S: a student that mimics a teacher and an autoencoder.

    ``fit`` makes ``STEPS`` of the ``PUBLISHED_STEPS`` training steps, each on one image, and
    leaves the seconds of one in ``step_seconds``. Another normal image stands for the one of
    ImageNet, a random brightness for the random colours.
    """

    FEATURES = 384
    STEPS = 3
    PUBLISHED_STEPS = 70_000
    HARD_QUANTILE = 0.999
    side = 256
    batch = 4
    step_seconds = 0.0
    teacher_mean: Tensor
    teacher_sd: Tensor
    quantiles: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.teacher = _pdn(self.FEATURES).requires_grad_(False)
        self.student = _pdn(2 * self.FEATURES)
        self.autoencoder = _autoencoder(self.FEATURES)
        self.register_buffer("teacher_mean", torch.zeros(1, self.FEATURES, 1, 1))
        self.register_buffer("teacher_sd", torch.ones(1, self.FEATURES, 1, 1))
        self.register_buffer("quantiles", torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
        self.to(memory_format=torch.channels_last)

    def taught(self, inputs: Tensor) -> Tensor:
        """Return the teacher's features, normalized."""
        return (self.teacher(inputs) - self.teacher_mean) / self.teacher_sd

    def loss(self, image: Tensor, other: Tensor) -> Tensor:
        """Return the loss of one training step."""
        local = (self.taught(image) - self.student(image)[:, : self.FEATURES]) ** 2
        hard = local[local >= torch.quantile(local, self.HARD_QUANTILE)].mean()
        penalty = (self.student(other)[:, : self.FEATURES] ** 2).mean()
        changed = image * (0.8 + 0.4 * torch.rand(()))
        rebuilt = self.autoencoder(changed)
        rebuilding = ((self.taught(changed) - rebuilt) ** 2).mean()
        following = ((rebuilt.detach() - self.student(changed)[:, self.FEATURES :]) ** 2).mean()
        return hard + penalty + rebuilding + following

    def fit(self, images: Images) -> None:
        """Make a few training steps, the first of them not timed."""
        with torch.inference_mode():
            features = torch.cat([self.teacher(batch) for batch in self.batches(images)])
            sd, mean = torch.std_mean(features, (0, 2, 3), keepdim=True)
        self.teacher_mean, self.teacher_sd = mean.clone(), sd.clone()
        trained = [*self.student.parameters(), *self.autoencoder.parameters()]
        optimizer = torch.optim.Adam(trained, lr=1e-4, weight_decay=1e-5)
        self.train()
        seconds = []
        for step in range(1 + self.STEPS):
            started = time.perf_counter()
            places = (step % len(images), (step + 1) % len(images))
            image, other = (self.to_input(images[place : place + 1]) for place in places)
            optimizer.zero_grad(set_to_none=True)
            self.loss(image, other).backward()
            optimizer.step()
            seconds.append(time.perf_counter() - started)
        self.step_seconds = statistics.median(seconds[1:])
        self.eval()
        with torch.inference_mode():
            maps = torch.stack([self.maps(batch) for batch in self.batches(images)], 1)
            found = torch.quantile(maps.flatten(1), torch.tensor([0.9, 0.995]), dim=1)
        self.quantiles = found.T.clone()

    def maps(self, inputs: Tensor) -> Tensor:
        """Return how far the student is from the teacher and the autoencoder, 2 x N x H x W."""
        student = self.student(inputs)
        local = (self.taught(inputs) - student[:, : self.FEATURES]) ** 2
        whole = (self.autoencoder(inputs) - student[:, self.FEATURES :]) ** 2
        return torch.stack([local.mean(1), whole.mean(1)])

    def scores(self, inputs: Tensor) -> Tensor:
        """Return the largest value of the mean of both maps, each scaled by its quantiles."""
        low, high = self.quantiles.T[..., None, None, None]
        scaled = 0.1 * (self.maps(inputs) - low) / (high - low)
        return scaled.mean(0).flatten(1).amax(1)
