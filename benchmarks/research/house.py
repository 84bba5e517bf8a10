"""Measure the plan of the code: modules, layers, arrows, long functions, lines, files, walks.

    python benchmarks/research/house.py --root . --name after --append house.jsonl

A *room* is a module in the root of the package, or a folder there with all that is in it. With
``--walks`` commands are followed as they run: an image path given to ``adacl score``, with and
without ``--heatmaps``, and a folder given to ``adacl fit``. Modules count as entered when one of
their functions runs, not while modules are being imported. With ``--start-up`` the time of
``adacl --help`` is taken. Works on any checkout.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

Tree = dict[str, Any]

DATA = {".json", ".jsonl", ".csv"}
PICTURES = {".gif", ".jpg", ".png", ".svg", ".webp"}
LAUNCHES = 15
IMAGES = 20
"""Images in the folder that is walked."""


def room(module: str) -> str:
    """Return the root module or folder that a module is in; the package itself is a room, too."""
    return [*module.split("."), "__init__"][1]


def plan(root: Path) -> Tree:
    """Count modules, packages, rooms, and the imports between rooms."""
    import grimp

    sys.path.insert(0, str(root / "src"))
    graph = grimp.build_graph("adacl", cache_dir=None)
    modules = graph.modules
    arrows: dict[str, set[str]] = {room(module): set() for module in modules}
    pairs = 0
    for module in modules:
        for target in graph.find_modules_directly_imported_by(module):
            pairs += 1
            if room(module) != room(target):
                arrows[room(module)].add(room(target))
    package = root / "src" / "adacl"
    return {
        "root_modules": len(list(package.glob("*.py"))),
        "modules": len(modules),
        "packages": len(list(package.rglob("__init__.py"))),
        "rooms": len(arrows),
        "floors": floors(arrows),
        "edges_between_rooms": sum(map(len, arrows.values())),
        "edges_between_modules": pairs,
    }


def floors(arrows: dict[str, set[str]]) -> int | None:
    """Return how many rooms stand one on another at most; None if they import in a circle."""
    sorter = TopologicalSorter(arrows)
    try:
        sorter.prepare()
    except CycleError:
        return None
    count = 0
    while sorter.is_active():
        sorter.done(*sorter.get_ready())
        count += 1
    return count


def contracts(root: Path) -> Tree:
    found = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c["layers"] for c in found["contracts"] if c["type"] == "layers")
    no_torch = next(c for c in found["contracts"] if "torch" in c.get("forbidden_modules", ()))
    return {
        "layers": len(layers),
        "names_in_layers": sum(len(layer.split("|")) for layer in layers),
        "names_without_torch": len(no_torch["source_modules"]),
    }


def longest(root: Path, count: int = 10) -> list[Tree]:
    """Return the longest functions of the source, without their decorators."""
    found = []
    for path in sorted((root / "src").rglob("*.py")):
        for name, node in functions(ast.parse(path.read_text())):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            place = path.relative_to(root / "src").as_posix()
            found.append({"lines": lines, "function": name, "file": place})
    return sorted(found, key=lambda entry: -int(str(entry["lines"])))[:count]


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST, above: str = "") -> Iterator[tuple[str, Function]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield above + node.name, node
        inside = f"{above}{node.name}." if isinstance(node, Function | ast.ClassDef) else above
        yield from functions(node, inside)


def files(root: Path) -> Tree:
    """Count the lines of Python code, and the files that git tracks."""
    names = subprocess.run(
        ["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True, text=True
    ).stdout.split("\0")[:-1]
    tracked = [Path(name) for name in names if (root / name).is_file()]
    inputs = [p for p in tracked if p.parts[0] == "tests" and p.suffix != ".py"]
    counted = [p for p in tracked if p.suffix not in PICTURES and p not in inputs]
    found: Tree = {
        "tracked_files": len(tracked),
        "tracked_files_without_pictures_and_test_inputs": len(counted),
    }
    results = [p for p in tracked if p.parts[0] == "benchmarks" and p.suffix in DATA]
    found["result_files"] = len(results)
    found["result_bytes"] = sum((root / path).stat().st_size for path in results)
    for part in ("src", "tests", "benchmarks"):
        lines = [
            line
            for path in tracked
            if path.parts[0] == part and path.suffix == ".py"
            for line in (root / path).read_text().splitlines()
        ]
        found[f"{part}_lines"] = len(lines)
        found[f"{part}_lines_not_blank"] = sum(bool(line.strip()) for line in lines)
    return found


def environment(root: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1"}


def start_up(root: Path) -> Tree:
    """Time ``adacl --help``, after a launch that fills the caches."""
    seconds = []
    for _ in range(LAUNCHES + 1):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "adacl", "--help"],
            check=True,
            env=environment(root),
            stdout=subprocess.DEVNULL,
        )
        seconds.append(time.perf_counter() - started)
    median = statistics.median(seconds[1:])
    return {"launches": LAUNCHES, "median_s": round(median, 3), "least_s": round(min(seconds), 3)}


def walks(root: Path) -> Tree:
    """Follow commands through the code."""
    import numpy as np
    from PIL import Image

    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name) / "images", Path(name) / "model.adacl"
        folder.mkdir()
        rng = np.random.default_rng(0)
        for number in range(IMAGES):
            pixels = rng.integers(0, 256, (32, 32), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:02d}.png")
        image = folder / "00.png"
        options = ["--device", "cpu"]
        quick = ["--preset", "paper", "--epochs", "1", "--set", "training.min_epoch_images=64"]
        jobs: dict[str, list[object]] = {
            "fit": [folder, "-o", model, *quick, *options],
            "score": [model, image, *options],
            "score --heatmaps": [model, image, "--heatmaps", Path(name) / "maps", *options],
        }
        return {job: follow(root, folder, [*job.split()[:1], *rest]) for job, rest in jobs.items()}


def follow(root: Path, folder: Path, arguments: list[object]) -> Tree:
    """Run a command in a process that watches itself."""
    with tempfile.NamedTemporaryFile("r") as file:
        subprocess.run(
            [sys.executable, __file__, "--watched", file.name, folder, *map(str, arguments)],
            check=True,
            env=environment(root),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        found: Tree = json.load(file)
    return found


def watched(report: Path, folder: Path, arguments: list[str]) -> None:
    """Run a command here; write which modules it enters, and how often it reads the images."""
    from PIL import Image, ImageFile

    entered: set[str] = set()
    counts: Counter[str] = Counter()
    state = threading.local()

    def profile(frame: Any, event: str, _: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event not in {"call", "return"} or not module.startswith("adacl."):
            return
        if frame.f_code.co_name == "<module>":
            state.imports = getattr(state, "imports", 0) + (1 if event == "call" else -1)
        elif not getattr(state, "imports", 0) and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            entered.add(module)

    def audit(event: str, given: tuple[Any, ...]) -> None:
        if event not in {"open", "os.scandir", "os.listdir"} or not isinstance(
            given[0], str | os.PathLike
        ):
            return
        path = Path(given[0])
        if event == "open":
            counts["files_opened"] += path.parent == folder
        else:
            counts["folder_listed"] += path == folder

    open_image, load = Image.open, ImageFile.ImageFile.load

    def opened(*given: Any, **named: Any) -> Any:
        counts["images_opened"] += 1
        return open_image(*given, **named)

    def loaded(image: Any) -> Any:
        counts["images_decoded"] += bool(image.tile)
        return load(image)

    Image.open, ImageFile.ImageFile.load = opened, loaded  # type: ignore
    sys.addaudithook(audit)
    sys.argv = ["adacl", *arguments]
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        runpy.run_module("adacl", run_name="__main__")
    except SystemExit as leaving:
        if leaving.code:
            raise
    finally:
        sys.setprofile(None)
        names = ("files_opened", "images_opened", "images_decoded", "folder_listed")
        found = {"modules": len(entered), "rooms": len({room(module) for module in entered})}
        found |= {name: counts[name] for name in names}
        report.write_text(json.dumps(found | {"entered": sorted(entered)}))


def table(found: Any, indent: str = "") -> Iterator[str]:
    for name, value in found.items():
        if name == "entered":
            continue
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from table(value, indent + "  ")
        elif isinstance(value, list):
            yield f"{indent}{name}"
            yield from (f"{indent}  " + "  ".join(map(str, entry.values())) for entry in value)
        else:
            yield f"{indent}{name:<{48 - len(indent)}}{value:>10}"


def main() -> None:
    if sys.argv[1:2] == ["--watched"]:
        watched(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    here = Path(__file__).resolve().parents[2]
    parser.add_argument("--root", type=Path, default=here, metavar="DIR", help="a checkout")
    parser.add_argument("--walks", action="store_true", help="follow commands as they run")
    parser.add_argument("--start-up", action="store_true", help="time adacl --help")
    parser.add_argument("--name", default="", help="of the measurement, such as before or after")
    parser.add_argument(
        "--append", type=Path, metavar="FILE", help="append all of it as a JSON line"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    commit = subprocess.run(
        ["git", "-C", root, "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    found: Tree = (
        {"name": arguments.name, "commit": commit.stdout.strip()}
        | plan(root)
        | contracts(root)
        | files(root)
        | {"longest_functions": longest(root)}
    )
    if arguments.start_up:
        found["start_up"] = start_up(root)
    if arguments.walks:
        found["walks"] = {"images_in_the_folder": IMAGES} | walks(root)
    if arguments.append:
        with arguments.append.open("a") as file:
            file.write(json.dumps(found) + "\n")
    print(json.dumps(found, indent=1) if arguments.json else "\n".join(table(found)))


if __name__ == "__main__":
    main()
