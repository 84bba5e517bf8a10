"""Learn from good parts and surfaces, and find defects: one record for each fold and seed.

A set is a folder as MVTec AD lays it out (``train/good``, ``test/good``, ``test/KIND`` and, where
there are masks, ``ground_truth/KIND``), or one of folds ``fold0``, ``fold1``, … of that form::

    python -m benchmarks.accuracy.inspection bottle=DIR kolektor=DIR --seeds 0,1,2

Every fit is that of ``AnomalyDetector(preset=…)`` and a folder, nothing else being set but
``--light``, which is that of ``adacl fit``; then it is part of the record's preset. Records are
appended to ``benchmarks/results/inspection.jsonl`` as they come; those that are there are not run
again. ``--table`` prints the means. Intervals are those of a bootstrap over the parts of the test
images; parts of KolektorSDD and runs of magnetic tiles have several. The sets, records and measures
here are also those of the rival (``inspection_rival``).

``--trained`` takes networks of models that ``--keep`` kept, and computes anew what follows the
training: scores, units, threshold. For a change that leaves the training as it was.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from adacl import AnomalyDetector
from adacl.config import Config, presets
from adacl.config.hints import Light, with_hints
from adacl.data.folders import list_images
from adacl.data.masks import find_masks, read_mask
from adacl.data.samples import Samples
from adacl.metrics import Localisation, auroc
from adacl.model.file import read_model
from adacl.model.history import History
from adacl.networks.dense import DenseRegressor
from adacl.scale import records
from adacl.training import fitting
from adacl.training.place_lesson import PlaceLesson
from benchmarks.accuracy.robustness import kept, moved, parts_of
from benchmarks.common import RESULTS, machine

RECORDS = RESULTS / "inspection.jsonl"
RESAMPLES = 2000

Images = dict[str, list[Path]]
"""The test images of each kind, the good ones first."""
Scores = dict[str, NDArray[np.floating[Any]]]


def main() -> None:
    """Run what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sets", nargs="*", metavar="NAME=DIR")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--preset", default="inspect")
    parser.add_argument("--light", choices=get_args(Light), help="as of adacl fit")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where to fit")
    parser.add_argument("--keep", type=Path, help="folder for the models")
    parser.add_argument("--trained", type=Path, help="folder of models kept, for their networks")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        print("\n".join(table(read(RECORDS))))
        return
    preset = arguments.preset + (f" --light {arguments.light}" if arguments.light else "")
    done = {key(record) for record in read(RECORDS)}
    for entry in arguments.sets:
        name, _, folder = entry.partition("=")
        for fold, fold_name in folds(Path(folder)):
            for seed in map(int, arguments.seeds.split(",")):
                wanted = {"set": name, "fold": fold_name, "preset": preset, "seed": seed}
                if key(wanted) not in done:
                    model = f"{name}-{fold.name}-{preset.replace(' ', '')}-{seed}.adacl"
                    keep, trained = (
                        folder and folder / model for folder in (arguments.keep, arguments.trained)
                    )
                    config = with_hints(presets.preset(arguments.preset), [], arguments.light)
                    found = run(fold, config, seed, arguments.device, keep, trained)
                    append(RECORDS, wanted | found)


def folds(folder: Path) -> list[tuple[Path, str | None]]:
    """Return the folds of a set with their names, or the set itself where it has none."""
    return [(fold, fold.name) for fold in sorted(folder.glob("fold*"))] or [(folder, None)]


def key(record: dict[str, Any]) -> tuple[Any, ...]:
    """Return what tells records apart."""
    return tuple(record[part] for part in ("set", "fold", "preset", "seed"))


def read(path: Path) -> list[dict[str, Any]]:
    """Return the records so far."""
    return records.read(path)


def append(path: Path, record: dict[str, Any]) -> None:
    """Append a record, whole or not at all."""
    records.append(path, record)
    shown = ("set", "fold", "preset", "seed", "auroc", "fit_seconds")
    print({name: record[name] for name in shown}, flush=True)


