"""Figures 3 to 6 of the paper: the network, made anomalies, predictions, and embeddings.

Those that need a trained network train one as table 1 does, with seed 0, and keep it in a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from numpy.typing import NDArray
from torch import nn

from adacl.anomalies import make
from adacl.config import Config
from adacl.data.copies import digest
from adacl.data.folders import list_images
from adacl.data.images import read_image
from adacl.data.reading import stream
from adacl.datasets import catalogue
from adacl.image_detector import ImageDetector
from adacl.imaging.spec import ImageSpec
from adacl.networks.regressor import Regressor, count_parameters
from adacl.protocols.figures import ANOMALOUS, INK, NORMAL
from adacl.protocols.image.data import load_one_vs_rest
from adacl.protocols.image.one_vs_rest import paper_config

Images = NDArray[Any]
CPU = torch.device("cpu")
SHOWN = {"mnist": "8", "fashion-mnist": "sandal", "cifar10": "car"}
TILE = 30


def figure3_architecture(config: Config, channels: int, height: int, width: int) -> Figure:
    """Draw the layers of the network that a configuration gives, with their output shapes."""
    network = Regressor(config.network, channels, height, width)
    steps: list[tuple[str, str]] = [("image", f"{channels} × {height} × {width}")]

    def note(module: nn.Module, _: Any, output: Any) -> None:
        shape = " × ".join(str(side) for side in output.shape[1:])
        steps.append((_describe(module), shape))

    layers = [m for m in network.modules() if not list(m.children())]
    hooks = [m.register_forward_hook(note) for m in layers]
    with torch.inference_mode():
        network.eval()(torch.zeros(1, channels, height, width))
    for hook in hooks:
        hook.remove()
    steps.append((config.network.head, "score in [0, 1]"))

    figure = Figure(figsize=(6, 0.36 * len(steps) + 0.5), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    for place, (name, shape) in enumerate(steps):
        y = len(steps) - place
        heavy = name.startswith(("convolution", "linear"))
        colour = NORMAL if heavy else "#dddddd"
        box = FancyBboxPatch((0, y), 5, 0.7, boxstyle="round,pad=0.05", fc=colour, ec="none")
        axes.add_patch(box)
        axes.text(2.5, y + 0.35, name, ha="center", va="center", color="white" if heavy else INK)
        axes.text(5.4, y + 0.35, shape, ha="left", va="center", color=INK)
    axes.set_xlim(-0.2, 8)
    axes.set_ylim(0.8, len(steps) + 1)
    axes.set_title(
        f"Figure 3: the network for {height} × {width} × {channels}, "
        f"{count_parameters(network):,} parameters",
        fontsize=11,
        fontweight="bold",
    )
    return figure


def _describe(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d):
        return f"convolution {module.kernel_size[0]} × {module.kernel_size[1]}"
    if isinstance(module, nn.Linear):
        return "linear"
    if isinstance(module, nn.Dropout2d | nn.Dropout):
        return f"dropout {module.p:g}"
    return {"MaxPool2d": "maximum of 2 × 2"}.get(type(module).__name__, type(module).__name__)


def figure4_made_anomalies(rows: dict[str, Images], config: Config) -> Figure:
    """Draw a normal image of each set (1, H, W, C, uint8) and one made anomaly of each kind."""
    kinds = config.anomalies.kinds
    figure = Figure(figsize=(1.3 * (len(kinds) + 1), 1.45 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(kinds) + 1, squeeze=False)
    for line, (name, image) in zip(grid, rows.items(), strict=True):
        normal = ImageSpec(*image.shape[1:]).to_tensor(image, CPU)
        generator = torch.Generator().manual_seed(3)
        anomalies = [make(kind, normal, generator).images for kind in kinds]
        titles = [f"{name}: normal", *(kind.replace("_", "-") for kind in kinds)]
        for axes, tensor, title in zip(line, [normal, *anomalies], titles, strict=True):
            _show(axes, tensor[0].permute(1, 2, 0).numpy())
            axes.set_title(title, fontsize=8)
    return figure


def figure5_predictions(models: dict[str, ImageDetector], data_dir: Path | None) -> Figure:
    """Draw normal, made and anomalous samples of each set with their anomaly scores."""
    columns = 3 + 4 + 3
    figure = Figure(figsize=(1.15 * columns, 1.5 * len(models)), layout="constrained")
    grid = figure.subplots(len(models), columns, squeeze=False)
    rng = np.random.default_rng(0)
    for line, (data, detector) in zip(grid, models.items(), strict=True):
        _, test, is_normal = load_one_vs_rest(data, SHOWN[data], data_dir)
        normal = test[rng.choice(np.flatnonzero(is_normal), 3, replace=False)]
        abnormal = test[rng.choice(np.flatnonzero(~is_normal), 3, replace=False)]
        spec = detector.model_.spec
        generator = torch.Generator().manual_seed(0)
        source = spec.to_tensor(test[rng.choice(np.flatnonzero(is_normal), 1)], CPU)
        kinds = detector.model_.config.anomalies.kinds
        anomalies = [make(kind, source, generator).images for kind in kinds]
        augmented = (
            (torch.cat(anomalies).permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
        )
        images = np.concatenate([normal, augmented, abnormal])
        names = ["normal"] * 3 + ["made"] * 4 + ["anomalous"] * 3
        scores = detector.anomaly_score(images)
        for axes, image, name, score in zip(line, images, names, scores, strict=True):
            _show(axes, image / 255)
            axes.set_title(f"{name}\n{score:.2f}", fontsize=8)
    return figure


def figure6_embeddings(models: dict[str, ImageDetector], data_dir: Path | None) -> Figure:
    """Draw the hidden units of normal and anomalous MNIST test images, in three components."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    for place, (normal, detector) in enumerate(models.items(), start=1):
        _, test, is_normal = load_one_vs_rest("mnist", normal, data_dir)
        chosen = np.sort(
            np.random.default_rng(0).choice(len(test), min(2000, len(test)), replace=False)
        )
        model = detector.model_
        with torch.inference_mode():
            assert isinstance(model.network, Regressor)
            hidden = model.network.embed(model.spec.to_tensor(test[chosen], CPU)).numpy()
        centred = hidden - hidden.mean(0)
        _, _, directions = np.linalg.svd(centred, full_matrices=False)
        points = centred @ directions[:3].T
        axes = figure.add_subplot(1, len(models), place, projection="3d")
        for mask, colour, name in (
            (~is_normal[chosen], ANOMALOUS, "anomalous"),
            (is_normal[chosen], NORMAL, "normal"),
        ):
            axes.scatter(*points[mask].T, s=4, alpha=0.5, color=colour, label=name, rasterized=True)
        axes.set_title(f"Figure 6: MNIST, {normal} is normal", fontsize=11, fontweight="bold")
        axes.legend(frameon=False)
    return figure


