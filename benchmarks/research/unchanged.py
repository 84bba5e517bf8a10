"""Show that a change of the code changes no result: fit detectors and compare their fingerprints.

    python benchmarks/research/unchanged.py --write benchmarks/results/unchanged.json
    python benchmarks/research/unchanged.py --compare benchmarks/results/unchanged.json

Small detectors of every preset are fitted with fixed seeds, for whole images and tiles, arrays
and files, 8 and 16 bits, held-out and cross-fitted thresholds, and video. Of each the SHA-256 of
every tensor of its model file, of scores, heat maps and training history, of its threshold, and of
the graph and initialisers of its exported file is recorded. ``--keep FOLDER`` also saves the
files; ``--read FOLDER`` opens them again, with the code of another day, and compares their scores.

Only the public interface, the command line and the file formats are used. Equality to the last
bit is to be expected on one machine with the same packages only, so these are recorded, too.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import contextlib
import hashlib
import io
import json
import logging
import platform
import runpy
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from PIL import Image
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from adacl import (
    AnomalyDetector,
    Config,
    Scorer,
    VideoAnomalyDetector,
    VideoConfig,
    preset,
)
from adacl.errors import AdaclError

Array = np.ndarray[Any, Any]
Tree = dict[str, Any]

PACKAGES = ("torch", "numpy", "pillow", "scikit-learn", "scipy", "onnx", "onnxruntime")
LATER = {"white", "groups", "defects", "calibrated"}
"""Fields of a form, a threshold or an alarm that came after the record."""
HEADER = ("spec", "tiling", "resize", "threshold", "history", "activation_maxima", "video")
FEW, HELD_OUT = 40, 150
"""Images of a cross-fitted threshold, and of one from held-out images at a rate of 0.1."""


def small(name: str, **changes: Any) -> Config:
    """Return a preset that trains in a second."""
    short = {"training__epochs": 3, "training__min_epoch_images": 128, "threshold__folds": 2}
    return preset(name).replace(**short | changes)


def digits(digit: int, dtype: str = "uint8") -> Array:
    data = load_digits()
    images: Array = data.images[data.target == digit]
    return images.astype("float32") if dtype == "float32" else (images * 15).astype(dtype)


def drawn(count: int, shape: tuple[int, ...], depth: int = 8, seed: int = 0) -> Array:
    """Draw patches, the same in all images, with noise and a bar; every other one has a hole.

    The first half of the images is without holes.
    """
    rng = np.random.default_rng(99)
    height, width = shape[:2]
    cells = rng.integers(60, 160, (-(-height // 8), -(-width // 8), *shape[2:]))
    ground = cells.repeat(8, 0).repeat(8, 1)[:height, :width]
    rng = np.random.default_rng(seed)
    images = ground + rng.integers(-12, 13, (count, *shape))
    for number, image in enumerate(images):
        row, column = rng.integers(height - 8), rng.integers(width - 8)
        image[row : row + 2] += 60
        if number >= count // 2 and number % 2:
            image[row : row + 8, column : column + 8] = 0
    return images.astype(np.uint8) if depth == 8 else (images * 257).astype(np.uint16)


def normal(count: int, shape: tuple[int, ...], depth: int = 8) -> Array:
    return drawn(2 * count, shape, depth)[:count]


def write_files(folder: Path, images: Array, cut: int = 0) -> Path:
    """Write images to two folders, in turn in two formats, every third without its first rows."""
    suffixes = (".png", ".tif") if images.dtype == np.uint16 else (".png", ".bmp")
    for number, image in enumerate(images):
        path = folder / "ab"[number % 2] / f"{number:04d}{suffixes[number // 2 % 2]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[cut if number % 3 == 0 else 0 :]).save(path)
    return folder


@dataclass(frozen=True)
class Case:
    """What a detector is fitted on and asked, and how it is exported."""

    train: Array
    ask: Array
    options: Tree
    files: bool = False
    cut: int = 0
    exports: tuple[str, ...] = ("plain",)
    maps: tuple[Literal["occlusion", "gradient"], ...] = ("occlusion",)


def cases() -> dict[str, Case]:
    threes, others = digits(3), digits(8)[:12]
    rgb, ask_rgb = normal(FEW, (16, 16, 3)), drawn(12, (16, 16, 3), seed=1)
    many = normal(HELD_OUT, (24, 24))
    deep, ask_deep = normal(HELD_OUT, (24, 24), 16), drawn(12, (24, 24), 16, 1)
    colour = normal(FEW, (72, 88, 3))
    ask_colour = drawn(8, (72, 88, 3), seed=1)
    wide, ask_wide = normal(FEW, (40, 56)), drawn(8, (40, 56), seed=1)
    wide_deep = normal(HELD_OUT, (40, 56), 16)
    ask_wide_deep = drawn(8, (40, 56), 16, 1)
    tiled = {"tile": (24, 24), "stride": 16, "top_k": 2}
    shrunk = {"image_size": (16, 16)}
    every = ("plain", "dynamic", "int8")
    both: Any = ("occlusion", "gradient")
    kinds = ["cut_paste", "puzzling", "mix_up", "flip", "shift", "foreign_paste", "blur"]
    kinds += ["noise", "tone", "scar"]
    unusual = small(
        "paper",
        anomalies__weights=dict.fromkeys(kinds, 1.0),
        anomalies__per_image=2,
        labels__scheme="discrete",
        network__head="sigmoid",
        network__batch_norm=True,
        network__pool="average",
        network__blocks=[0, 1],
        network__turns=[0, 2],
        network__scored_views=1,
        training__loss="bce",
        training__optimizer="radam",
        training__schedule="triangular",
        training__cycles=2,
        training__shift=1,
        training__tint=0.1,
        threshold__fpr=0.1,
    )

    def config(name: str, **changes: Any) -> Tree:
        return {"config": small(name, **changes)}

    return {
        "paper_digits": Case(threes, others, {"preset": "paper", "epochs": 2}, False, 0, every),
        "paper_held_out": Case(threes, others, config("paper", threshold__fpr=0.1), maps=both),
        "paper_share": Case(threes, others, config("paper") | {"contamination": 0.1}),
        "paper_unusual": Case(many, drawn(12, (24, 24), seed=1), {"config": unusual}),
        "paper_files": Case(
            colour, ask_colour, config("paper"), True, 16, (*every, "resizing"), both
        ),
        "paper_tiles": Case(wide, ask_wide, config("paper") | tiled, True, 0, every, both),
        "paper_tiles_deep": Case(
            wide_deep, ask_wide_deep, config("paper", threshold__fpr=0.1) | tiled, True
        ),
        "aligned_digits": Case(
            digits(3, "float32"), digits(8, "float32")[:12], config("aligned"), False, 0, every
        ),
        "aligned_files_deep": Case(
            deep,
            ask_deep,
            config("aligned", threshold__fpr=0.1) | shrunk,
            True,
            0,
            ("plain", "resizing"),
        ),
        "aligned_tiles": Case(wide, ask_wide, config("aligned") | {"tile": (24, 24)}),
        "varied_colour": Case(rgb, ask_rgb, config("varied"), False, 0, every, both),
        "varied_files": Case(
            normal(HELD_OUT, (24, 20, 3)),
            drawn(8, (24, 20, 3), seed=1),
            config("varied", threshold__fpr=0.1, training__epochs=1) | shrunk,
            True,
            4,
            ("plain", "resizing"),
        ),
        "varied_tiles": Case(
            wide[:20], ask_wide, config("varied", training__epochs=1) | tiled, True
        ),
        "accurate_digits": Case(threes[:60], others, config("accurate", training__epochs=1)),
    }


def walkers(count: int, running: range = range(0), seed: int = 0) -> Array:
    """Squares walk over a noisy ground; in the frames ``running`` they are four times as fast."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(60, 120, (64, 96))
    texture = rng.integers(150, 256, (4, 12, 12))
    top, left = rng.integers(0, 52, 4), rng.integers(0, 96, 4)
    speed = np.array([1, -1, 2, -2])
    frames = np.empty((count, 64, 96), np.uint8)
    for number in range(count):
        frames[number] = ground + rng.integers(-3, 4, ground.shape)
        left = left + speed * (4 if number in running else 1)
        for walker in range(4):
            columns = (left[walker] + np.arange(12)) % 96
            frames[number, top[walker] : top[walker] + 12, columns] = texture[walker].T
    return frames


