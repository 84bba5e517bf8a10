"""Speed and size of other detectors on the same images, measured in turn with ours.

    python -m benchmarks.speed.rivals --data-dir DATA [--dataset mnist cifar10] --out FILE

PyOD's deep detectors and a one-class SVM learn as in ``adacl bench``. Networks of the shape that
industrial detectors have carry random weights, which is enough to time them but for nothing else;
they see images resized to their published input size.

Every method gets two processes of its own, one for its peak memory, one in which it and adacl take
turns. Where a method is slow it learns from, or scores, fewer images; the result says how many.
Ratios are above 1 where adacl is faster. From 1,495 normal images on, adacl can spare some for its
threshold; with fewer it trains four networks instead of one, and takes four times as long to fit.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import statistics
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adacl.datasets import catalogue
from benchmarks.common import record, timed

Images = NDArray[np.uint8]

SEED = 0
NORMAL = {"mnist": 3, "fashion-mnist": 5, "cifar10": 1}
"""The classes of the main job."""
SHORTEST_SECONDS = 0.3
"""What is faster is repeated until it has taken so long."""
SCORED_AT_ONCE = 1000


class Method(ABC):
    """A detector to be measured: ``fit``, ``score`` and ``save``, and what to say of it.

    ``fit_limit`` and ``score_limit`` are how many images it learns from and is timed on, at
    most. PyTorch is imported only by those that need it, for the sake of their peak memory.

    Parameters
    ----------
    total
        Normal images that the fit is to be stated for.
    epochs
        Epochs of adacl; by default those of its preset.
    """

    fit_limit: int | None = None
    score_limit: int | None = None
    fit_note = "measured"
    no_auroc: str | None = None

    def __init__(self, total: int, epochs: int | None = None) -> None:
        self.total, self.epochs = total, epochs

    @abstractmethod
    def fit(self, images: Images) -> None:
        """Learn from normal images N x H x W x C."""

    @abstractmethod
    def score(self, images: Images) -> NDArray[np.float64]:
        """Return a score per image, higher for more anomalous ones."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write all that scoring needs to one file."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return what else to record, once fitted."""

    def whole_fit(self, seconds: float, used: int) -> float:
        """Return the seconds of a whole fit, from those of the fit that was made."""
        return seconds


class Adacl(Method):
    """Our detector, with its default preset."""

    def fit(self, images: Images) -> None:
        """Learn from normal images."""
        from adacl import AnomalyDetector

        self.detector = AnomalyDetector(preset="paper", epochs=self.epochs, random_state=SEED).fit(
            images
        )

    def score(self, images: Images) -> NDArray[np.float64]:
        """Return raw scores."""
        return -self.detector.score_samples(images)

    def save(self, path: Path) -> None:
        """Write the model file."""
        self.detector.save(path)

    def facts(self) -> dict[str, Any]:
        """Count the weights."""
        from adacl.networks.regressor import count_parameters

        parameters = count_parameters(self.detector.model_.network)
        return {"parameters": parameters, "input": "as they are"}


class AdaclOnnx(Adacl):
    """The same, exported and scored without PyTorch."""

    int8, backend = False, "onnxruntime"

    def fit(self, images: Images) -> None:
        """Learn from normal images, and export."""
        from adacl.deploy.export import export_model
        from adacl.runtime import Scorer

        super().fit(images)
        with tempfile.TemporaryDirectory() as folder:
            model, exported = Path(folder) / "m.adacl", Path(folder) / "m.onnx"
            self.detector.save(model)
            export_model(model, exported, dynamic_batch=True, int8=self.int8)
            self.content = exported.read_bytes()
            self.scorer = Scorer(exported, backend=self.backend)

    def score(self, images: Images) -> NDArray[np.float64]:
        """Return raw scores."""
        return -self.scorer.score_samples(images)

    def save(self, path: Path) -> None:
        """Write the exported file."""
        path.write_bytes(self.content)


class AdaclInt8(AdaclOnnx):
    """The same in 8 bits, by OpenVINO."""

    int8, backend = True, "openvino"


class OfProtocol(Method):
    """A rival of the protocol, as ``adacl bench`` runs it; ``module`` is its name there."""

    module: str

    def fit(self, images: Images) -> None:
        """Learn from normal images."""
        from adacl.protocols.image import rivals

        self.fitted = rivals.get(self.module).fit(images, SEED)

    def score(self, images: Images) -> NDArray[np.float64]:
        """Return the rival's own scores."""
        return self.fitted.score(images)

    def save(self, path: Path) -> None:
        """Dump the detector that the scoring function holds."""
        import joblib

        (detector,) = inspect.getclosurevars(self.fitted.score).nonlocals.values()
        joblib.dump(detector, path)

    def facts(self) -> dict[str, Any]:
        """Count the numbers that scoring needs."""
        return {"parameters": self.fitted.parameters, "input": "as they are, flat"}