def detector_for(data: str, normal: str, folder: Path, data_dir: Path | None) -> ImageDetector:
    """Return a detector of a class, as table 1 has it, from ``folder`` or freshly trained."""
    path = folder / f"{data}-{normal}.adacl"
    images, _, _ = load_one_vs_rest(data, normal, data_dir)
    config = paper_config(data)
    if path.exists():
        kept = ImageDetector.load(path, device="cpu")
        if kept.header.config == config and kept.model_.learnt == set(map(digest, images)):
            return kept
    folder.mkdir(parents=True, exist_ok=True)
    ImageDetector(config=config, device="cpu").fit(images).save(path)
    return ImageDetector.load(path, device="cpu")


def normal_samples(data_dir: Path | None, frames: Path | None) -> dict[str, Images]:
    """Return one normal image (1, H, W, C) of each set, and a video tile where there are frames."""
    samples = {}
    for data, normal in SHOWN.items():
        images, _, _ = load_one_vs_rest(data, normal, data_dir)
        samples[catalogue.get(data).title] = images[:1]
    if frames is not None:
        samples["video tile"] = video_tiles(list_images(frames)[:1])
    return samples


def video_tiles(paths: Sequence[Path]) -> Images:
    """Return the tile of 30 x 30 pixels with the most contrast of each frame (N, 30, 30, 1)."""
    tiles = []
    for _, frame in stream(paths, lambda path: read_image(path, 1, "uint8", None)):
        height, width = (side - side % TILE for side in frame.shape[:2])
        rows = frame[:height, :width, 0].reshape(height // TILE, TILE, width // TILE, TILE)
        grid = rows.swapaxes(1, 2).reshape(-1, TILE, TILE)
        tiles.append(grid[grid.std((1, 2)).argmax()])
    return np.stack(tiles)[..., None]


def _show(axes: Any, image: Images) -> None:
    axes.set_axis_off()
    axes.imshow(image if image.shape[-1] == 3 else image[..., 0], "gray", vmin=0, vmax=1)
