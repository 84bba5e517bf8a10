"""Do anomaly maps point at what is anomalous? Planted defects of known place, and real masks.

    python -m benchmarks.accuracy.localisation --data-dir DATA --work DIR
        --out benchmarks/results/localisation.json

``planted``: a model of the preset is trained on the training images of one class of MNIST or
Fashion-MNIST, or on MVTec AD bottle (its first 170 good images whole at 64 x 64 pixels, or its
first 100 cut into tiles); eight kinds of defect are planted into normal images that it did not
see, at random places and contrasts. The methods were chosen on such images, with other seeds, but
for one choice that docs/evidence/heat-maps.md tells of. The other sets have real masks: frames of
UCSD Ped1 cut into tiles (two folds by clip: learned from normal frames of the clips of the other
half, tested on the clips with masks), of CUHK Avenue, and KolektorSDD.

Recorded for each set: pixel AUROC over all images and the share of those with a mask whose map is
highest inside it; over all, and over those that score above the model's threshold; beside a map of
smooth noise and one that falls from the centre. Models are kept in DIR, finished sets in the JSON
file: the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from adacl import AnomalyDetector
from adacl.data.folders import list_images
from adacl.data.images import read_image
from adacl.data.video import Clip
from adacl.datasets import catalogue
from adacl.datasets.ucsd import abnormal_frames, read_ground_truth
from adacl.metrics import Localisation, auroc
from benchmarks.accuracy.planting import KINDS, plant
from benchmarks.common import record

METHODS = ("occlusion", "gradient")
CLASSES = (("mnist", 2), ("mnist", 4), ("fashion-mnist", 5), ("fashion-mnist", 8))
SEEDS = (0, 1, 2)
"""Of models of whole images, and of their defects; the others are measured once."""
IMAGES = 24
"""Held-out normal images, each with every kind of defect."""

Sample = tuple[str, np.ndarray, np.ndarray | None]
"""The kind, the image H x W x C, and where it is anomalous, or None if nowhere."""
Loaded = tuple[np.ndarray, np.ndarray, Iterator[Sample]]
"""Images to learn from, normal ones for the threshold, and what is tested on."""


def pixels(paths: list[Path], channels: int, size: tuple[int, int] | None = None) -> np.ndarray:
    return np.stack([read_image(path, channels, "uint8", size) for path in paths])


def with_defects(normal: np.ndarray, seed: int, part: float = 1.0) -> Iterator[Sample]:
    generator = np.random.default_rng(seed)
    for place, image in enumerate(normal):
        yield "normal", image, None
        other = normal[(place + 7) % len(normal)]
        for kind in KINDS:
            found = plant(kind, image, other, generator, part)
            if found:
                yield kind, *found


def one_class(data: Path, name: str, label: int, seed: int) -> Loaded:
    images, labels = catalogue.load(name, "train", data)
    test, test_labels = catalogue.load(name, "test", data)
    normal = test[test_labels == label].reshape(-1, 28, 28, 1)
    return images[labels == label], normal[IMAGES:], with_defects(normal[:IMAGES], 11 + seed)


def bottle(data: Path, tiles: bool, seed: int = 0) -> Loaded:
    paths = list_images(data / "mvtec_bottle/train/good")
    size = None if tiles else (64, 64)
    count = 4 if tiles else IMAGES
    held_out = pixels(paths[170:], 3, size)
    train = pixels(paths[: 100 if tiles else 170], 3, size)
    return train, held_out[count:], with_defects(held_out[:count], 11 + seed, 0.4 if tiles else 1.0)


def ped1(data: Path, fold: int) -> Loaded:
    root = data / "ucsd_ped1"
    masks = root / "UCSDped1/Test"
    spans = read_ground_truth(root / "UCSDped1")
    clips = {path.stem: Clip(path.stem, path) for path in sorted((root / "avi").glob("*.avi"))}
    halves = list(clips)[:8], list(clips)[8:]
    learned, others = [], []
    for name in halves[1 - fold]:
        normal = ~abnormal_frames(spans[name], 200)
        frames = [f.image for f in clips[name].frames() if normal[f.number]]
        learned += frames[::12]
        others += frames[6::24]

    def tested() -> Iterator[Sample]:
        for name in halves[fold]:
            if (masks / f"{name}_gt").is_dir():
                yield from masked(clips[name], masks / f"{name}_gt", 10)

    return np.stack(learned), np.stack(others), tested()


def avenue(data: Path) -> Loaded:
    root = data / "avenue"
    frames = [
        frame.image
        for path in sorted((root / "train").glob("*.mp4"))
        for frame in Clip(path.stem, path).frames()
        if frame.number % 40 in (0, 20)
    ]

    def tested() -> Iterator[Sample]:
        for path in sorted((root / "test").glob("*.mp4")):
            yield from masked(Clip(path.stem, path), root / "test_mask" / path.stem, 5)

    return np.stack(frames[::2]), np.stack(frames[1::2]), tested()


def masked(clip: Clip, masks: Path, every: int) -> Iterator[Sample]:
    paths = list_images(masks)
    for frame in clip.frames():
        if frame.number % every == 0:
            mask = read_image(paths[frame.number], 1)[..., 0] > 0
            yield clip.name, frame.image, mask if mask.any() else None


def kolektor(data: Path) -> Loaded:
    root = data / "kolektorsdd"
    height = 629
    good = list_images(root / "good")

    def whole(path: Path) -> np.ndarray:
        image = read_image(path, 1)[:height]
        return np.pad(image, ((0, height - len(image)), (0, 0), (0, 0)), "edge")

    def tested() -> Iterator[Sample]:
        for path in good[4::18]:
            yield "normal", read_image(path, 1), None
        for path in list_images(root / "defect"):
            mask = np.asarray(Image.open(root / "mask" / f"{path.stem}.png").convert("L")) > 0
            yield "defect", read_image(path, 1), mask

    train, others = (np.stack([whole(path) for path in part]) for part in (good[::6], good[2::6]))
    return train, others, tested()


def sets(data: Path) -> dict[str, tuple[Callable[[], Any], dict[str, Any]]]:
    """Return what loads each set, and the settings of its model."""
    found: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {}
    for seed in SEEDS:
        settings, ending = {"random_state": seed}, f", seed {seed}" if seed else ""
        for name, label in CLASSES:
            found[f"planted {name} {label}{ending}"] = (
                partial(one_class, data, name, label, seed),
                settings,
            )
        found[f"planted bottle{ending}"] = partial(bottle, data, False, seed), settings
    found["planted bottle, tiles"] = lambda: bottle(data, True), {"tile": (64, 64)}
    found["ucsd ped1, fold 0"] = lambda: ped1(data, 0), {"tile": (32, 32), "stride": 16}
    found["ucsd ped1, fold 1"] = lambda: ped1(data, 1), {"tile": (32, 32), "stride": 16}
    found["avenue"] = lambda: avenue(data), {"tile": (32, 32), "stride": 16}
    found["kolektorsdd"] = lambda: kolektor(data), {"tile": (32, 32)}
    return found


def trained(path: Path, images: np.ndarray, settings: dict[str, Any]) -> AnomalyDetector:
    if not path.exists():
        started = time.perf_counter()
        detector = AnomalyDetector(preset="paper", contamination=0.01, **settings).fit(images)
        detector.save(path)
        print(f"{path.stem}: trained in {time.perf_counter() - started:.0f} s", flush=True)
    return AnomalyDetector.load(path)


def priors(shape: tuple[int, int], generator: np.random.Generator) -> dict[str, np.ndarray]:
    rows, columns = np.indices(shape)
    noise = ndimage.gaussian_filter(generator.normal(size=shape), min(shape) / 12)
    return {
        "noise": noise,
        "centre": -np.hypot(rows - shape[0] / 2, columns - shape[1] / 2),
    }


def measure(detector: AnomalyDetector, samples: Iterator[Sample]) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    counts: dict[tuple[str, str], Localisation] = {}
    seconds: dict[str, float] = dict.fromkeys(METHODS, 0.0)
    highest: dict[str, list[float]] = {method: [] for method in METHODS}
    raws: dict[bool, list[float]] = {True: [], False: []}
    n = 0
    for kind, image, mask in samples:
        raw = -float(detector.score_samples(image[None])[0])
        raws[mask is not None].append(raw)
        maps = priors(image.shape[:2], generator)
        for method in METHODS:
            started = time.process_time()
            maps[method] = detector.anomaly_map(image, method)
            seconds[method] += time.process_time() - started
            if mask is None:
                highest[method].append(float(maps[method].max()))
        n += 1
        groups = ["all"] if mask is None else ["all", kind]
        if mask is None or raw > detector.threshold_:
            groups.append("flagged")
        for method, found in maps.items():
            for group in groups:
                counts.setdefault((method, group), Localisation()).add(found, mask)
                if mask is None and kind == "normal":
                    for each in KINDS:
                        counts.setdefault((method, each), Localisation()).add(found, None)
    result: dict[str, Any] = {
        "image_auroc": round(auroc(raws[False], raws[True]), 4) if raws[False] else None,
        "n": n,
        "threshold": detector.threshold_,
        "size": list(image.shape[:2]),
    }
    for method in maps:
        result[method] = {
            group: {
                "pixel_auroc": round(count.pixel_auroc, 4),
                "peaks_inside": round(count.peaks_inside, 4),
                "n_masked": count.n_masked,
            }
            for (name, group), count in counts.items()
            if name == method and count.n_masked
        }
    for method in METHODS:
        result[method]["processor_seconds"] = round(seconds[method] / n, 4)
        if highest[method]:
            quantiles = np.quantile(highest[method], [0.5, 0.9, 1])
            result[method]["highest_on_normals"] = dict(
                zip(("median", "90%", "largest"), quantiles.round(4).tolist(), strict=True)
            )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--train", action="store_true", help="train the models, and stop")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    if arguments.out.exists():
        results = json.loads(arguments.out.read_text())["results"]
    for name, (load, settings) in sets(arguments.data_dir).items():
        if name in results or (arguments.only and name not in arguments.only):
            continue
        train, others, samples = load()
        file = arguments.work / f"{name.replace(', ', '-').replace(' ', '-')}.adacl"
        detector = trained(file, train, settings)
        if not arguments.train:
            results[name] = measure(detector.calibrate(others), samples)
            record(arguments.out, results)
            print(name, {m: results[name][m]["all"] for m in METHODS}, flush=True)


if __name__ == "__main__":
    main()
