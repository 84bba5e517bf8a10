"""Score very many thumbnails: `adacl scale score` against `adacl score`, and what 10⁸ would take.

    python -m benchmarks.speed.scale --data-dir DATA --folder DIR --out FILE

DIR is filled once with a million images of 28x28 pixels, a thousand in each folder, and used again.
``compare`` runs the commands on the first ``--images`` of them in turn, ``million`` both engines on
all, ``memory`` the local engine on more and more, ``listing`` lists all, ``parts`` times what a run
is made of, from which :func:`predicted` says what a larger one takes. Peak memory is that of the
largest process.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import shutil
import statistics
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from adacl.datasets import catalogue
from adacl.datasets.as_folders import write_images
from adacl.scale import manifest
from adacl.scale.engines import Engine, run
from adacl.scale.parts import Row, write_part
from adacl.scale.scoring import ScoringRun
from adacl.scale.shard import score_shard
from adacl.scale.storage import Folder
from benchmarks.common import adacl, record

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "scale-memory.png"

DIGIT = 3
ALL = 1_000_000
IN_FOLDER = 1_000
COMPARED = (
    ("local, 1 worker", "score, 1 reader"),
    ("local, 2 workers", "score, 2 readers"),
    ("local, 2 workers", "local, 1 worker"),
    ("ray, 2 workers", "local, 2 workers"),
)
STEPS = ("compare", "million", "memory", "listing", "parts")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", default=",".join(STEPS))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    images, labels = catalogue.load("mnist", "train", given.data_dir)
    fill(given.folder, images)
    results = json.loads(given.out.read_text())["results"] if given.out.exists() else {}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        model = exported(work, images[labels == DIGIT][:1200])
        few = work / "few"
        few.mkdir()
        for folder in sorted(given.folder.iterdir())[: given.images // IN_FOLDER]:
            (few / folder.name).symlink_to(folder, target_is_directory=True)
        steps = {
            "compare": lambda: compared(work, model, few, given.images, given.rounds),
            "million": lambda: compared(work, model, given.folder, ALL, 1, ("local, 2", "ray")),
            "memory": lambda: memory(work, model, given.folder),
            "listing": lambda: listing(work, given.folder, given.rounds),
            "parts": lambda: parts(work, model, few),
        }
        for name in given.steps.split(","):
            results[name] = steps[name]()
            results["packages"] = {name: version(name) for name in ("ray", "pyarrow", "fsspec")}
            record(given.out, results)
            print(name, json.dumps(results[name]), flush=True)
    if "parts" in results and "listing" in results:
        results["predicted"] = predicted(results)
        record(given.out, results)
    if "memory" in results:
        draw(results["memory"])


def fill(folder: Path, images: Any) -> None:
    """Write a million images into a folder that has none."""
    if folder.exists():
        return
    contents = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.squeeze()).save(file, "png")
        contents.append(file.getvalue())
    for number in range(ALL):
        inside = folder / f"{number // IN_FOLDER:04}"
        inside.mkdir(parents=True, exist_ok=True)
        (inside / f"{number:07}.png").write_bytes(contents[number % len(contents)])


def exported(work: Path, normal: Any) -> Path:
    """Fit a model of one digit and export it."""
    write_images(normal, map(str, range(len(normal))), work / "normal")
    fitted, model = work / "digit.adacl", work / "digit.onnx"
    adacl("fit", str(work / "normal"), "-o", str(fitted), "--epochs", "1", "--quiet")
    adacl("export", str(fitted), str(model), "--dynamic-batch")
    return model


def compared(
    work: Path, model: Path, few: Path, count: int, rounds: int, only: tuple[str, ...] = ("",)
) -> dict[str, Any]:
    """Score the same images by each command in turn; images a second, start-up included."""
    scale = ("scale", "score", str(model), str(few), "--quiet", "--out")
    csv = ("--format", "csv", "--quiet", "-o", str(work / "scores.csv"))
    commands = {
        "score, 1 reader": ("score", str(model), str(few), "--readers", "1", *csv),
        "score, 2 readers": ("score", str(model), str(few), "--readers", "2", *csv),
        "local, 1 worker": (*scale, str(work / "out"), "--workers", "1"),
        "local, 2 workers": (*scale, str(work / "out"), "--workers", "2"),
        "ray, 2 workers": (*scale, str(work / "out"), "--engine", "ray", "--workers", "2"),
    }
    commands = {name: words for name, words in commands.items() if name.startswith(only)}
    rates: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds):
        for name, command in list(commands.items())[:: 1 if turn % 2 else -1]:
            rates[name].append(round(count / adacl(*command)["seconds"], 1))
            shutil.rmtree(work / "out", ignore_errors=True)

    ratios = {
        f"{one} / {other}": round(
            statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True)), 3
        )
        for one, other in COMPARED
        if one in rates and other in rates
    }
    return {"images": count, "images_per_second": rates, "median_of_ratios": ratios}


def memory(work: Path, model: Path, folder: Path) -> list[dict[str, Any]]:
    """Score more and more images, and return seconds and peak memory of each run."""
    found = []
    for count in (10_000, 100_000, ALL):
        some, out = work / f"some-{count}", work / f"out-{count}"
        some.mkdir()
        for inside in sorted(folder.iterdir())[: count // IN_FOLDER]:
            (some / inside.name).symlink_to(inside, target_is_directory=True)
        command = ("scale", "score", str(model), str(some), "--quiet", "--workers", "2")
        done = adacl(*command, "--out", str(out))
        verified = adacl("scale", "verify", str(out), "--json", "--quiet")
        counts = json.loads(verified["output"])
        assert counts["scored"] == count, counts
        found.append(
            {
                "images": count,
                "seconds": done["seconds"],
                "peak_mib": done["peak_mib"],
                "verify_seconds": verified["seconds"],
                "verify_peak_mib": verified["peak_mib"],
            }
        )
    return found


def draw(found: list[dict[str, Any]]) -> None:
    """Draw the peak memory over the number of images."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 2.8), layout="constrained")
    images = [run["images"] for run in found]
    for command, peak in (("score", "peak_mib"), ("verify", "verify_peak_mib")):
        peaks = [run[peak] for run in found]
        axes.plot(images, peaks, marker="o", label=f"adacl scale {command}")
    axes.set(xscale="log", xlabel="images", ylabel="peak memory, MiB", ylim=(0, 300))
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(PICTURE, dpi=110)


