"""Time and memory against the number of images, their size, and cores.

    python -m benchmarks.speed.growth --data-dir DATA
        --out benchmarks/results/growth.json [--most 1000000]

Number: folders of PNG files (MNIST, hard links to real files, so that a million fit on a disk) are
scored by ``adacl score`` with an exported model; seconds and peak memory are those of the process.
Size: untrained networks of the preset for square images of 28 to 1,024 pixels, real photographs
enlarged, scored in memory. Cores: the same with one thread and more. A figure is drawn, too.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from adacl.datasets import catalogue
from adacl.datasets.as_folders import write_images
from adacl.deploy.export import export_model
from adacl.runtime import Scorer
from benchmarks.common import adacl, record, seconds
from benchmarks.speed.deploy_speed import untrained

FIGURE = Path(__file__).parents[2] / "docs" / "images" / "growth.png"

SIDES = (28, 64, 128, 256, 512, 1024)
PER_FOLDER = 10_000
ORIGINALS = 2000


def grow(source: list[Path], folder: Path, count: int) -> None:
    """Link files until there are ``count``; those that are there stay."""
    for number in range(sum(1 for _ in folder.rglob("*.png")), count):
        target = folder / f"{number // PER_FOLDER:04d}" / f"{number % PER_FOLDER:05d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(source[number % len(source)])


def by_number(images: np.ndarray, folder: Path, most: int) -> list[dict[str, Any]]:
    untrained(images, folder / "m.adacl")
    export_model(folder / "m.adacl", folder / "m.onnx", dynamic_batch=True)
    write_images(images[:ORIGINALS], [f"{i:05d}" for i in range(ORIGINALS)], folder / "real")
    source = sorted((folder / "real").iterdir())
    found = []
    for count in [10**power for power in range(3, 7) if 10**power <= most]:
        grow(source, folder / "many", count)
        output = folder / "scores.csv"
        arguments = [str(folder / "m.onnx"), str(folder / "many"), "--format", "csv"]
        run = adacl("score", *arguments, "-o", str(output), "--quiet")
        with output.open() as lines:
            scored = sum(1 for _ in lines) - 1
        assert scored == count
        found.append({"images": count, "seconds": run["seconds"], "peak_mib": run["peak_mib"]})
        print(found[-1], flush=True)
    return found


def by_size(photographs: np.ndarray, folder: Path) -> list[dict[str, Any]]:
    found = []
    cores = torch.get_num_threads()
    for side in SIDES:
        count = max(8, min(512, 2**22 // side**2))
        images = np.stack(
            [np.asarray(Image.fromarray(x).resize((side, side))) for x in photographs[:count]]
        )
        model, flops = untrained(images, folder / f"{side}.adacl")
        export_model(folder / f"{side}.adacl", folder / f"{side}.onnx", dynamic_batch=True)
        row: dict[str, Any] = {
            "side": side,
            "mflop_per_image": flops / 1e6,
            "parameters": model.header.training["parameters"],
        }
        for threads in sorted({1, cores}):
            scorer = Scorer(folder / f"{side}.onnx", threads=threads)
            times = [seconds(lambda: scorer.raw(images), 1) for _ in range(6)]  # noqa: B023
            row[f"images_per_s_{threads}_threads"] = round(
                len(images) / statistics.median(times[1:]), 1
            )
        found.append(row)
        print(row, flush=True)
    return found


def draw(results: dict[str, Any], path: Path) -> None:
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    time, memory, size = figure.subplots(1, 3)
    numbers = [row["images"] for row in results["by_number"]]
    time.loglog(numbers, [row["seconds"] for row in results["by_number"]], "o-")
    time.set(xlabel="images in the folder", ylabel="seconds", title="adacl score, time")
    memory.semilogx(numbers, [row["peak_mib"] for row in results["by_number"]], "o-")
    memory.set(xlabel="images in the folder", ylabel="peak MiB", title="adacl score, memory")
    memory.set_ylim(0, 1.25 * max(row["peak_mib"] for row in results["by_number"]))
    sides = [row["side"] for row in results["by_size"]]
    for key in (key for key in results["by_size"][0] if key.startswith("images_per_s")):
        label = key.removeprefix("images_per_s_").replace("_", " ").replace("1 threads", "1 thread")
        size.loglog(sides, [row[key] for row in results["by_size"]], "o-", label=label)
    size.set_xticks(sides, [str(side) for side in sides])
    size.minorticks_off()
    size.set(xlabel="side of the images, pixels", ylabel="images/s", title="scoring in memory")
    size.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    digits, _ = catalogue.load("mnist", "test", arguments.data_dir)
    photographs, _ = catalogue.load("cifar10", "test", arguments.data_dir)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        results = {
            "threads": torch.get_num_threads(),
            "by_size": by_size(photographs, folder),
            "by_number": by_number(digits, folder, arguments.most),
        }
    record(arguments.out, results)
    draw(results, FIGURE)


if __name__ == "__main__":
    main()
