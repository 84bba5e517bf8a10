"""What 8 bits cost and bring a network with a map: scores, verdicts, size and speed.

    python -m benchmarks.accuracy.eight_bits --set NAME MODEL DIR [--set ...]

MODEL is a model file of ``inspect``, DIR the set that it was fitted on, as
``benchmarks.accuracy.inspection`` takes it. Three rules for the ranges of the features are compared
on the normal images that the fit held out, and on anomalies made of these; the first is that of
``adacl fit``. With it the test images are scored in 32 and in 8 bits. Speed is that of the graph
with its map, one thread, 32 and 8 bits in turn; only their ratio means something on a machine that
does other work. The record is ``benchmarks/results/eight_bits.json``; sets that are in it are not
measured again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adacl.data.copies import digest, distinct
from adacl.data.folders import list_images
from adacl.data.images import read_image
from adacl.data.samples import Ragged, Samples
from adacl.deploy.engines import BACKENDS, Run, open_backend
from adacl.deploy.export import export_model
from adacl.metrics import auroc
from adacl.model.file import load_model, save_model
from adacl.model.model import Model
from adacl.runtime import Scorer
from adacl.training.activations import watched
from adacl.training.crops import draw_crops, learn_pixels
from adacl.training.cuts import Cuts
from adacl.training.splits import split
from benchmarks.accuracy.inspection import test_images
from benchmarks.common import RESULTS, record

Images = list[NDArray[np.uint8]]
Values = NDArray[np.floating[Any]]
PRECISIONS = ("float32", "int8")
SIDE, BATCH, ROUNDS = 256, 8, 16


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    columns = ("NAME", "MODEL", "DIR")
    parser.add_argument("--set", nargs=3, action="append", required=True, metavar=columns)
    torch.set_num_threads(1)
    file = RESULTS / "eight_bits.json"
    found = json.loads(file.read_text())["results"] if file.exists() else {}
    for name, model, folder in parser.parse_args().set:
        if name not in found:
            found[name] = measured(load_model(model, "cpu"), Path(folder))
            record(file, found)
            print(name, found[name], flush=True)


def measured(model: Model, folder: Path) -> dict[str, Any]:
    """Measure one model on the set that it was fitted on."""
    channels = model.spec.channels
    normals = held_out([read_image(path, channels) for path in good(folder)], model)
    made = made_of(normals, model)
    maxima = np.array(shown(model, normals))
    ranges = {
        "held-out normals": maxima,
        "held-out normals, half as much again": 1.5 * maxima,
        "held-out normals and anomalies made of them": np.array(shown(model, normals + made)),
    }
    with tempfile.TemporaryDirectory() as temporary:
        exact = exported(model, Path(temporary), maxima, "float32")
        rules = {}
        for rule, values in reversed(ranges.items()):  # the one of the fit stays
            eight = exported(model, Path(temporary), values, "int8")
            rules[rule] = {
                "normals": changes(raw(exact, normals), raw(eight, normals), model),
                "made": changes(raw(exact, made), raw(eight, made), model),
            }
        return {
            "ranges": rules,
            "bytes": {x.stem: x.stat().st_size for x in (exact.path, eight.path)},
            "test": tested(exact, eight, model, folder),
            "speed": speed(exact, eight, normals[0]),
        }


def good(folder: Path) -> Sequence[Path]:
    """Return the images that the model was fitted on."""
    return list_images(folder / "train" / "good")


def held_out(images: Images, model: Model) -> Images:
    """Return the images that the fit held out."""
    first, unit = distinct(np.array([digest(image) for image in images], np.uint64))
    training = model.header.training
    parts = split(int(unit.max()) + 1, model.header.config, True, training["seed"])
    found = parts.of_images(first, unit).calibration
    assert len(found) == training["calibration"]
    return [images[number] for number in found]


def made_of(images: Images, model: Model) -> Images:
    """Return an anomaly made of each image, as in training, of its whole size."""
    plain = {"training__light": 0.0, "training__tint": 0.0, "training__record": 0.0}
    config = model.header.config.replace(local__clean=0.0, **plain)
    shapes = [image.shape for image in images]
    samples = Samples(Ragged(np.concatenate([x.ravel() for x in images]), shapes), model.spec)
    pixels = learn_pixels(samples, config.network.shrunk)
    generator, found = torch.Generator().manual_seed(0), []
    for image in samples.batches(torch.device("cpu"), 1):
        changed = draw_crops(Cuts(image, None), generator, config, model.spec, pixels).images
        found.append((255 * changed[0].permute(1, 2, 0)).round().numpy().astype(np.uint8))
    return found


def shown(model: Model, images: Images) -> list[float]:
    """Return the largest features that images lead to."""
    with watched(model.network) as maxima:
        for image in images:
            model.raw(image[None])
    return maxima


def exported(model: Model, folder: Path, maxima: Values, precision: str) -> Scorer:
    """Export a model with other ranges, and open it."""
    file, target = folder / "m.adacl", folder / f"{precision}.onnx"
    header = replace(model.header, activation_maxima=tuple(maxima.tolist()))
    save_model(replace(model, header=header), file)
    export_model(file, target, dynamic_batch=True, int8=precision == "int8")
    return Scorer(target, threads=1)


def raw(scorer: Scorer, images: Images) -> Values:
    """Return the raw scores of images of any sizes."""
    return np.array([scorer.raw(image[None])[0] for image in images])


def changes(wanted: Values, found: Values, model: Model) -> dict[str, Any]:
    """Compare the scores of 8 bits with those of 32."""
    threshold, apart = model.header.threshold.value, found - wanted
    return {
        "images": len(wanted),
        "above the threshold": int((wanted > threshold).sum()),
        "labels changed": int(((wanted > threshold) != (found > threshold)).sum()),
        "correlation": float(np.corrcoef(wanted, found)[0, 1]),
        "rms change": float(np.sqrt((apart**2).mean())),
        "largest change": float(np.abs(apart).max()),
        "spread": float(wanted.std()),
    }


def tested(exact: Scorer, eight: Scorer, model: Model, folder: Path) -> dict[str, Any]:
    """Compare scores, maps and verdicts on the test images."""
    scores, normal, maps = [], [], []
    for kind, paths in test_images(folder).items():
        for path in paths:
            pixels = read_image(path, model.spec.channels)[None]
            one, other = (scorer.look(pixels, None) for scorer in (exact, eight))
            scores.append((exact.peaks(one)[0], eight.peaks(other)[0]))
            normal.append(kind == "good")
            maps.append((np.corrcoef(one.ravel(), other.ravel())[0, 1], np.abs(one - other).mean()))
    both = np.array(scores).T
    good, bad = both[:, normal], both[:, np.invert(normal)]
    return {
        "good": changes(good[0], good[1], model),
        "defects": changes(bad[0], bad[1], model),
        "auroc": {name: auroc(good[i], bad[i]) for i, name in enumerate(PRECISIONS)},
        "map: correlation, median": float(np.median([pair[0] for pair in maps])),
        "map: mean change": float(np.mean([pair[1] for pair in maps])),
    }


def speed(exact: Scorer, eight: Scorer, image: NDArray[np.uint8]) -> dict[str, Any]:
    """Time both graphs in turn."""
    found: dict[str, Any] = {"side": SIDE, "at once": BATCH, "threads": 1}
    images = np.resize(image, (BATCH, SIDE, SIDE, image.shape[-1]))
    for backend in BACKENDS:
        runs = [open_backend(backend, scorer.content, 1, SIDE) for scorer in (exact, eight)]
        times = np.array([[timed(run, images) for run in runs] for _ in range(ROUNDS)])[1:]
        ratio = np.quantile(times[:, 0] / times[:, 1], (0.25, 0.5, 0.75))
        rates = BATCH / np.median(times, 0)
        found[backend] = {
            "images/s": dict(zip(PRECISIONS, rates.round(1).tolist(), strict=True)),
            "times as fast: quartiles": ratio.round(2).tolist(),
        }
    return found


def timed(run: Run, images: NDArray[np.uint8]) -> float:
    """Return the seconds of one batch."""
    started = time.perf_counter()
    run(images, "anomaly_map")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