def run(
    folder: Path,
    config: Config,
    seed: int,
    device: str,
    keep: Path | None = None,
    trained: Path | None = None,
) -> dict[str, Any]:
    """Fit on the good images of a folder, and score its test images."""
    started = time.perf_counter()
    detector = AnomalyDetector(config=config, random_state=seed, device=device)
    with network_of(trained) if trained else nullcontext():
        detector.fit(folder / "train" / "good")
    fit_seconds = None if trained else time.perf_counter() - started
    if keep:
        keep.parent.mkdir(parents=True, exist_ok=True)
        detector.save(keep)
    images = test_images(folder)
    started = time.perf_counter()
    scores = {kind: -detector.score_samples(paths) for kind, paths in images.items()}
    per_image = (time.perf_counter() - started) / sum(map(len, images.values()))
    normal, anomalous = parted(scores)
    threshold = detector.model_.threshold
    return {
        "commit": commit(),
        **({"network_of": trained.resolve().name} if trained else {}),
        **measured(scores, images),
        "pixel_auroc": pixel_auroc(detector.anomaly_map, folder, images),
        "found": float((anomalous > threshold.value).mean()),
        "flagged": int((normal > threshold.value).sum()),
        "threshold": threshold.to_dict(),
        "promise_kept": kept(detector, images["good"], normal),
        "moved": moved(detector, images["good"]),
        "n": {"train": detector.header.training["train"], "good": len(normal)},
        "parameters": detector.header.training["parameters"],
        "epochs": len(detector.history_.epochs),
        "fit_seconds": fit_seconds,
        "seconds_per_image": per_image,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "machine": machine() | gpu(device),
    }


@contextmanager
def network_of(model: Path) -> Iterator[None]:
    """Let a fit take the weights of a model instead of training."""
    train = fitting.train

    def take(
        train_on: Samples, validate_on: Samples, config: Config, **_: Any
    ) -> tuple[DenseRegressor, History]:
        header, tensors = read_model(model)
        lesson = PlaceLesson(train_on, validate_on, config)
        network = lesson.network()
        for name, weights in network.layers.state_dict(prefix="network.layers.").items():
            weights.copy_(torch.from_numpy(tensors[name]))
        lesson.finish(network)
        return network.eval(), header.history

    fitting.train = take
    try:
        yield
    finally:
        fitting.train = train


