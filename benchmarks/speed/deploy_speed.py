"""Speed of scoring: engines, batches, threads, decoding; as a share of the matrix product.

    python -m benchmarks.speed.deploy_speed --data-dir DATA
        --out benchmarks/results/deploy_speed.json

The network is the preset's, its weights random: they make no difference to the time. Every
repetition alternates a large matrix product, by the faster of two libraries, and all that is timed;
figures are medians over the repetitions, shares are taken within each. FLOPs are those of the
network's products and convolutions. Folders hold PNG files of the test split, in the page cache.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch.utils.flop_counter import FlopCounterMode

from adacl.config import Config
from adacl.data.folders import ImageFiles
from adacl.data.samples import Samples
from adacl.datasets import catalogue
from adacl.datasets.as_folders import write_images
from adacl.deploy.export import export_model
from adacl.detector import AnomalyDetector
from adacl.imaging.spec import ImageSpec
from adacl.model.file import save_model
from adacl.model.header import ModelHeader
from adacl.model.history import EpochRecord, History
from adacl.model.model import Model
from adacl.model.threshold import Threshold
from adacl.networks.regressor import Regressor
from adacl.runtime import Scorer
from adacl.training.activations import activation_maxima
from benchmarks.common import record, seconds, timed

SIDE = 2048
BATCHES = (1, 16, 64, 256, 2048)
FILES = 4000


def untrained(images: np.ndarray, path: Path) -> tuple[Model, float]:
    """Write a model of the preset with random weights; return it and its FLOPs per image."""
    config = Config()
    spec = ImageSpec(*images.shape[1:])
    network = Regressor(config.network, spec.channels, spec.height, spec.width).eval()
    network.to(memory_format=torch.channels_last)
    network.mean.fill_(images.mean() / 255)
    network.std.fill_(images.std() / 255)
    epoch = EpochRecord(0, 0.1, 0.9, {"rotation": 0.9}, 1e-3, 1.0)
    header = ModelHeader(
        spec,
        config,
        None,
        images.shape[1:3],
        Threshold(0.5, "manual"),
        History([epoch], 0),
        {"parameters": sum(p.numel() for p in network.parameters())},
        activation_maxima(network, Samples(images[:512], spec), config.anomalies, 0),
    )
    model = Model(network, header)
    save_model(model, path)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(spec.to_tensor(images[:8], torch.device("cpu")))
    return model, counter.get_total_flops() / 8


def matrix_product(threads: int) -> float:
    """Return the FLOP/s of a large matrix product, by PyTorch's library or numpy's, the better."""
    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    x, y = a.numpy(), b.numpy()
    with threadpool_limits(threads):
        times = seconds(lambda: torch.mm(a, b), 2), seconds(lambda: x @ y, 2)
    return 2 * SIDE**3 / min(times)


def engines(model: Model, folder: Path, threads: int) -> dict[str, Callable[[np.ndarray], Any]]:
    found: dict[str, Callable[[np.ndarray], Any]] = {"PyTorch float32": model.raw}
    for precision in ("float32", "int8"):
        file = folder / f"{precision}.onnx"
        export_model(folder / "m.adacl", file, dynamic_batch=True, int8=precision == "int8")
        for backend in ("onnxruntime", "openvino"):
            scorer = Scorer(file, backend=backend, threads=threads)
            found[f"{backend} {precision}"] = scorer.raw
    return found


def latency(run: Callable[[Any], Any], image: Any, times: int) -> list[float]:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        run(image)
        found.append(1e3 * (time.perf_counter() - started))
    return found


def measure(name: str, images: np.ndarray, threads: int, repetitions: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model, flops = untrained(images, folder / "m.adacl")
        runs = engines(model, folder, threads)
        rates: dict[tuple[str, int], list[float]] = {}
        shares: dict[tuple[str, int], list[float]] = {}
        single: dict[str, list[float]] = {engine: [] for engine in runs}
        products = []
        for repetition in range(repetitions + 1):
            product = matrix_product(threads)
            for engine, run in runs.items():
                for batch in BATCHES:
                    slow = engine.startswith("PyTorch") and batch == 1
                    times = max(1, (128 if slow else 2048) // batch)
                    rate = batch / seconds(functools.partial(run, images[:batch]), times)
                    if repetition:
                        rates.setdefault((engine, batch), []).append(rate)
                        shares.setdefault((engine, batch), []).append(rate * flops / product)
                if repetition:
                    single[engine] += latency(run, images[:1], 200)
            if repetition:
                products.append(product)
    found: dict[str, Any] = {}
    for engine in runs:
        speed = {batch: statistics.median(rates[engine, batch]) for batch in BATCHES}
        best = max(speed, key=lambda batch: speed[batch])
        found[engine] = {
            "images_per_s": {str(batch): round(rate) for batch, rate in speed.items()},
            "best_batch": best,
            "share_of_matrix_product": spread(shares[engine, best]),
            "latency_ms": {
                "p50": round(float(np.percentile(single[engine], 50)), 4),
                "p99": round(float(np.percentile(single[engine], 99)), 4),
            },
        }
        print(name, threads, engine, found[engine], flush=True)
    return {
        "data": name,
        "threads": threads,
        "mflop_per_image": flops / 1e6,
        "matrix_product_gflops": statistics.median(products) / 1e9,
        "engines": found,
    }


def folders(name: str, images: np.ndarray, threads: int, repetitions: int) -> dict[str, Any]:
    """Score PNG files: PyTorch, and the runtime with either engine."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        untrained(images, folder / "m.adacl")
        write_images(images[:FILES], [f"{i:05d}" for i in range(FILES)], folder / "png")
        files = ImageFiles(folder / "png")
        detector = AnomalyDetector.load(folder / "m.adacl")
        runs: dict[str, Callable[[], Any]] = {
            "decoding alone": lambda: sum(1 for _ in decode(files, images.shape[3], threads)),
        }
        if threads > 1:  # PyTorch's decoders take all processors
            runs["PyTorch float32"] = lambda: list(detector.score_files(files))
        for engine, precision in (("onnxruntime", "float32"), ("openvino", "int8")):
            target = folder / f"{precision}.onnx"
            export_model(folder / "m.adacl", target, dynamic_batch=True, int8=precision == "int8")
            scorer = Scorer(target, backend=engine, threads=threads)
            runs[f"{engine} {precision}"] = functools.partial(consume, scorer, files)
        times: dict[str, list[float]] = {engine: [] for engine in runs}
        for _ in range(repetitions + 1):
            for engine, run in runs.items():
                times[engine].append(seconds(run, 1))
    found = {k: round(FILES / statistics.median(v[1:])) for k, v in times.items()}
    print(name, threads, "from folders", found, flush=True)
    return {"data": name, "threads": threads, "files": FILES, "files_per_s": found}


