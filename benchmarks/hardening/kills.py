"""Kill fits, a grid and the service at random moments; go on; compare with what was left alone.

Fits are forked from one process that has loaded PyTorch, so that a round takes seconds. A model
must be equal to the last bit to that of a fit left alone, a grid have the same results, and the
service must know, when it is started again, every training that it had acknowledged. Counts are
added to those of earlier runs, which take another seed::

    python -m benchmarks.hardening.kills --count 5
    python -m benchmarks.hardening.kills --count 20 --kinds grid service --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import ONE, SMALL, TINY, TINY_TOML, earlier, forked, write_textures
from benchmarks.hardening.faults import write_video
from benchmarks.hardening.service import Service

TINY_FIT = ["fit", "good", *TINY, "--epochs", "3"]
FITS = {
    "whole": [*TINY_FIT, *ONE],
    "cross-fitting": TINY_FIT,
    "tiles": [*TINY_FIT, *ONE, "--tile", "16x16"],
    "dense": ["fit", "good", "--preset", "inspect", "--epochs", "2", *SMALL, *ONE],
    "video": ["video", "fit", "walk.mp4", "--epochs", "2", *SMALL],
}
CLASSES = 2
KILLS_OF_A_GRID = 4
Keep = Callable[[Counter[str]], None]


def main() -> None:
    """Kill and resume each kind."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=5, help="kills of each kind")
    parser.add_argument("--kinds", nargs="+", default=[*FITS, "grid", "service"])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    path = RESULTS / "kills.json"
    results = earlier(path)
    before = {kind: Counter(results.get(kind, {})) for kind in given.kinds}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_textures(folder / "good", 20)
        write_video(folder / "walk.mp4")
        for number in range(CLASSES):
            write_textures(folder / "classes" / str(number), 12, seed=number)
        for kind in given.kinds:
            others: dict[str, Callable[..., Any]] = {"grid": killed_grid, "service": killed_service}
            killed = others.get(kind, killed_fit)

            def keep(found: Counter[str], kind: str = kind) -> None:
                results[kind] = {x: found[x] + before[kind][x] for x in {**before[kind], **found}}
                record(path, results)

            keep(killed(folder, kind, given.count, rng, keep))
            print(kind, json.dumps(results[kind]), flush=True)


