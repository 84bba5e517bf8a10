"""How fast a model of parts and surfaces is fitted and, exported, scores with its map.

    python -m benchmarks.speed.inspection_speed GOOD_DIR

The first of the images is resized to the sides that are measured. One record goes to
``benchmarks/results/inspection_speed.json``. The figures count both outputs, score and map, unless
they say otherwise.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from adacl.data.folders import list_images
from adacl.deploy.engines import open_backend
from adacl.deploy.export import export_model
from adacl.runtime import Scorer
from benchmarks.common import RESULTS, adacl, record

SIZES = {256: 8, 1024: 1}
"""Side of the images to how many are scored at once."""
SECONDS = 12.0
ROUNDS = 5
FILES = 200
LARGE = 10_000


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("good", type=Path, help="folder of good images")
    arguments = parser.parse_args()
    image = list_images(arguments.good)[0]
    with tempfile.TemporaryDirectory() as folder:
        file, model = Path(folder, "parts.onnx"), Path(folder, "parts.adacl")
        run = adacl("fit", str(arguments.good), "-o", str(model), "--quiet")
        export_model(model, file, dynamic_batch=True)
        found: dict[str, Any] = {
            "fit: images": len(list_images(arguments.good)),
            "fit: seconds": run["seconds"],
            "fit: peak MiB": run["peak_mib"],
            "megabytes": file.stat().st_size / 1e6,
        }
        for threads in (1, 2):
            for side, batch in SIZES.items():
                found[f"{side} pixels, batch {batch}, threads {threads}: images/s"] = throughput(
                    file, image, side, batch, threads
                )
        found |= one_file(file, image, Path(folder))
        found |= large(file, model, image, Path(folder))
    record(RESULTS / "inspection_speed.json", found)
    print(found)


def large(file: Path, model: Path, image: Path, folder: Path) -> dict[str, float]:
    """Return seconds and peak MiB of ``adacl score`` for an image of 100 megapixels."""
    pixels = np.asarray(Image.open(image).convert("L"))
    times = [-(-LARGE // side) for side in pixels.shape]
    picture = folder / "large.png"
    Image.fromarray(np.tile(pixels, times)[:LARGE, :LARGE]).save(picture, compress_level=1)
    found: dict[str, float] = {}
    for name, scored in (("exported", file), ("PyTorch", model)):
        run = adacl("score", str(scored), str(picture), "--quiet")
        found[f"100 megapixels, {name}: seconds"] = run["seconds"]
        found[f"100 megapixels, {name}: peak MiB"] = run["peak_mib"]
    return found


def throughput(file: Path, image: Path, side: int, batch: int, threads: int) -> float:
    """Return the images a second, the median of some rounds; score and map are both computed."""
    pixels = np.asarray(Image.open(image).resize((side, side)))
    images = np.repeat(pixels.reshape(1, side, side, -1), batch, 0)
    score = open_backend("onnxruntime", file.read_bytes(), threads)
    rates = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(ROUNDS):
            started, done = time.perf_counter(), 0
            while time.perf_counter() - started < SECONDS / ROUNDS:
                calls = [pool.submit(score, images, "anomaly_map") for _ in range(2 * threads)]
                done += sum(len(call.result()) for call in calls)
            rates.append(done / (time.perf_counter() - started))
    return median(rates)


def one_file(file: Path, image: Path, folder: Path) -> dict[str, float]:
    """Return milliseconds from a file of 256 x 256 pixels to its score, two threads."""
    picture = folder / "part.png"
    Image.open(image).resize((256, 256)).save(picture)
    scorer = Scorer(file, threads=2)
    times = []
    for _ in range(FILES):
        started = time.perf_counter()
        list(scorer.score_files([picture]))
        times.append(1000 * (time.perf_counter() - started))
    return {
        "one file: median ms": median(times),
        "one file: 99th percentile ms": float(np.quantile(times, 0.99)),
    }


if __name__ == "__main__":
    main()