class DeepSvdd(OfProtocol):
    """PyOD's Deep SVDD."""

    module = "deep_svdd"


class Autoencoder(OfProtocol):
    """PyOD's autoencoder."""

    module = "autoencoder"


class Ocsvm(OfProtocol):
    """scikit-learn's one-class SVM on raw pixels."""

    module = "ocsvm"


class RandomNetwork(Method):
    """A network of :mod:`rival_networks` with random weights."""

    no_auroc = "random weights: timing only"

    @abstractmethod
    def make(self) -> Any:
        """Return the network."""

    def fit(self, images: Images) -> None:
        """Learn what the method learns on top of its weights."""
        import torch

        torch.manual_seed(SEED)
        self.network = self.make()
        self.network.fit(images)

    def score(self, images: Images) -> NDArray[np.float64]:
        """Return the method's image scores, which mean nothing here."""
        return self.network.score(images)

    def save(self, path: Path) -> None:
        """Write the weights, and what was learnt."""
        import torch

        torch.save(self.network.state_dict(), path)

    def facts(self) -> dict[str, Any]:
        """Count weights and other numbers."""
        return {
            "parameters": self.network.count_weights(),
            "stored_numbers": self.network.count_stored(),
            "input": f"{self.network.side}x{self.network.side}x3",
            "batch": self.network.batch,
        }

    def whole_fit(self, seconds: float, used: int) -> float:
        """Extrapolate from the images used to all."""
        constant = self.network.constant_seconds
        return constant + (seconds - constant) * self.total / used


class PatchCore18(RandomNetwork):
    """PatchCore on a ResNet-18."""

    fit_limit, score_limit = 200, 64
    fit_note = (
        "extrapolated linearly in the images; memory of 1 % drawn at random, without the "
        "published greedy search, which would add to it"
    )

    def make(self) -> Any:
        """Return the network."""
        from benchmarks.speed.rival_networks import PatchCore, resnet18

        return PatchCore(resnet18(), self.total)


class PatchCoreWide50(PatchCore18):
    """PatchCore on a WideResNet-50-2."""

    fit_limit, score_limit = 48, 16

    def make(self) -> Any:
        """Return the network."""
        from benchmarks.speed.rival_networks import PatchCore, wide_resnet50

        return PatchCore(wide_resnet50(), self.total)


class PaDiM18(RandomNetwork):
    """PaDiM on a ResNet-18."""

    fit_limit, score_limit = 200, 64
    fit_note = "extrapolated linearly in the images, but for the inverses of the covariances"

    def make(self) -> Any:
        """Return the network."""
        from benchmarks.speed.rival_networks import PaDiM, resnet18

        return PaDiM(resnet18())


class EfficientADSmall(RandomNetwork):
    """EfficientAD-S."""

    fit_limit, score_limit = 8, 8

    def make(self) -> Any:
        """Return the network."""
        from benchmarks.speed.rival_networks import EfficientAD

        steps = (EfficientAD.STEPS, EfficientAD.PUBLISHED_STEPS)
        self.fit_note = "extrapolated from {} training steps to the published {:,}".format(*steps)
        return EfficientAD()

    def whole_fit(self, seconds: float, used: int) -> float:
        """Extrapolate from a few training steps to all."""
        return self.network.step_seconds * self.network.PUBLISHED_STEPS