def killed_fit(
    folder: Path, kind: str, count: int, rng: np.random.Generator, keep: Keep
) -> Counter[str]:
    """Kill fits of one kind, and count what came of them."""
    verb, *rest = FITS[kind]
    arguments = [verb, *(str(folder / x) if (folder / x).exists() else x for x in rest)]
    whole = folder / f"{kind}.adacl"
    started = time.monotonic()
    code = ended(forked(folder / "said.txt", *arguments, "-o", whole))
    assert code == 0, (folder / "said.txt").read_text()
    seconds, expected = time.monotonic() - started, _digest(whole)
    found = Counter(dict.fromkeys(("kills", "equal", "different", "half files", "litter"), 0))
    for number in range(count):
        model = folder / f"{kind}-{number}" / "m.adacl"
        model.parent.mkdir()
        fit = [*arguments, "-o", model]
        process = forked(folder / "said.txt", *fit)
        time.sleep(rng.uniform(0.05, 1) * seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        if ended(process) == 0:
            found["ended before"] += 1
        else:
            found["kills"] += 1
            found["half files"] += model.exists() and _digest(model) != expected
            code = ended(forked(folder / "said.txt", *fit, "--resume"))
            found["refused or failed"] += code != 0
        same = model.exists() and _digest(model) == expected
        found["equal" if same else "different"] += 1
        found["litter"] += len([*model.parent.iterdir()]) - model.exists()
        keep(found)
    return found


def ended(process: int) -> int:
    """Wait for a forked process, and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def killed_grid(
    folder: Path, kind: str, count: int, rng: np.random.Generator, keep: Keep
) -> Counter[str]:
    """Kill each grid a few times, let it end, and compare it with one left alone."""
    said = folder / "grid.txt"

    def grid(out: Path) -> int:
        options = ["--seeds", "0..1", "--jobs", 1, "--device", "cpu", "--out", out]
        small = ["--set", "training.epochs=1", "--set", "training.min_epoch_images=64"]
        return forked(said, "bench", "one-vs-rest", folder / "classes", *options, *small)

    started = time.monotonic()
    assert ended(grid(folder / "whole")) == 0, said.read_text()
    seconds, expected = time.monotonic() - started, _cells(folder / "whole")
    found = Counter(dict.fromkeys(("kills", "grids", "equal", "different", "torn lines"), 0))
    while found["kills"] < count:
        out = folder / f"grid-{found['grids']}"
        for _ in range(min(KILLS_OF_A_GRID, count - found["kills"])):
            process = grid(out)
            time.sleep(rng.uniform(0.1, 0.8) * seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            if ended(process) == 0:
                found["ended before"] += 1
                break
            found["kills"] += 1
            time.sleep(0.5)  # its worker notices
            lines = out / "cells.jsonl"
            found["torn lines"] += lines.exists() and not lines.read_bytes().endswith(b"\n")
        same = ended(grid(out)) == 0 and _cells(out) == expected
        found["grids"] += 1
        found["equal" if same else "different"] += 1
        keep(found)
    return found


def _cells(folder: Path) -> dict[str, Any]:
    """Return the results of a grid, without what the clock tells."""
    cells = [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()]
    return {cell["cell"]: _timeless(cell) for cell in cells}


def _timeless(found: Any) -> Any:
    if isinstance(found, dict):
        return {k: _timeless(v) for k, v in found.items() if not k.endswith("seconds")}
    return [_timeless(x) for x in found] if isinstance(found, list) else found


def killed_service(
    folder: Path, kind: str, count: int, rng: np.random.Generator, keep: Keep
) -> Counter[str]:
    """Kill a service that scores and trains; every acknowledged training must be there after."""
    model, said = folder / "whole.adacl", folder / "service.txt"
    if not model.exists():
        assert ended(forked(said, "fit", folder / "good", *TINY, *ONE, "-o", model)) == 0
    images = sorted((folder / "good").iterdir())
    found = Counter(dict.fromkeys(("kills", "answers", "wrong", "lost trainings"), 0))
    (folder / "tiny.toml").write_text(TINY_TOML)
    options = [model, "--config", folder / "tiny.toml"]
    options += ["--data", folder / "data", "--max-trainings-waiting", 50]
    service = Service(said, *options)
    expected = {
        x.name: service.score(x.read_bytes()).json["results"][0]["raw_score"] for x in images
    }
    known: set[str] = set()
    lock = threading.Lock()

    def client() -> None:
        for number in range(10**6):
            path = images[number % len(images)]
            try:
                answer = service.score(path.read_bytes())
            except (OSError, HTTPException):
                return
            result = answer.json["results"][0]
            with lock:
                found["answers"] += 1
                found["wrong"] += abs(result["raw_score"] - expected[path.name]) > 1e-6

    for _ in range(count):
        threads = [threading.Thread(target=client) for _ in range(4)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + rng.uniform(0.2, 4)
        while time.monotonic() < until:
            answer = service.train(images, "name=t&epochs=2")
            if answer.status == 202:
                known.add(answer.json["id"])
            time.sleep(rng.uniform(0.1, 1))
        service.process.kill()
        service.process.wait()
        found["kills"] += 1
        for thread in threads:
            thread.join()
        service = Service(said, *options)
        there = {training["id"] for training in service.ask("/v1/trainings").json["trainings"]}
        found["lost trainings"] += len(known - there)
        found["acknowledged trainings"] = len(known)
        keep(found)
    for identity in list(known)[:2]:
        found[f"trainings {service.finished(identity, 600)['state']}"] += 1
    assert service.stop() == 0
    found["tracebacks"] = said.read_text(errors="replace").count("Traceback")
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