def gpu(device: str) -> dict[str, str]:
    """Return the name of the GPU, where one was used."""
    return {"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}


def test_images(folder: Path) -> Images:
    """Return the test images of a fold."""
    kinds = sorted(x.name for x in (folder / "test").iterdir() if x.name != "good")
    return {kind: list_images(folder / "test" / kind) for kind in ("good", *kinds)}


def parted(scores: Scores) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the scores of the good images, and those of all others."""
    others = [values for kind, values in scores.items() if kind != "good"]
    return np.asarray(scores["good"]), np.concatenate(others)


def measured(scores: Scores, images: Images) -> dict[str, Any]:
    """Return the measures of images, and what they are made of: scores and names of files."""
    normal, anomalous = parted(scores)
    kinds = [kind for kind in scores if kind != "good"]
    return {
        "auroc": auroc(normal, anomalous),
        "auroc_by_kind": {kind: auroc(normal, scores[kind]) for kind in kinds},
        "wrong_pairs": int((normal[:, None] >= anomalous[None]).sum()),
        "scores": {kind: values.tolist() for kind, values in scores.items()},
        "files": {kind: [path.name for path in paths] for kind, paths in images.items()},
    }


def pixel_auroc(
    anomaly_map: Callable[[Path], NDArray[Any]], folder: Path, images: Images
) -> float | None:
    """Return the AUROC of pixels, good images included, where there are masks."""
    if not (folder / "ground_truth").is_dir():
        return None
    places = Localisation()
    for kind, paths in images.items():
        roots = [folder / "test" / kind]
        masks = find_masks(paths, roots, folder / "ground_truth") if kind != "good" else {}
        for path in paths:
            mask = read_mask(masks[path], path) if path in masks else None
            places.add(anomaly_map(path), mask if mask is not None and mask.any() else None)
    return places.pixel_auroc


def commit() -> str:
    """Return the commit that ran, with a plus where something was changed since."""
    shown = ("git", "describe", "--always", "--dirty=+", "--exclude=*")
    return subprocess.run(shown, capture_output=True, text=True, check=True).stdout.strip()


def table(records: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each set and preset: mean over folds, then mean and spread over seeds."""
    groups: dict[tuple[str, str], dict[int, list[dict[str, Any]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for record in records:
        groups[record["set"], record["preset"]][record["seed"]].append(record)
    for (name, preset), seeds in sorted(groups.items()):
        means = [np.mean([r["auroc"] for r in folds]) for folds in seeds.values()]
        some = [record for folds in seeds.values() for record in folds]
        spread = np.std(means, ddof=1) if len(means) > 1 else 0
        low, high = interval(next(iter(seeds.values())))
        pixels, seconds, peak = (
            [r[name] for r in some if r[name] is not None] or [float("nan")]
            for name in ("pixel_auroc", "fit_seconds", "peak_mib")
        )
        limit = ""
        if "found" in some[0]:
            limit = (
                f"found {np.mean([r['found'] for r in some]):.2f} with "
                f"{sum(r['flagged'] for r in some)} of {sum(r['n']['good'] for r in some)} false, "
            )
        yield (
            f"{name} {preset}: AUROC {100 * np.mean(means):.1f} ± {100 * spread:.1f} "
            f"({len(seeds)} seeds, {len(some)} fits; 95 % {100 * low:.1f} to {100 * high:.1f}), "
            f"{limit}pixels {100 * np.mean(pixels):.1f}, fit {np.median(seconds):.0f} s, "
            f"{np.median([r['seconds_per_image'] for r in some]):.3f} s an image, "
            f"{max(peak):.0f} MiB"
        )


def interval(folds: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the 95 % interval of the mean AUROC of folds, by a bootstrap over their parts."""
    low, high = np.quantile(resampled(folds), [0.025, 0.975])
    return float(low), float(high)


def difference(
    ours: list[dict[str, Any]], theirs: list[dict[str, Any]]
) -> tuple[float, float, float]:
    """Return by how much the mean AUROC of folds is higher than another's, and its 95 % interval.

    The bootstrap draws the same parts for both: scores stand in the order of the files.
    """
    for one, other in zip(ours, theirs, strict=True):
        if one["fold"] != other["fold"] or parts(one) != parts(other):
            raise SystemExit(f"{one['set']}: the records are not of the same images")
    mean = np.mean([r["auroc"] for r in ours]) - np.mean([r["auroc"] for r in theirs])
    low, high = np.quantile(resampled(ours) - resampled(theirs), [0.025, 0.975])
    return float(mean), float(low), float(high)


def parts(record: dict[str, Any]) -> list[str]:
    """Return the part that each test image of a record shows."""
    return parts_of([Path(name) for names in record["files"].values() for name in names])


def resampled(folds: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Return the mean AUROC of folds for each resample; the parts drawn are always the same."""
    rng = np.random.default_rng(0)
    areas: list[list[float]] = []
    for record in folds:
        scores = np.concatenate(list(record["scores"].values()))
        anomalous = np.arange(len(scores)) >= len(record["scores"]["good"])
        shown = np.array(parts(record))
        members = [np.flatnonzero(shown == part) for part in np.unique(shown)]
        areas.append([])
        while len(areas[-1]) < RESAMPLES:
            drawn = rng.integers(len(members), size=len(members))
            chosen = np.concatenate([members[number] for number in drawn])
            good, bad = (scores[chosen[anomalous[chosen] == side]] for side in (False, True))
            if len(good) and len(bad):
                areas[-1].append(auroc(good, bad))
    means: NDArray[np.float64] = np.mean(areas, axis=0)
    return means


if __name__ == "__main__":
    main()
