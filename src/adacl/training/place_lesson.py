"""What a network with a map learns from in an epoch, and how it is validated: places of crops."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from adacl.anomalies.local import check_local_config
from adacl.config import Config
from adacl.data.samples import Samples
from adacl.errors import InputError
from adacl.metrics import auroc
from adacl.model.peak_scale import LEAST_SPREAD, UPPER
from adacl.networks.architecture import smallest_side
from adacl.networks.dense import DenseRegressor, local_mean, peaks
from adacl.training.crops import Crops, draw_crops, learn_pixels
from adacl.training.cuts import Cuts, take_crops
from adacl.training.uprights import learn_way

VALIDATION_BATCH = 16
VALIDATED = 64
"""Crops of held-out normals that validation scores, about."""
WEIGHED = 40


class PlaceLesson:
    """One number for a place: crops of normal images, changed in places.

    Parameters
    ----------
    train_on, validate_on
        Normal images of any sizes, to learn from and for validation.
    config
        The method.

    Raises
    ------
    ConfigError
        If a shape or filling is not known, or the network too large.
    InputError
        If parts are to be turned upright, and there is no plain background.
    """

    slow_to_draw = True

    def __init__(self, train_on: Samples, validate_on: Samples, config: Config) -> None:
        check_local_config(config.local)
        self.train_on, self.validate_on, self.config = train_on, validate_on, config
        self.way, self.cut = None, config
        if config.network.upright == "yes":
            self.cut = config.replace(network__shrink=1, network__upright="no")
            least = smallest_side(self.cut.network)
            self.way = learn_way(train_on, config.network.shrunk, least)
        both = (train_on, validate_on) if self.way else ()
        self.upright = {id(samples.pixels): self.way.of(samples) for samples in both if self.way}
        self.pixels = learn_pixels(self._seen(train_on), self.cut.network.shrunk)

    def network(self) -> DenseRegressor:
        """Return an untrained network that knows mean and deviation of the images."""
        network = DenseRegressor(self.config.network, self.train_on.spec.channels)
        network.mean.copy_(self.pixels.mean.view_as(network.mean))
        network.std.copy_(self.pixels.std.view_as(network.std))
        if self.way:
            network.upright.copy_(torch.tensor([self.way.limit, *self.way.frame]))
        return network

    def draw(self, chosen: Samples, generator: torch.Generator) -> Crops:
        """Draw what a step sees: crops of some of the images."""
        cuts = self._cuts(chosen, generator)
        return draw_crops(cuts, generator, self.config, chosen.spec, self.pixels)

    def loss(self, network: DenseRegressor, step: Crops) -> Tensor:
        """Return the loss of a step.

        Changed places weigh ``training.made_weight`` together, all others 1. With equal weights
        the outputs could not rank what lies beyond them: one place in some ten thousand decides
        the score of an image. What another light does to the outputs weighs
        ``training.light_loss``.
        """
        half = self.config.training.precision == "bfloat16"
        with torch.autocast(step.images.device.type, torch.bfloat16, enabled=half):
            output = network(step.images).float()
        own, relit = output.split([len(step.labels), len(output) - len(step.labels)])
        loss: Tensor = (step.weights * (own - step.labels) ** 2).sum()
        if len(relit):
            change = relit - own[: len(relit)]
            loss = loss + self.config.training.light_loss * (change**2).mean()
        return loss

    @torch.inference_mode()
    def validate(
        self, network: DenseRegressor, generator: torch.Generator
    ) -> tuple[float, dict[str, float]]:
        """Return the AUROC of crops of held-out normals against their changed versions.

        Raises
        ------
        InputError
            If a mask shows no place of any of them.
        """
        network.eval()
        count = len(self.validate_on)
        chosen = self.validate_on.subset(np.arange(max(VALIDATED, count)) % count)
        normals: list[Tensor] = []
        made: list[Tensor] = []
        config = self.config.replace(
            local__clean=0.0, training__light=0.0, training__tint=0.0, training__record=0.0
        )
        for part in chosen.parts(VALIDATION_BATCH):
            cuts = self._cuts(part, generator)
            step = draw_crops(cuts, generator, config, part.spec, self.pixels)
            for images, scores in ((cuts.images, normals), (step.images, made)):
                found = local_mean(network(images), network.config.window).mean(1)
                if cuts.look is None:
                    scores.append(peaks(found, network.config))
                    continue
                looked_at = step.weights.sum(1) > 0  # what is ignored has no weight
                scores += [
                    peaks(places, network.config, inside)[None]
                    for places, inside in zip(found, looked_at, strict=True)
                    if inside.any()
                ]
        if not normals:
            raise InputError(
                f"mask: what is white is too thin to be seen at 1/{network.config.shrunk} of the "
                "images' size; widen it, or use --set network.shrink=1"
            )
        area = auroc(torch.cat(normals).cpu().numpy(), torch.cat(made).cpu().numpy())
        return area, {"local": area}

    @torch.inference_mode()
    def finish(self, network: DenseRegressor) -> None:
        """Weigh each output by how little its peaks differ among (some of) the images learnt from.

        An output that normal images raise to very different heights would otherwise drown those
        that they leave at rest. The images are not those that set the threshold.

        What a single output sees is lost in the mean of all. So the median and the upper tail of
        its peaks are brought to those of the mean, and it counts beside it (``network.alone``).
        """
        network.eval()
        single = torch.eye(len(network.shares)).to(network.shares)
        spread = self._peaks(network, single).std(0, correction=0).clamp(min=LEAST_SPREAD)
        network.shares.copy_((1 / spread) / (1 / spread).sum())
        if network.config.alone:
            peaks = self._peaks(network, torch.cat([network.shares[None], single]))
            middle, upper = peaks.quantile(torch.tensor([0.5, UPPER]).to(peaks), dim=0)
            unit = (upper - middle).clamp(min=LEAST_SPREAD)
            factor = network.config.alone * unit[0] / unit[1:]
            network.alone.copy_(torch.stack([factor, -factor * middle[1:]]))
            network.level.copy_(middle[0])

    def _peaks(self, network: DenseRegressor, weights: Tensor) -> Tensor:
        """Return the peaks (N, M) of sums of the outputs, weighted (M, K), for some images."""
        images = self.train_on.thinned(WEIGHED).batches(network.mean.device, 1)
        return torch.cat([network.peaks(image, weights, self.train_on.mask) for image in images])

    def _seen(self, chosen: Samples) -> Samples:
        """Return samples as the network sees them: upright, if it does."""
        if self.way is None:
            return chosen
        upright = self.upright[id(chosen.pixels)]
        return Samples(upright.pixels, upright.spec, numbers=chosen.numbers)

    def _cuts(self, chosen: Samples, generator: torch.Generator) -> Cuts:
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        rng = np.random.default_rng(seed)
        images, *planes = take_crops(self._seen(chosen), self.cut, rng, self.pixels.part)
        moved = (None if plane is None else plane.to(generator.device) for plane in planes)
        return Cuts(images.to(generator.device), *moved)
