"""The dense regressor: a fully convolutional network whose output is a map.

The paper's regression per pixel. The anomaly score of an image comes from the highest places of
its map, see :mod:`adacl.networks.peak`.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from adacl.config import PARAMETER_LIMIT, NetworkConfig
from adacl.errors import ConfigError
from adacl.imaging.frame import Frame
from adacl.imaging.mask import Mask
from adacl.imaging.reflection import reflected
from adacl.imaging.smoothing import shrunk
from adacl.networks.architecture import (
    FALL,
    HALVING,
    HEAD,
    OUTPUTS,
    Layer,
    dense_plan,
    smallest_side,
)
from adacl.networks.local_contrast import local_contrast
from adacl.networks.peak import rank_weights
from adacl.networks.upright import Pose, pose_of, turned_back, upright

FIRST_OUTPUT = 0.15


class _Convolution(nn.Module):
    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.rim = 4 * [layer.kernel // 2]
        self.conv = nn.Conv2d(
            layer.before, layer.after, layer.kernel, layer.stride, bias=not layer.hidden
        )
        self.norm = nn.BatchNorm2d(layer.after) if layer.hidden else nn.Identity()
        self.hidden, self.halved = layer.hidden, layer.halved

    def forward(self, features: Tensor) -> Tensor:
        if self.halved:
            features = _halved(features)
        if self.rim[0]:
            features = functional.pad(features, self.rim, mode="reflect")
        output: Tensor = self.norm(self.conv(features))
        return functional.relu(output, inplace=True) if self.hidden else output


class DenseRegressor(nn.Module):
    """A fully convolutional regressor of one number per place.

    Parameters
    ----------
    config
        The network, with ``output = "map"``.
    channels
        Channels of the images.

    Raises
    ------
    ConfigError
        If the network would have 300,000 parameters or more.
    """

    mean: Tensor
    std: Tensor
    shares: Tensor
    """Weight of each output in the mean of all (K,); they add up to 1."""
    alone: Tensor
    """Factor and offset (2, K) that turn each output into the height above its usual peak, in the
    unit of that mean, if a single output counts beside it; see ``network.alone``."""
    level: Tensor
    """The usual peak of that mean, a number: the median of normal images."""
    upright: Tensor
    """Of a network that sees parts turned upright (5,): the limit by which a part is told from its
    background, and :class:`adacl.imaging.frame.Frame`."""

    def __init__(self, config: NetworkConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        self.channels = channels
        self.plan = dense_plan(config, channels + 2 * (config.place == "coordinates"))
        parameters = sum(
            layer.before * layer.after * layer.kernel**2 + (2 if layer.hidden else 1) * layer.after
            for layer in self.plan
        )
        if parameters >= PARAMETER_LIMIT:
            raise ConfigError(
                f"network: {parameters:,} parameters, the limit is {PARAMETER_LIMIT:,} "
                "(paper, section 3.3); use fewer channels"
            )
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std", torch.ones(1, channels, 1, 1))
        self.register_buffer("shares", torch.full((OUTPUTS,), 1 / OUTPUTS))
        if config.alone:
            self.register_buffer("alone", torch.zeros(2, OUTPUTS))
            self.register_buffer("level", torch.zeros(()))
        if config.upright == "yes":
            self.register_buffer("upright", torch.zeros(5))
        self.layers = nn.ModuleDict({layer.name: _Convolution(layer) for layer in self.plan})
        nn.init.constant_(cast("Tensor", self.output.bias), FIRST_OUTPUT)

    @property
    def output(self) -> nn.Conv2d:
        """The convolution whose output is the map."""
        head = self.layers[HEAD]
        assert isinstance(head, _Convolution)
        return head.conv

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs (N, K, ceil(H / 2), ceil(W / 2)) for images (N, C, H, W) in [0, 1].

        With coordinates the images have two channels more, see :func:`coordinates`.
        """
        own = images[:, : self.channels]
        if self.config.local_contrast:
            own = local_contrast(own, float(self.std.mean()))
        else:
            own = (own - self.mean) / self.std
        outputs = {"image": torch.cat([own, images[:, self.channels :]], 1)}
        for layer in self.plan:
            first = outputs[layer.inputs[0]]
            parts = [first, *(_as_large(outputs[name], first) for name in layer.inputs[1:])]
            joined = torch.cat(parts, 1) if len(parts) > 1 else first
            outputs[layer.name] = self.layers[layer.name](joined)
        return outputs[HEAD]

    def anomaly_map(
        self, images: Tensor, window: tuple[int, int, int, int] | None = None
    ) -> Tensor:
        """Return the raw regression of every place (N, ceil(H / 2), ceil(W / 2)).

        It is the weighted mean of the outputs, averaged over squares of places, or a single output
        that is larger, see ``network.alone``. That of a network that sees shrunk images is enlarged
        linearly.

        Parameters
        ----------
        images
            N x C x H x W in [0, 1].
        window
            If they are parts of larger images: first row, first column, and the size of those.
        """
        outputs, pose = self._outputs_and_pose(images, window)
        raw = self._joined(outputs)
        size = -(-images.shape[-2] // 2), -(-images.shape[-1] // 2)
        if pose:
            return turned_back(raw, pose, self.frame, size, self.config.shrunk).squeeze(1)
        if self.config.shrunk > 1:
            raw = functional.interpolate(raw, scale_factor=self.config.shrunk, mode="bilinear")
            raw = raw[..., : size[0], : size[1]]
        return raw.squeeze(1)

    @property
    def frame(self) -> Frame:
        """What is seen of a part that is upright."""
        return Frame.of(self.upright[1:].tolist())

    def pose(self, images: Tensor) -> Pose | None:
        """Return how the parts in images (N, C, H, W) lie, if the network sees them upright.

        The unit is a pixel of the images as they are shrunk.
        """
        if self.config.upright != "yes":
            return None
        return pose_of(shrunk(images, self.config.shrunk), float(self.upright[0]))

    def peaks(self, images: Tensor, weights: Tensor, mask: Mask | None = None) -> Tensor:
        """Return the peaks (N, M) of weighted sums of the outputs.

        Parameters
        ----------
        images
            N x C x H x W in [0, 1].
        weights
            M x K.
        mask
            Where it does not look, nothing counts.
        """
        images = images if mask is None else mask.filled(images)
        sums = torch.einsum("nkhw,mk->nmhw", self.outputs(images), weights)
        found = local_mean(sums, self.config.window)
        inside = None if mask is None else torch.from_numpy(mask.resized(*found.shape[-2:]))
        return peaks(found, self.config, inside)

    def outputs(self, images: Tensor) -> Tensor:
        """Return the outputs (N, K, h, w) for images (N, C, H, W) in [0, 1] without coordinates.

        They are of shrunk images, and of upright parts, if the network sees those. Images that are
        too small for the layers are continued by their reflection, and so is the map.
        """
        return self._outputs_and_pose(images, None)[0]

    def _joined(self, outputs: Tensor) -> Tensor:
        """Return the map (N, 1, h, w) of outputs (N, K, h, w)."""
        mean = torch.einsum("nkhw,k->nhw", outputs, self.shares).unsqueeze(1)
        if not self.config.alone:
            return local_mean(mean, self.config.window)
        factor, offset = self.alone[..., None, None]
        found = local_mean(torch.cat([mean, factor * outputs + offset], 1), self.config.window)
        mean, single = found[:, :1], found[:, 1:].amax(1, keepdim=True)
        return torch.maximum(mean, torch.minimum(single, FALL * single) + self.level)

    def _outputs_and_pose(
        self, images: Tensor, window: tuple[int, int, int, int] | None
    ) -> tuple[Tensor, Pose | None]:
        least, shrink = smallest_side(self.config), self.config.shrunk
        if min(images.shape[-2:]) < least:
            rows, columns = (torch.from_numpy(reflected(e, least)) for e in images.shape[-2:])
            images = images[..., rows, :][..., columns]
        if pose := self.pose(images):
            images, shrink = upright(shrunk(images, shrink), pose, self.frame), 1
        if self.config.place == "coordinates":
            height, width = images.shape[-2:]
            top, left, *size = window or (0, 0, height, width)
            seen = slice(top, top + height), slice(left, left + width)
            whole = max(size[0], top + height), max(size[1], left + width)  # as it was continued
            places = coordinates(whole, *seen).to(images)
            images = torch.cat([images, places.expand(len(images), -1, -1, -1)], 1)
        return self(shrunk(images, shrink)), pose

    def raw_score(self, images: Tensor) -> Tensor:
        """Return the peak (N,) of the map of each of some images (N, C, H, W) in [0, 1]."""
        return peaks(self.anomaly_map(images), self.config, enlarged=True).double()


def local_mean(maps: Tensor, window: int) -> Tensor:
    """Return the mean over squares of ``window`` places around each place (N, K, h, w)."""
    side = window // 2
    mean: Tensor = functional.avg_pool2d(maps, window, 1, side, count_include_pad=False)
    return mean


def peaks(
    maps: Tensor, config: NetworkConfig, inside: Tensor | None = None, enlarged: bool = False
) -> Tensor:
    """Return the weighted mean (..., ) of the highest places of maps (..., h, w).

    With ``inside`` (h, w) only places where it is True count; for ``enlarged`` and the weights see
    :func:`adacl.networks.peak.rank_weights`.
    """
    places = maps.flatten(-2)
    if inside is not None and inside.any():
        places = places[..., inside.flatten().to(maps.device)]
    weights = torch.from_numpy(rank_weights(config, places.shape[-1], enlarged)).to(places)
    return places.topk(len(weights)).values @ weights


def coordinates(
    size: tuple[int, int], rows: slice | NDArray[np.int64], columns: slice | NDArray[np.int64]
) -> Tensor:
    """Return row and column (1, 2, h, w) of some rows and columns of an image, from -1 to 1.

    Parameters
    ----------
    size
        Height and width of the image.
    rows, columns
        Their numbers.
    """
    along = (
        torch.linspace(-1, 1, extent)[numbers]
        for extent, numbers in zip(size, (rows, columns), strict=True)
    )
    return torch.stack(torch.meshgrid(*along, indexing="ij")).unsqueeze(0)


def _halved(features: Tensor) -> Tensor:
    """Smooth features, and take every second row and column, from the first on."""
    channels = features.shape[1]
    weights = features.new_tensor(HALVING)
    kernel = torch.outer(weights, weights).expand(channels, 1, 3, 3)
    rim = functional.pad(features, [1, 1, 1, 1], mode="reflect")
    return functional.conv2d(rim, kernel, stride=2, groups=channels)


def _as_large(features: Tensor, other: Tensor) -> Tensor:
    """Double the size of features, and cut them to the size of others."""
    doubled = functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
    return doubled[..., : other.shape[-2], : other.shape[-1]]