def listing(work: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """List all images, the disk being warm; files a second."""
    rates = []
    for turn in range(rounds + 1):
        out = Folder(str(work / f"listed-{turn}"))
        started = time.perf_counter()
        for found in manifest.write_manifest(out, [str(folder)]):
            last = found
        rates.append(round(last.entries / (time.perf_counter() - started)))
    return {"files": last.entries, "files_per_second": rates[1:], "first": rates[0]}


def parts(work: Path, model: Path, few: Path) -> dict[str, float]:
    """Time the parts of a run: a unit of work, writing its results, and what a unit costs Ray."""
    scoring = ScoringRun(str(work / "timed"), model, [str(few)])
    for _ in scoring.listed():
        pass
    shards = scoring.missing()[:3]
    started = time.perf_counter()
    counts = [score_shard(scoring.task, shard) for shard in shards]
    score_seconds = (time.perf_counter() - started) / sum(found.images for found in counts)
    rows = [Row(f"/a/rather/long/path/to/an/image/{n:09}.png", f"{n:032x}") for n in range(20_000)]
    started = time.perf_counter()
    for number in range(5):
        write_part(Folder(str(work / "written")), f"parts/{number}", rows, len(rows), {})
    write_seconds = (time.perf_counter() - started) / 5
    empty = partial(itertools.chain, [])
    units = 500
    started = time.perf_counter()
    outcomes = run(Engine("ray", workers=1), empty, [()] * units)
    next(outcomes)
    first = time.perf_counter()
    assert sum(outcome.error is None for outcome in outcomes) == units - 1
    return {
        "seconds_to_decode_and_score_an_image": score_seconds,
        "seconds_to_write_results_of_20000": write_seconds,
        "seconds_to_start_ray": first - started,
        "seconds_ray_takes_for_a_unit": (time.perf_counter() - first) / units,
    }


def predicted(results: dict[str, Any], images: float = 1e8, cores: int = 1600) -> dict[str, Any]:
    """Return what a run on 100 machines of 16 cores takes, thumbnails on a disk they share.

    Listing is done by one process, before; scoring is shared by all cores, and the last unit of
    work ends alone; the counts of all results are read once by one process, at the rate at which
    ``verify`` read them here.
    """
    part, memory = results["parts"], results["memory"][-1]
    units = images / manifest.SHARD_IMAGES
    image = part["seconds_to_decode_and_score_an_image"]
    unit = manifest.SHARD_IMAGES * image + part["seconds_to_write_results_of_20000"]
    hours = {
        "listing": images / np.median(results["listing"]["files_per_second"]) / 3600,
        "scoring": (np.ceil(units / cores) * unit + part["seconds_to_start_ray"]) / 3600,
        "planning": units * part["seconds_ray_takes_for_a_unit"] / 3600,
        "checking": images / memory["images"] * memory["verify_seconds"] / 3600,
    }
    return {
        "images": images,
        "cores": cores,
        "hours": {name: round(float(value), 3) for name, value in hours.items()},
        "core_hours": round(units * unit / 3600, 1),
    }


if __name__ == "__main__":
    main()
