"""The main job on real images, by the command line alone.

One class of MNIST, Fashion-MNIST and CIFAR-10 (in colour) against the rest, exported as folders
of PNG files; MVTec AD bottle and KolektorSDD by tiles, with good parts held out as normals.

    python -m benchmarks.accuracy.main_job --data-dir DATA [--inspection-dir DIR] --out FILE

DATA as for ``adacl data``; DIR holds ``mvtec_bottle`` and ``kolektorsdd``. The preset is used as
it is; nothing is chosen by these results.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import adacl, record

CLASSES = [("mnist", "3"), ("fashion-mnist", "sandal"), ("cifar10", "car")]


def one_vs_rest(name: str, normal: str, folder: Path, data_dir: str) -> dict[str, list[str]]:
    target = folder / name
    adacl("data", "export", name, normal, str(target), "--data-dir", data_dir)
    return {
        "fit": [str(target / "train")],
        "normal": [str(target / "test/normal")],
        "abnormal": [str(target / "test/abnormal")],
    }


def bottle(source: Path) -> dict[str, list[str]]:
    defects = ("broken_large", "broken_small", "contamination")
    return {
        "fit": [str(source / "train/good"), "--tile", "64x64", "--stride", "32"],
        "normal": [str(source / "test/good")],
        "abnormal": [str(source / "test" / kind) for kind in defects],
    }


def kolektor(source: Path, folder: Path) -> dict[str, list[str]]:
    """Hold out every fourth good part."""
    for place, path in enumerate(sorted((source / "good").iterdir())):
        target = folder / "kolektor" / ("held_out" if place % 4 == 0 else "train")
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return {
        "fit": [str(folder / "kolektor/train"), "--tile", "64x64"],
        "normal": [str(folder / "kolektor/held_out")],
        "abnormal": [str(source / "defect")],
    }


def run(task: dict[str, list[str]], seed: int, folder: Path) -> dict[str, Any]:
    model = str(folder / "model.adacl")
    fit = adacl(
        "fit", *task["fit"], "--preset", "paper", "-o", model, "--seed", str(seed), "--json"
    )
    folders = [x for part in ("normal", "abnormal") for f in task[part] for x in ("--" + part, f)]
    evaluated = adacl("evaluate", model, *folders, "--json", "--quiet")
    summary = json.loads(fit["output"])
    return {
        "seed": seed,
        **json.loads(evaluated["output"]),
        "fpr_upper_bound": summary["threshold"]["upper_bound"],
        "threshold_method": summary["threshold"]["method"],
        "kind_auroc": summary["kind_auroc"],
        "images": summary["training"]["images"],
        "samples": summary["training"]["samples"],
        "parameters": summary["training"]["parameters"],
        "epochs": summary["epochs"],
        "best_epoch": summary["best_epoch"],
        "fit_seconds": fit["seconds"],
        "fit_peak_mib": fit["peak_mib"],
        "evaluate_seconds": evaluated["seconds"],
        "evaluate_peak_mib": evaluated["peak_mib"],
        "notes": fit["log"].strip().splitlines()[-6:],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--inspection-dir", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--inspection-seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tasks = {
            f"{name} {normal}": one_vs_rest(name, normal, folder, arguments.data_dir)
            for name, normal in CLASSES
        }
        if arguments.inspection_dir:
            tasks["mvtec bottle"] = bottle(arguments.inspection_dir / "mvtec_bottle")
            tasks["kolektorsdd"] = kolektor(arguments.inspection_dir / "kolektorsdd", folder)
        for name, task in tasks.items():
            inspection = "--tile" in task["fit"]
            seeds = arguments.inspection_seeds if inspection else arguments.seeds
            runs = [run(task, seed, folder) for seed in seeds]
            areas = [r["auroc"] for r in runs]
            results[name] = {
                "auroc_mean": statistics.mean(areas),
                "auroc_sd": statistics.stdev(areas) if len(areas) > 1 else None,
                "runs": [{k: v for k, v in r.items() if k != "notes"} for r in runs],
            }
            print(name, f"{results[name]['auroc_mean']:.4f}", *runs[0]["notes"], sep="\n  ")
            record(arguments.out, results)


if __name__ == "__main__":
    main()
