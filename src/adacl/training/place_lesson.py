"""What a network with a map learns from in an epoch, and how it is validated: places of crops."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from adacl.anomalies.local import check_local_config
from adacl.config import Config
from adacl.imaging.spec import Array, ImageSpec, Stored
from adacl.metrics import auroc
from adacl.networks.dense import DenseRegressor, local_mean, peaks
from adacl.training.crops import draw_crops, learn_pixels, take_crops

__all__ = ["PlaceLesson"]

VALIDATION_BATCH = 16
VALIDATED = 64
"""Crops of held-out normals that validation scores, about."""
WEIGHED = 40
LEAST_SPREAD = 0.01


class PlaceLesson:
    """One number for a place: crops of normal images, changed in places.

    Parameters
    ----------
    images
        Normal images H x W x C of any sizes, stored as ``spec`` says.
    train_on, validate_on
        Numbers of those to learn from and of those for validation.
    spec
        Form of the images.
    config
        The method.

    Raises
    ------
    ConfigError
        If a shape or filling is not known, or the network too large.
    """

    def __init__(
        self,
        images: Stored,
        train_on: Array,
        validate_on: Array,
        spec: ImageSpec,
        config: Config,
    ) -> None:
        check_local_config(config.local)
        self.images, self.spec, self.config = images, spec, config
        self.train_on, self.validate_on = train_on, validate_on
        self.pixels = learn_pixels(images, train_on, spec)

    def network(self) -> DenseRegressor:
        """Return an untrained network that knows mean and deviation of the images."""
        network = DenseRegressor(self.config.network, self.spec.channels)
        network.mean.copy_(self.pixels.mean.view_as(network.mean))
        network.std.copy_(self.pixels.std.view_as(network.std))
        return network

    def loss(self, network: DenseRegressor, chosen: Array, generator: torch.Generator) -> Tensor:
        """Return the loss of a step that shows crops of some of the images.

        Changed places weigh ``training.made_weight`` together, all others 1. With equal weights
        the outputs could not rank what lies beyond them: one place in some ten thousand decides
        the score of an image.
        """
        crops = self._crops(chosen, generator).to(network.mean.device)
        step = draw_crops(crops, generator, self.config, self.spec, self.pixels)
        half = self.config.training.precision == "bfloat16"
        with torch.autocast(crops.device.type, torch.bfloat16, enabled=half):
            output = network(step.images)
        loss: Tensor = (step.weights * (output.float() - step.labels) ** 2).sum()
        return loss

    @torch.inference_mode()
    def validate(
        self, network: DenseRegressor, generator: torch.Generator
    ) -> tuple[float, dict[str, float]]:
        """Return the AUROC of crops of held-out normals against their changed versions."""
        network.eval()
        repeated = -(-VALIDATED // len(self.validate_on))
        chosen = np.tile(self.validate_on, repeated)[: max(VALIDATED, len(self.validate_on))]
        normals: list[Tensor] = []
        made: list[Tensor] = []
        config = self.config.replace(local__clean=0.0, training__light=0.0)
        for start in range(0, len(chosen), VALIDATION_BATCH):
            crops = self._crops(chosen[start : start + VALIDATION_BATCH], generator)
            crops = crops.to(network.mean.device)
            step = draw_crops(crops, generator, config, self.spec, self.pixels)
            for images, scores in ((crops, normals), (step.images, made)):
                found = local_mean(network(images), network.config.window).mean(1)
                scores.append(peaks(found, network.config.top))
        area = auroc(torch.cat(normals).cpu().numpy(), torch.cat(made).cpu().numpy())
        return area, {"local": area}

    @torch.inference_mode()
    def finish(self, network: DenseRegressor) -> None:
        """Weigh each output by how little its peaks differ among (some of) the images learnt from.

        An output that normal images raise to very different heights would otherwise drown those
        that they leave at rest. The images are not those that set the threshold.
        """
        network.eval()
        some = self.train_on[:: max(1, len(self.train_on) // WEIGHED)]
        device = network.mean.device
        peaks = [
            network.peaks(self.spec.to_tensor(self.images[place][None], device)) for place in some
        ]
        spread = torch.cat(peaks).std(0, correction=0).clamp(min=LEAST_SPREAD)
        network.shares.copy_((1 / spread) / (1 / spread).sum())

    def _crops(self, chosen: Array, generator: torch.Generator) -> Tensor:
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        rng = np.random.default_rng(seed)
        return take_crops(self.images, chosen, self.spec, self.config, rng)