def consume(scorer: Scorer, files: ImageFiles) -> None:
    for _ in scorer.score_files(files):
        pass


def decode(files: ImageFiles, channels: int, threads: int) -> Any:
    from adacl.data.images import read_image
    from adacl.data.reading import stream

    return stream(files, functools.partial(read_image, channels=channels), workers=threads)


def start_up(images: np.ndarray) -> dict[str, float]:
    """Time ``adacl score`` with one image, from start to end of the process."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        untrained(images, folder / "m.adacl")
        export_model(folder / "m.adacl", folder / "m.onnx")
        write_images(images[:1], ["image"], folder / "png")
        found: dict[str, list[float]] = {}
        for _ in range(9):
            for file in ("m.onnx", "m.adacl"):
                run = timed("-m", "adacl", "score", str(folder / file), str(folder / "png"), "-q")
                found.setdefault(f"adacl score {file}", []).append(run["seconds"])
            found.setdefault("adacl --help", []).append(timed("-m", "adacl", "--help")["seconds"])
    return {command: statistics.median(values) for command, values in found.items()}


def one_image(images: np.ndarray) -> dict[str, Any]:
    """Time a call of ``Scorer`` with one image: from pixels, and from a PNG file."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        untrained(images, folder / "m.adacl")
        write_images(images[:200], [f"{i:03d}" for i in range(200)], folder / "png")
        files = list(ImageFiles(folder / "png"))
        found: dict[str, Any] = {}
        for precision in ("float32", "int8"):
            export_model(folder / "m.adacl", folder / "m.onnx", int8=precision == "int8")
            scorer = Scorer(folder / "m.onnx", threads=1)
            for source, inputs in (("pixels", list(images[:200])), ("PNG file", files)):
                times: list[float] = []
                for _ in range(6):
                    for image in inputs:
                        times += latency(scorer, image, 1)
                found[f"{precision}, {source}"] = {
                    "p50_ms": round(float(np.percentile(times[200:], 50)), 4),
                    "p99_ms": round(float(np.percentile(times[200:], 99)), 4),
                }
    return found


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    cores = torch.get_num_threads()
    results: dict[str, Any] = {"in_memory": [], "from_folders": []}
    for name in ("mnist", "cifar10"):
        images, _ = catalogue.load(name, "test", arguments.data_dir)
        for threads in sorted({1, cores}):
            results["in_memory"].append(measure(name, images, threads, arguments.repetitions))
            results["from_folders"].append(folders(name, images, threads, 3))
    results["one_cifar10_image_ms"] = one_image(images)
    results["start_up_seconds"] = start_up(images)
    print(results["one_cifar10_image_ms"], results["start_up_seconds"])
    record(arguments.out, results)


if __name__ == "__main__":
    main()