def write_frames(folder: Path, frames: Array) -> Path:
    folder.mkdir(parents=True)
    for number, image in enumerate(frames):
        Image.fromarray(image).save(folder / f"{number:04d}.png")
    return folder


def sha(*parts: Any) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode())
    return found.hexdigest()


def sha_of(array: Any) -> str:
    array = np.asarray(array, order="C")
    return sha(array.dtype.str, list(array.shape), array.tobytes())


def model_file(path: Path) -> Tree:
    """Fingerprint a model file: each tensor, and what its header says of the model."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    header = json.loads(metadata["adacl"])["header"]
    if "video" in header:  # settings may be added
        header["video"] = {k: v for k, v in header["video"].items() if k != "config"}
    return {
        "tensors": {name: sha_of(tensor) for name, tensor in sorted(load_file(path).items())},
        "header": {name: sha(early(header[name])) for name in HEADER if name in header},
    }


def early(part: Any) -> Any:
    """Return a part of a header without the fields that came after the record."""
    if not isinstance(part, dict):
        return part
    return {name: early(value) for name, value in part.items() if name not in LATER}


def graph(path: Path) -> Tree:
    """Fingerprint an exported file's graph, whatever its values between the ends are called."""
    model = onnx.load(path)
    found = model.graph
    ends = [value.name for value in (*found.input, *found.output)]
    names = {"": "", **{name: name for name in ends}}
    tensors = {tensor.name: tensor for tensor in found.initializer}
    used, nodes = [], []
    for node in found.node:
        used += [name for name in node.input if name in tensors and name not in names]
        for name in (*node.input, *node.output):
            names.setdefault(name, f"value {len(names)}")
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        nodes.append(
            [
                node.domain,
                node.op_type,
                [names[name] for name in node.input],
                [names[name] for name in node.output],
                [attribute.SerializeToString(deterministic=True).hex() for attribute in attributes],
            ]
        )
    values = [sha_of(onnx.numpy_helper.to_array(tensors[name])) for name in dict.fromkeys(used)]
    ends_of = [value.SerializeToString(deterministic=True).hex() for value in found.input]
    ends_of += [value.SerializeToString(deterministic=True).hex() for value in found.output]
    return {
        "opset": [[entry.domain, entry.version] for entry in model.opset_import],
        "ends": sha(ends_of),
        "nodes": len(nodes),
        "nodes_sha256": sha(nodes),
        "initialisers": len(values),
        "initialisers_sha256": sha(values),
    }


