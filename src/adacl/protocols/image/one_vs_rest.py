"""One class is normal, the others are anomalies (paper, section 4.1 and table 1).

Training uses the training split of the normal class alone, of which 150 images are kept for
early stopping; testing uses the whole test split of all classes. No threshold is involved, so no
further normals are held out.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from adacl._version import __version__
from adacl.config import Config
from adacl.config.presets import preset_of_images
from adacl.data.samples import Samples
from adacl.errors import ConfigError, DataError
from adacl.imaging.spec import ImageSpec
from adacl.metrics import auroc
from adacl.model.history import EpochRecord
from adacl.networks.devices import resolve_device
from adacl.networks.regressor import Regressor, count_parameters, raw_scores
from adacl.networks.views import own_views, scored_views
from adacl.protocols.image import rivals
from adacl.protocols.image.data import load_one_vs_rest, short_name
from adacl.scale.grid import Cell, read_cells
from adacl.training.alignment import settled
from adacl.training.loop import train
from adacl.training.splits import split_normals

Array = NDArray[Any]

EPOCHS = {"mnist": 10, "fashion-mnist": 10, "cifar10": 15}
"""Epochs as in table 2; Fashion-MNIST is not in it."""
SCORED_AT_ONCE = 1000


@dataclass(frozen=True)
class Variant:
    """A configuration or rival that is run on every class and seed.

    Parameters
    ----------
    name
        Part of the cells' names.
    config
        Configuration of ADACL, or None for a rival, whose name is ``name``.
    every_epoch
        Whether to test after every epoch as well, for a curve. Nothing is chosen by it.

    Raises
    ------
    ConfigError
        If its network has a map, which this protocol does not train.
    """

    name: str
    config: Config | None
    every_epoch: bool = False

    def __post_init__(self) -> None:
        if self.config is not None and self.config.network.output == "map":
            raise ConfigError(
                f"preset {self.config.preset!r}: its network has a map, and adacl bench trains "
                "those that see an image as a whole; name another, such as paper or accurate"
            )


def paper_config(source: str, preset_name: str = "paper") -> Config:
    """Return the configuration of a preset; ``paper`` with the epochs of table 2, if any."""
    config = preset_of_images(preset_name)
    if preset_name != "paper":
        return config
    return config.replace(training__epochs=EPOCHS.get(source, config.training.epochs))


def rival_variant(name: str) -> Variant:
    """Return the variant that runs a rival.

    Raises
    ------
    ConfigError, MissingExtraError
        If there is no such rival, or its package is not installed.
    """
    rivals.get(name)
    return Variant(name, None)


def cells(
    source: str,
    classes: Sequence[str],
    seeds: Sequence[int],
    variants: Sequence[Variant],
    data_dir: Path | None,
    device: str,
) -> list[Cell]:
    """Return the cells of a grid, seed by seed, so that a first column is soon complete."""
    return [
        (
            f"{short_name(source)}-{normal}-seed{seed}-{variant.name}",
            {
                "source": source,
                "normal": normal,
                "seed": seed,
                "variant": variant,
                "data_dir": data_dir,
                "device": device,
            },
        )
        for seed in seeds
        for variant in variants
        for normal in classes
    ]


def check_same_data(cells: Sequence[Cell], folder: Path) -> None:
    """Check by one of the cells that are finished that they are of the same images.

    Raises
    ------
    DataError
        If they are of others: the data were changed, or lay in another folder of the same name.
    """
    finished = {result["cell"]: result.get("data_sha256") for result in read_cells(folder)}
    for name, given in cells:
        if finished.get(name):
            images, tested, _ = load_one_vs_rest(
                given["source"], given["normal"], given["data_dir"]
            )
            if _checksum(images, tested) != finished[name]:
                raise DataError(
                    f"{folder}: holds results on other images than those now in "
                    f"{given['source']}; name another folder (--out)"
                )
            return


def run_cell(
    source: str, normal: str, seed: int, variant: Variant, data_dir: Path | None, device: str
) -> dict[str, Any]:
    """Train on one class and test on all; return the figures with their circumstances.

    Returns
    -------
    dict
        ``auroc`` in [0, 1], of raw scores; numbers of images, parameters, seconds of training
        and scoring, threads, versions, and a checksum of the pixels used. For ADACL also the
        AUROC of clipped scores, history, configuration and FLOPs.
    """
    images, test_images, is_normal = load_one_vs_rest(source, normal, data_dir)
    facts = {
        "data": short_name(source),
        "class": normal,
        "seed": seed,
        "variant": variant.name,
        "n_test_normal": int(is_normal.sum()),
        "n_test_abnormal": int((~is_normal).sum()),
        "threads": torch.get_num_threads(),
        "versions": _versions(["torch", "numpy"] if variant.config else ["scikit-learn", "pyod"]),
        "data_sha256": _checksum(images, test_images),
    }
    if variant.config is None:
        return facts | _run_rival(variant.name, images, test_images, is_normal, seed)
    return facts | _run_adacl(variant, images, test_images, is_normal, seed, device)


def _run_rival(
    name: str, images: Array, test_images: Array, is_normal: Array, seed: int
) -> dict[str, Any]:
    started = time.perf_counter()
    fitted = rivals.get(name).fit(images, seed)
    trained = time.perf_counter()
    scores = fitted.score(test_images)
    done = time.perf_counter()
    return {
        "auroc": auroc(scores[is_normal], scores[~is_normal]),
        "n_train": len(images),
        "parameters": fitted.parameters,
        "training_seconds": round(trained - started, 2),
        "scoring_seconds": round(done - trained, 2),
        "device": "cpu",
    }


def _run_adacl(
    variant: Variant,
    images: Array,
    test_images: Array,
    is_normal: Array,
    seed: int,
    device: str,
) -> dict[str, Any]:
    config = variant.config
    assert config is not None
    where = resolve_device(device)
    samples = Samples(images)
    spec, tested = samples.spec, Samples(test_images, samples.spec)
    split = split_normals(
        len(images), config.training.validation_size, config.threshold, False, seed
    )
    train_on, validate_on = samples.subset(split.train), samples.subset(split.validation)
    config = settled(config, train_on, seed)
    curve: list[float] = []

    def score(network: Regressor) -> NDArray[np.float64]:
        batches = tested.batches(where, SCORED_AT_ONCE)
        return np.concatenate([raw_scores(network, batch) for batch in batches])

    def after_epoch(_: EpochRecord, network: Regressor) -> None:
        scores = score(network)
        curve.append(auroc(scores[is_normal], scores[~is_normal]))

    network, history = train(
        train_on,
        validate_on,
        config,
        seed=seed,
        device=where,
        on_epoch=after_epoch if variant.every_epoch else None,
    )
    assert isinstance(network, Regressor)
    started = time.perf_counter()
    scores = score(network)
    scoring_seconds = time.perf_counter() - started
    clipped = scores.clip(0, 1)
    per_image = _forward_flops(network, spec)
    images_seen = len(history.epochs) * max(len(split.train), config.training.min_epoch_images)
    shown = len(own_views(network.views)) + config.anomalies.per_image
    return {
        "auroc": auroc(scores[is_normal], scores[~is_normal]),
        "auroc_clipped": auroc(clipped[is_normal], clipped[~is_normal]),
        **({"test_auroc_by_epoch": curve} if variant.every_epoch else {}),
        "n_train": len(split.train),
        "n_validation": len(split.validation),
        "parameters": count_parameters(network),
        "training_seconds": round(sum(record.seconds for record in history.epochs), 2),
        "scoring_seconds": round(scoring_seconds, 2),
        "training_gflop": 3 * per_image * shown * images_seen / 1e9,
        "mflop_per_image": len(scored_views(network.config)) * per_image / 1e6,
        "device": where.type,
        "history": history.to_dict(),
        "config": config.to_dict(),
    }


def _forward_flops(network: Regressor, spec: ImageSpec) -> int:
    batch = torch.zeros(1, spec.channels, spec.height, spec.width, device=network.mean.device)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(batch)
    return int(counter.get_total_flops())


def _versions(packages: Sequence[str]) -> Mapping[str, str]:
    installed = {package: version(package) for package in packages}
    return {"adacl": __version__, "python": platform.python_version(), **installed}


def _checksum(*arrays: Array) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