METHODS: dict[str, type[Method]] = {
    "adacl": Adacl,
    "adacl-onnx": AdaclOnnx,
    "adacl-onnx-int8": AdaclInt8,
    "pyod-deep-svdd": DeepSvdd,
    "pyod-autoencoder": Autoencoder,
    "ocsvm": Ocsvm,
    "efficientad-s": EfficientADSmall,
    "padim-resnet18": PaDiM18,
    "patchcore-resnet18": PatchCore18,
    "patchcore-wideresnet50": PatchCoreWide50,
}


def seconds_of(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def rate(method: Method, images: Images) -> float:
    """Return images scored per second."""
    calls, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < SHORTEST_SECONDS:
        method.score(images)
        calls += 1
    return calls * len(images) / elapsed


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def short(value: float) -> str:
    """Return a number with three digits, or whole."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def auroc_of(method: Method, images: Images, labels: NDArray[Any], normal: int) -> float:
    from adacl.metrics import auroc

    starts = range(0, len(images), SCORED_AT_ONCE)
    scores = np.concatenate([method.score(images[i : i + SCORED_AT_ONCE]) for i in starts])
    return auroc(scores[labels == normal], scores[labels != normal])


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Write the images of a data set where the other processes find just those they need."""
    folder = Path(task["folder"])
    images, labels = catalogue.load(task["dataset"], "train", task["data_dir"])
    normal = images[labels == task["normal_class"]][: task["fit_images"]]
    np.save(folder / "normal.npy", normal)
    images, labels = catalogue.load(task["dataset"], "test", task["data_dir"])
    np.save(folder / "test.npy", images)
    np.save(folder / "labels.npy", labels)
    states = {file["state"] for file in catalogue.verify(task["dataset"], task["data_dir"])}
    return {
        "image_shape": list(images.shape[1:]),
        "files": "official" if states == {"official"} else "not the official ones (a lossy copy?)",
        "fit_images": len(normal),
        "auroc_images": len(images),
    }


def load(task: dict[str, Any], method: Method) -> tuple[Images, Images]:
    """Return the images that a method learns from and those that it is timed on."""
    folder = Path(task["folder"])
    normal = np.load(folder / "normal.npy", mmap_mode="r")[: method.fit_limit]
    test = np.load(folder / "test.npy", mmap_mode="r")[: task["score_images"]]
    return np.array(normal), np.array(test[: method.score_limit])


def memory(task: dict[str, Any]) -> dict[str, Any]:
    """Fit, score and save once, and nothing else; the caller sees the peak."""
    method = METHODS[task["method"]](task["fit_images"], task["epochs"])
    normal, test = load(task, method)
    method.fit(normal)
    method.score(test)
    path = Path(task["folder"]) / "model"
    method.save(path)
    return method.facts() | {"file_bytes": path.stat().st_size}


def speed(task: dict[str, Any]) -> dict[str, Any]:
    """Fit adacl and the method, then let them score in turn."""
    import torch

    folder, sizes = Path(task["folder"]), (task["fit_images"], task["epochs"])
    ours, method = Adacl(*sizes), METHODS[task["method"]](*sizes)
    our_normal, our_test = load(task, ours)
    normal, test = load(task, method)
    alone = task["method"] == "adacl"
    our_seconds = seconds_of(lambda: ours.fit(our_normal))
    used_seconds = our_seconds
    if alone:
        method = ours
    else:
        used_seconds = seconds_of(lambda: method.fit(normal))
    fit_seconds = method.whole_fit(used_seconds, len(normal))
    method.score(test[:8])
    ours.score(our_test)
    our_rates, rates = [], []
    for _ in range(task["repetitions"]):
        our_rates.append(rate(ours, our_test))
        rates.append(our_rates[-1] if alone else rate(method, test))
    result: dict[str, Any] = {
        "fit_seconds": fit_seconds,
        "fit_seconds_note": method.fit_note,
        "fit_seconds_measured": used_seconds,
        "fit_images": len(normal),
        "score_images": len(test),
        "images_per_s": statistics.median(rates),
        "auroc": None,
        "auroc_note": method.no_auroc,
        "threads": torch.get_num_threads(),
    }
    if not alone:
        result["adacl_fit_seconds"] = our_seconds
        result["adacl_images_per_s"] = statistics.median(our_rates)
        result["fit_ratio"] = fit_seconds / our_seconds
        result["ratio"] = spread([a / b for a, b in zip(our_rates, rates, strict=True)])
    if not method.no_auroc:
        images, labels = np.load(folder / "test.npy"), np.load(folder / "labels.npy")
        result["auroc"] = auroc_of(method, images, labels, task["normal_class"])
    return result


STAGES = {"prepare": prepare, "memory": memory, "speed": speed}


def run(stage: str, **task: Any) -> dict[str, Any]:
    """Run a stage in a process of its own."""
    process = timed("-m", __spec__.name, stage, json.dumps(task))
    return json.loads(process["output"].splitlines()[-1]) | {"peak_mib": process["peak_mib"]}


def compare(methods: list[str], **task: Any) -> dict[str, Any]:
    """Measure methods on one data set."""
    with tempfile.TemporaryDirectory() as folder:
        facts = run("prepare", folder=folder, **task)
        del facts["peak_mib"]
        task |= {"folder": folder, "fit_images": facts["fit_images"]}
        found = {}
        for method in methods:
            print(f"{task['dataset']}: {method}", file=sys.stderr, flush=True)
            once = run("memory", method=method, **task)
            found[method] = run("speed", method=method, **task) | once | {"pretrained": False}
    names = ("dataset", "normal_class", "score_images", "repetitions")
    return {name: task[name] for name in names} | facts | {"methods": found}


def table(result: dict[str, Any]) -> str:
    """Return the figures of one data set as a table of text."""
    columns = ("parameters", "file MB", "fit s", "fit ×", "images/s", "× (min–max)", "MiB", "AUROC")
    line = "{:<23}{:>11}{:>9}{:>10}{:>11}{:>10}{:>22}{:>7}{:>7}".format
    lines = [line(f"{result['dataset']} {result['normal_class']}", *columns)]
    for name, entry in result["methods"].items():
        ratio, auroc = entry.get("ratio"), entry["auroc"]
        low_high = [short(ratio[key]) for key in ("median", "min", "max")] if ratio else []
        figures = (
            f"{entry['parameters']:,}",
            f"{entry['file_bytes'] / 1e6:.2f}",
            short(entry["fit_seconds"]),
            short(entry["fit_ratio"]) if ratio else "–",
            short(entry["images_per_s"]),
            "{} ({}–{})".format(*low_high) if ratio else "–",
            entry["peak_mib"],
            "–" if auroc is None else f"{auroc:.3f}",
        )
        lines.append(line(name, *figures))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dataset", nargs="+", choices=sorted(NORMAL), default=["mnist"])
    parser.add_argument("--normal-class", type=int, help="default: that of the main job")
    parser.add_argument("--fit-images", type=int, default=1500, help="1495 or more, see above")
    parser.add_argument("--score-images", type=int, default=512)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--methods", default=",".join(METHODS), help="names, with commas between")
    parser.add_argument("--threads", type=int, help="default: as PyTorch chooses")
    parser.add_argument("--epochs", type=int, help="of adacl; few, to try out this script")
    arguments = parser.parse_args()
    methods = arguments.methods.split(",")
    if unknown := set(methods) - set(METHODS):
        parser.error(f"unknown methods {', '.join(sorted(unknown))}; known: {', '.join(METHODS)}")
    if arguments.threads:
        os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    results: dict[str, Any] = {"seed": SEED, "pyod": version("pyod"), "runs": []}
    for dataset in arguments.dataset:
        chosen = arguments.normal_class
        result = compare(
            methods,
            dataset=dataset,
            data_dir=arguments.data_dir,
            normal_class=NORMAL[dataset] if chosen is None else chosen,
            fit_images=arguments.fit_images,
            score_images=arguments.score_images,
            repetitions=arguments.repetitions,
            epochs=arguments.epochs,
        )
        results["runs"].append(result)
        print(table(result), flush=True)
    record(arguments.out, results)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in STAGES:
        print(json.dumps(STAGES[sys.argv[1]](json.loads(sys.argv[2]))))
    else:
        main()
