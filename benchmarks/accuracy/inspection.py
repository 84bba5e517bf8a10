"""Learn from good parts and surfaces, and find defects: one record for each fold and seed.

A set is a folder as MVTec AD lays it out (``train/good``, ``test/good``, ``test/KIND`` and, where
there are masks, ``ground_truth/KIND``), or one of folds ``fold0``, ``fold1``, … of that form::

    python -m benchmarks.accuracy.inspection bottle=DIR kolektor=DIR --seeds 0,1,2

Every fit is that of ``AnomalyDetector(preset=…)`` and a folder, nothing else being set. Records are
appended to ``benchmarks/results/inspection.jsonl`` as they come; those that are there are not run
again. ``--table`` prints the means. Intervals are those of a bootstrap over the parts of the test
images; parts of KolektorSDD and runs of magnetic tiles have several.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from adacl import AnomalyDetector
from adacl.data.folders import list_images
from adacl.data.masks import find_masks, read_mask
from adacl.metrics import Localisation, auroc
from adacl.scale import records
from benchmarks.accuracy.robustness import kept, moved, parts_of
from benchmarks.common import RESULTS, machine

RECORDS = RESULTS / "inspection.jsonl"
RESAMPLES = 2000


def main() -> None:
    """Run what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sets", nargs="*", metavar="NAME=DIR")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--preset", default="inspect")
    parser.add_argument("--keep", type=Path, help="folder for the models")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        print("\n".join(table(read())))
        return
    done = {key(record) for record in read()}
    for entry in arguments.sets:
        name, _, folder = entry.partition("=")
        for fold in sorted(Path(folder).glob("fold*")) or [Path(folder)]:
            for seed in map(int, arguments.seeds.split(",")):
                wanted = {"set": name, "fold": fold.name if fold.name.startswith("fold") else None}
                wanted |= {"preset": arguments.preset, "seed": seed}
                if key(wanted) not in done:
                    append(wanted | run(fold, arguments.preset, seed, arguments.keep, name))


def key(record: dict[str, Any]) -> tuple[Any, ...]:
    """Return what tells records apart."""
    return tuple(record[part] for part in ("set", "fold", "preset", "seed"))


def read() -> list[dict[str, Any]]:
    """Return the records so far."""
    return records.read(RECORDS)


def append(record: dict[str, Any]) -> None:
    """Append a record, whole or not at all."""
    records.append(RECORDS, record)
    print(
        {name: record[name] for name in ("set", "fold", "seed", "auroc", "fit_seconds")}, flush=True
    )


def run(folder: Path, preset: str, seed: int, keep: Path | None, name: str) -> dict[str, Any]:
    """Fit on the good images of a folder, and score its test images."""
    started = time.perf_counter()
    detector = AnomalyDetector(preset=preset, random_state=seed, device="cpu")
    detector.fit(folder / "train" / "good")
    fit_seconds = time.perf_counter() - started
    if keep:
        detector.save(keep / f"{name}-{folder.name}-{preset}-{seed}.adacl")
    good = list_images(folder / "test" / "good")
    kinds = sorted(x.name for x in (folder / "test").iterdir() if x.name != "good")
    started = time.perf_counter()
    normal = -detector.score_samples(good)
    found = {kind: -detector.score_samples(list_images(folder / "test" / kind)) for kind in kinds}
    anomalous = np.concatenate(list(found.values()))
    per_image = (time.perf_counter() - started) / (len(normal) + len(anomalous))
    threshold = detector.model_.threshold
    return {
        "commit": commit(),
        "auroc": auroc(normal, anomalous),
        "auroc_by_kind": {kind: auroc(normal, scores) for kind, scores in found.items()},
        "wrong_pairs": int((normal[:, None] >= anomalous[None]).sum()),
        "pixel_auroc": pixel_auroc(detector, folder, kinds, good),
        "found": float((anomalous > threshold.value).mean()),
        "flagged": int((normal > threshold.value).sum()),
        "threshold": threshold.to_dict(),
        "promise_kept": kept(detector, good, normal),
        "moved": moved(detector, good),
        "n": {"train": detector.header.training["train"], "good": len(normal)},
        "parameters": detector.header.training["parameters"],
        "epochs": len(detector.history_.epochs),
        "fit_seconds": fit_seconds,
        "seconds_per_image": per_image,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "scores": {"good": normal.tolist(), **{k: v.tolist() for k, v in found.items()}},
        "parts": parts_of([*good, *(x for k in kinds for x in list_images(folder / "test" / k))]),
        "machine": machine(),
    }


def pixel_auroc(
    detector: AnomalyDetector, folder: Path, kinds: list[str], good: list[Path]
) -> float | None:
    """Return the AUROC of pixels, good images included, where there are masks."""
    if not (folder / "ground_truth").is_dir():
        return None
    places = Localisation()
    for path in good:
        places.add(detector.anomaly_map(path), None)
    for kind in kinds:
        images = list_images(folder / "test" / kind)
        masks = find_masks(images, [folder / "test" / kind], folder / "ground_truth")
        for image in images:
            mask = read_mask(masks[image], image)
            places.add(detector.anomaly_map(image), mask if mask.any() else None)
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
        low, high = interval(next(iter(seeds.values())))
        pixels, seconds, peak = (
            [r[name] for r in some if r[name] is not None] or [float("nan")]
            for name in ("pixel_auroc", "fit_seconds", "peak_mib")
        )
        yield (
            f"{name} {preset}: AUROC {100 * np.mean(means):.1f} ± {100 * np.std(means):.1f} "
            f"({len(seeds)} seeds, {len(some)} fits; 95 % {100 * low:.1f} to {100 * high:.1f}), "
            f"found {np.mean([r['found'] for r in some]):.2f} with "
            f"{sum(r['flagged'] for r in some)} of {sum(r['n']['good'] for r in some)} false, "
            f"pixels {100 * np.mean(pixels):.1f}, fit {np.median(seconds):.0f} s, "
            f"{np.median([r['seconds_per_image'] for r in some]):.3f} s an image, "
            f"{max(peak):.0f} MiB"
        )


def interval(folds: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the 95 % interval of the mean AUROC of folds, by a bootstrap over their parts."""
    rng = np.random.default_rng(0)
    areas: list[list[float]] = []
    for record in folds:
        scores = np.concatenate(list(record["scores"].values()))
        anomalous = np.arange(len(scores)) >= len(record["scores"]["good"])
        members = [
            np.flatnonzero(np.array(record["parts"]) == part)
            for part in sorted(set(record["parts"]))
        ]
        areas.append([])
        while len(areas[-1]) < RESAMPLES:
            chosen = np.concatenate(
                [members[i] for i in rng.integers(len(members), size=len(members))]
            )
            good, bad = (scores[chosen[anomalous[chosen] == side]] for side in (False, True))
            if len(good) and len(bad):
                areas[-1].append(auroc(good, bad))
    low, high = np.quantile(np.mean(areas, axis=0), [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