def adacl(*arguments: object) -> str:
    """Run the command line in this process and return what it prints."""
    printed, before = io.StringIO(), sys.argv
    sys.argv = ["adacl", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(printed):
            runpy.run_module("adacl", run_name="__main__")
    except SystemExit as leaving:
        if leaving.code:
            raise RuntimeError(f"{' '.join(sys.argv)}: exit code {leaving.code}") from None
    finally:
        sys.argv = before
    return printed.getvalue()


def export(model: Path, folder: Path, name: str, size: tuple[int, ...]) -> Path:
    """Export a model file in one of four ways; ``size`` is that of the images to score."""
    flags = {
        "plain": [],
        "dynamic": ["--dynamic-batch"],
        "int8": ["--int8"],
        "resizing": ["--input-size", "x".join(map(str, size[:2]))],
    }
    adacl("export", model, folder / f"{name}.onnx", "--quiet", *flags[name])
    return folder / f"{name}.onnx"


@dataclass
class Epochs:
    """Take down the epochs of a fit; ``leave_after`` interrupts it after so many."""

    leave_after: int = 0
    seen: list[Any] = field(default_factory=list)

    def __call__(self, stage: str, record: Any) -> None:
        """Take down an epoch, as a detector asks for."""
        self.seen.append([stage, record.epoch, record.loss, record.validation_auroc])
        if len(self.seen) == self.leave_after:
            raise InterruptedFitError


class InterruptedFitError(Exception):
    """The fit was left on purpose."""


def image_scores(path: Path, ask: Any) -> tuple[float, list[float]]:
    """Open a model file or an exported one; return its threshold and the scores of images."""
    scorer = (
        Scorer(path, threads=1)
        if path.suffix == ".onnx"
        else AnomalyDetector.load(path, device="cpu")
    )
    return float(scorer.threshold_), scorer.score_samples(ask).tolist()


def video_scores(path: Path, footage: Path) -> tuple[float, list[float]]:
    detector = VideoAnomalyDetector.load(path, device="cpu", frame_rate=10)
    scores = list(detector.score(footage))
    raw, smoothed = [score.raw for score in scores], [score.smoothed for score in scores]
    return detector.alarm.threshold, raw + smoothed


Scores = Callable[[Path, Any], tuple[float, list[float]]]


def asked(paths: list[Path], scores: Scores, ask: Any) -> tuple[Tree, Tree]:
    """Return the scores that some files give, and fingerprints of the files and the scores."""
    values, found = {}, {}
    for path in paths:
        threshold, listed = scores(path, ask)
        values[path.name] = {"threshold": threshold, "scores": listed}
        found[path.name] = {
            "threshold": threshold.hex(),
            "scores": sha_of(np.array(listed)),
            **(graph(path) if path.suffix == ".onnx" else model_file(path)),
        }
    return values, found


def image_case(case: Case, folder: Path, scratch: Path) -> Tree:
    train: Any = case.train
    if case.files:
        train = write_files(scratch / "train", case.train, case.cut)
        (train / "broken.png").write_bytes(b"not an image")
    epochs = Epochs()
    options: Tree = {"device": "cpu", "random_state": 5, "on_error": "skip", **case.options}
    detector = AnomalyDetector(on_epoch=epochs, **options).fit(train)
    model = folder / "model.adacl"
    detector.save(model)
    ask: Any = case.ask
    if case.files:
        ask = write_files(folder / "ask", case.ask)
    else:
        np.save(folder / "ask.npy", case.ask)
    exported = [export(model, folder, name, case.ask.shape[1:]) for name in case.exports]
    values, found = asked([model, *exported], image_scores, ask)
    (folder / "scores.json").write_text(json.dumps(values))
    found["epochs"] = sha(epochs.seen)
    found["decisions"] = sha_of(detector.decision_function(ask))
    if case.files:
        again = sorted(path for path in scratch.rglob("?/*") if path.is_file())[:12]
        records = [[r.raw, r.score, r.tile, r.trained_on] for r in detector.score_files(again)]
        found["trained_on"] = sha(records)
    for method in case.maps:
        last = sorted(ask.rglob("?/*"))[-1] if case.files else ask[-1]
        found[f"map_{method}"] = sha_of(detector.anomaly_map(last, method))
    return found


def video_case(video: VideoConfig, config: Config, folder: Path, scratch: Path) -> Tree:
    train = write_frames(scratch / "train" / "one", walkers(120)).parent
    write_frames(scratch / "train" / "two", walkers(90, seed=1))
    ask = write_frames(folder / "footage", walkers(50, range(25, 35), seed=2))
    epochs = Epochs()
    detector = VideoAnomalyDetector(
        video, config, frame_rate=10, device="cpu", random_state=5, on_epoch=epochs
    ).fit(train)
    model = folder / "model.adacl"
    detector.save(model)
    exported = export(model, folder, "plain", ())
    values, found = asked([model, exported], video_scores, ask)
    (folder / "scores.json").write_text(json.dumps(values))
    found["epochs"] = sha(epochs.seen)
    found["tiles"] = sha_of(np.array([score.tiles for score in detector.score(ask)]))
    events = [[e.first, e.last, e.peak, e.score] for e in detector.events(ask)]
    found["events"] = sha(events)
    return found


def interrupted_case(folder: Path, scratch: Path) -> Tree:
    """Interrupt a fit, keep its checkpoints, and continue it: nothing may differ."""
    options: Tree = {"config": small("aligned", training__epochs=3)}
    options |= {"device": "cpu", "random_state": 5}
    images = digits(3)[:60]
    np.save(folder / "train.npy", images)
    with contextlib.suppress(InterruptedFitError):
        AnomalyDetector(checkpoints=folder / "checkpoints", on_epoch=Epochs(4), **options).fit(
            images
        )
    undisturbed = AnomalyDetector(**options).fit(images)
    undisturbed.save(folder / "model.adacl")
    found = resumed(folder, scratch)
    if found["tensors"] != model_file(folder / "model.adacl")["tensors"]:
        raise SystemExit("a fit that was interrupted differs from one that was not")
    return found


def resumed(folder: Path, scratch: Path) -> Tree:
    """Continue the fit that was interrupted after its fourth epoch."""
    shutil.copytree(folder / "checkpoints", scratch / "checkpoints")
    epochs = Epochs()
    config = small("aligned", training__epochs=3)
    detector = AnomalyDetector(
        config=config,
        device="cpu",
        random_state=5,
        checkpoints=scratch / "checkpoints",
        on_epoch=epochs,
    ).fit(np.load(folder / "train.npy"))
    detector.save(scratch / "model.adacl")
    return {"epochs": sha(epochs.seen), "trained": len(epochs.seen)} | model_file(
        scratch / "model.adacl"
    )


def command_line_case(folder: Path, scratch: Path) -> Tree:
    train = write_files(scratch / "train", normal(FEW, (40, 56)))
    good = write_files(scratch / "good", normal(FEW, (40, 56))[:20])
    bad = write_files(scratch / "bad", drawn(40, (40, 56), seed=1)[21::2])
    model = scratch / "model.adacl"
    quick = ["--set", "training.min_epoch_images=128", "--device", "cpu", "--quiet"]
    printed = adacl(
        *["fit", train, "-o", model, "--preset", "paper", "--epochs", 1, "--seed", 7, "--fpr", 0.1],
        *["--tile", "24x24", "--stride", 16, "--top-k", 2, "--add", "scar", "--drop", "rotation"],
        *["--json", *quick],
    )
    fitted = json.loads(printed)
    found: Tree = {"model.adacl": model_file(model)}
    found["fit"] = {name: sha(early(fitted[name])) for name in ("threshold", "validation_auroc")}
    exported = export(model, scratch, "plain", ())
    found["plain.onnx"] = graph(exported)
    for path in (model, exported):
        lines = adacl("score", path, bad, "--format", "jsonl", "--quiet").splitlines()
        names = ("raw_score", "pred_score", "pred_label", "tile")
        records = [[json.loads(line).get(name) for name in names] for line in lines]
        found[f"score {path.name}"] = {"records": len(records), "sha256": sha(records)}
        figures = json.loads(
            adacl("evaluate", path, "--normal", good, "--abnormal", bad, "--json", "--quiet")
        )
        found[f"evaluate {path.name}"] = {name: figures[name] for name in ("auroc", "eer", "fpr")}
    adacl("score", model, bad, "--heatmaps", scratch / "maps", "--quiet")
    maps = [path for path in sorted((scratch / "maps").rglob("*")) if path.is_file()]
    found["heatmaps"] = {"files": len(maps)}
    found["heatmaps"]["sha256"] = sha(*(np.asarray(Image.open(path)).tobytes() for path in maps))
    adacl("calibrate", model, good, "--fpr", 0.2, "-o", scratch / "calibrated.adacl", "--quiet")
    found["calibrated.adacl"] = model_file(scratch / "calibrated.adacl")
    shutil.copy(model, folder / "model.adacl")
    footage = write_frames(scratch / "footage" / "one", walkers(120))
    door = scratch / "door.adacl"
    rate = ["--frame-rate", 10, "--device", "cpu", "--quiet"]
    adacl("video", "fit", footage, "-o", door, "--set", "training.epochs=1", "--seed", 7, *rate)
    found["door.adacl"] = model_file(door)
    lines = adacl("video", "score", door, footage, "--format", "jsonl", *rate).splitlines()
    names = ("raw_score", "smoothed_score", "pred_label", "tile")
    records = [[json.loads(line).get(name) for name in names] for line in lines]
    found["score door.adacl"] = {"records": len(records), "sha256": sha(records)}
    return found


def run(keep: Path, only: str | None) -> Iterator[tuple[str, Tree]]:
    """Fit everything; the files go to ``keep``, a folder for each case."""
    single = small("paper", training__min_epoch_images=512)
    stacks = small("video", training__min_epoch_images=512)
    others: dict[str, Callable[[Path, Path], Tree]] = {
        "video": lambda *folders: video_case(VideoConfig(), stacks, *folders),
        "video_single_frames": lambda *folders: video_case(
            VideoConfig(frames=1, stride=15, gate="background", levels="all"), single, *folders
        ),
        "interrupted": interrupted_case,
        "command_line": command_line_case,
    }
    images = {
        name: lambda *folders, case=case: image_case(case, *folders)
        for name, case in cases().items()
    }
    for name, job in (images | others).items():
        if only not in {None, name}:
            continue
        folder = keep / name
        folder.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as scratch:
            yield name, job(folder, Path(scratch))


def read(keep: Path) -> Iterator[str]:
    """Open the files that an earlier version wrote; yield what differs."""
    count = 0
    for folder in sorted(path.parent for path in keep.glob("*/scores.json")):
        scores: Scores = video_scores if (folder / "footage").is_dir() else image_scores
        given: Any = folder / ("footage" if scores is video_scores else "ask")
        if not given.is_dir():
            given = np.load(folder / "ask.npy")
        for name, expected in json.loads((folder / "scores.json").read_text()).items():
            count += 1
            try:
                threshold, found = scores(folder / name, given)
            except AdaclError as error:
                yield f"{folder.name}/{name}: {error}"
                continue
            if threshold != expected["threshold"]:
                yield f"{folder.name}/{name}: threshold {threshold}, was {expected['threshold']}"
            if found != expected["scores"]:
                apart = np.abs(np.subtract(found, expected["scores"])).max()
                yield f"{folder.name}/{name}: scores differ by up to {apart:.3g}"
    if (keep / "interrupted").is_dir():
        yield from _continued(keep / "interrupted", keep / "record.json")
    print(f"read {count} files", file=sys.stderr)


def _continued(left: Path, record: Path) -> Iterator[str]:
    expected = json.loads(record.read_text())["interrupted"]
    with tempfile.TemporaryDirectory() as scratch:
        try:
            found = resumed(left, Path(scratch))
        except AdaclError as error:
            yield f"interrupted: {error}"
            return
    for part in ("tensors", "trained"):
        yield from differences(expected[part], found[part], f"interrupted/{part}")


def differences(expected: Any, found: Any, where: str = "") -> Iterator[str]:
    """Yield where what was recorded is not found; further entries are passed over."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            yield from differences(value, found.get(name), f"{where}/{name}")
    elif expected != found:
        yield f"{where}: was {expected}, is {found}"


def machine() -> Tree:
    info = Path("/proc/cpuinfo")
    names = [x for x in info.read_text().splitlines() if "model name" in x] if info.exists() else []
    return {
        "processor": names[0].split(":")[1].strip() if names else platform.processor(),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", type=Path, metavar="FILE", help="record the fingerprints")
    what.add_argument("--compare", type=Path, metavar="FILE", help="compare with a record")
    what.add_argument("--read", type=Path, metavar="FOLDER", help="open the files of --keep")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="save models and exports")
    parser.add_argument("--only", metavar="CASE", help="run this case alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    if arguments.read:
        apart = list(read(arguments.read))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            keep = arguments.keep or Path(scratch)
            found = {}
            for name, record in run(keep, arguments.only):
                found[name] = record
                print(f"{name}: {sha(record)[:16]}", file=sys.stderr)
            if not found:
                parser.error(f"--only {arguments.only}: no such case")
            if arguments.keep:
                (keep / "record.json").write_text(json.dumps(found, indent=1) + "\n")
        if arguments.write:
            document = {"machine": machine(), "cases": found}
            arguments.write.write_text(json.dumps(document, indent=1) + "\n")
            return 0
        document = json.loads(arguments.compare.read_text())
        for line in differences(document["machine"], machine(), "machine"):
            print(f"note: {line}", file=sys.stderr)
        recorded = document["cases"]
        wanted = {arguments.only: recorded[arguments.only]} if arguments.only else recorded
        apart = list(differences(wanted, found))
    print("\n".join(apart) or "nothing differs")
    return int(bool(apart))


if __name__ == "__main__":
    sys.exit(main())
