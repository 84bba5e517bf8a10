"""Let the n-th call of a command to the disk fail, for every n until the command makes no more.

A small library is compiled with ``cc`` and preloaded; it fails the n-th write, sync, rename,
opening for writing (and making of a folder) or read below a folder, with EIO or ENOSPC: with all
that follow, as on a broken or full disk, or alone (``--once``). The commands run one after another
in one process, which loads PyTorch once. Reads that map a file into memory are not reached. The
service runs with ``--log`` and ``--data`` on such a disk: it must answer as before, keep what it
acknowledged, and go on by itself once the disk works again. Needs Linux and a compiler::

    python -m benchmarks.hardening.faults --most 200
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import json
import mmap
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import (
    ONE,
    SMALL,
    TINY,
    TINY_TOML,
    earlier,
    textures,
    write_textures,
)
from benchmarks.hardening.service import Service, multipart

SOURCE = Path(__file__).with_name("faults.c")
KINDS = {
    "write, ENOSPC": (1, errno.ENOSPC),
    "write, EIO": (1, errno.EIO),
    "sync, EIO": (2, errno.EIO),
    "open, ENOSPC": (4, errno.ENOSPC),
    "open, EIO": (4, errno.EIO),
    "rename, ENOSPC": (5, errno.ENOSPC),
    "rename, EIO": (5, errno.EIO),
    "read, EIO": (3, errno.EIO),
}
CONTROL, FOR_EVER = "5i", 2**30
OLD = b"what was there before"
SERVICE = "serve --log --data"
TRAININGS = 1
"""That are taken, of each kind of fault: each takes seconds."""


def commands(data: Path) -> dict[str, tuple[str, list[object]]]:
    """Return the commands by name, each with the name of what it writes."""
    model, exported, good = data / "m.adacl", data / "m.onnx", data / "good"
    return {
        "score -o": ("o.csv", ["score", exported, good, "--format", "csv", "-o", "OUT"]),
        "score --report": ("o.html", ["score", exported, good, "--report", "OUT"]),
        "export": ("o.onnx", ["export", model, "OUT"]),
        "calibrate": ("o.adacl", ["calibrate", model, good, "-o", "OUT"]),
        "fit": ("o.adacl", ["fit", good, "-o", "OUT", *TINY, *ONE, "--epochs", "1"]),
        "video score --annotate": (
            "o.mp4",
            ["video", "score", data / "video.adacl", data / "walk.mp4", "--annotate", "OUT"],
        ),
    }


def main() -> None:
    """Compile the library, and run the commands with it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--most", type=int, default=200, help="failing calls of each kind")
    parser.add_argument("--once", action="store_true", help="let one call fail, not all after it")
    every = [*commands(Path()), SERVICE]
    parser.add_argument("--commands", nargs="+", default=every, choices=every)
    parser.add_argument("--data", type=Path, help="folder of a model and images, used again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "FAULTS_CONTROL" not in os.environ:
            library, control = folder / "faults.so", folder / "control"
            cc = ["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"]
            subprocess.run([*map(str, cc)], check=True)
            control.write_bytes(bytes(struct.calcsize(CONTROL)))
            (folder / "disk").mkdir()
            environment = {
                **os.environ,
                "LD_PRELOAD": str(library),
                "FAULTS_CONTROL": str(control),
                "FAULTS_BELOW": f"{folder}/disk",
                "NO_COLOR": "1",
            }
            again = [sys.executable, "-m", "benchmarks.hardening.faults", *sys.argv[1:]]
            raise SystemExit(subprocess.run(again, env=environment, check=False).returncode)
        tried_all(given.commands, given.most, given.data, given.once)


class Faults:
    """What the preloaded library is told."""

    def __init__(self) -> None:
        with Path(os.environ["FAULTS_CONTROL"]).open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), struct.calcsize(CONTROL))

    def begin(self, fault: tuple[int, int], after: int, once: bool = False) -> None:
        """Let calls fail after so many of their kind."""
        until = after + 1 if once else FOR_EVER
        self._control[:] = struct.pack(CONTROL, *fault, after, until, 0)

    def end(self) -> int:
        """Let all calls succeed again, and return how many of the kind there were."""
        seen = struct.unpack(CONTROL, self._control[:])[4]
        self._control[:] = bytes(len(self._control))
        return int(seen)


def tried_all(names: list[str], most: int, data: Path | None, once: bool) -> None:
    """Run each command with each kind of fault at each place."""
    disk, faults = Path(os.environ["FAULTS_BELOW"]), Faults()
    if data:
        shutil.copytree(data, disk / "data")
    else:
        prepare(disk / "data", names)
    results = earlier(RESULTS / "faults.json")
    if SERVICE in names:
        results[SERVICE] = served(disk, faults, most)
        print(SERVICE, json.dumps(results[SERVICE], indent=1), flush=True)
        record(RESULTS / "faults.json", results)
    for name in [name for name in names if name != SERVICE]:
        target, arguments = commands(disk / "data")[name]
        for kind, fault in KINDS.items():
            title = f"{name}, {kind}" + ", once" * once
            found = swept(disk, target, arguments, faults, fault, most, once)
            results[title] = found
            print(title, json.dumps(found), flush=True)
            record(RESULTS / "faults.json", results)


def prepare(data: Path, names: list[str]) -> None:
    """Fit the models that the commands take."""
    good = write_textures(data / "good", 12)
    model = data / "m.adacl"
    assert ran(["fit", good, "-o", model, *TINY, *ONE, "--epochs", "1"])[0] == 0
    assert ran(["export", model, data / "m.onnx", "--dynamic-batch"])[0] == 0
    if "video score --annotate" in names:
        write_video(data / "walk.mp4")
        options = [*SMALL, "--epochs", "1", "-o", data / "video.adacl"]
        ended = ran(["video", "fit", data / "walk.mp4", *options])
        assert ended[0] == 0, ended


def write_video(path: Path) -> None:
    """Write a clip whose texture moves."""
    import av
    import numpy as np

    picture = np.tile(textures(1)[0], (2, 3))
    with av.open(str(path), "w") as container:
        track = container.add_stream("mpeg4", rate=10)
        track.height, track.width, track.pix_fmt = *picture.shape, "yuv420p"
        for number in range(40):
            moved = np.ascontiguousarray(np.roll(picture, 2 * number, 1))
            container.mux(track.encode(av.VideoFrame.from_ndarray(moved, format="gray")))
        container.mux(track.encode())


def swept(
    disk: Path,
    target: str,
    arguments: list[object],
    faults: Faults,
    fault: tuple[int, int],
    most: int,
    once: bool,
) -> dict[str, Any]:
    """Let the first, second, ... call fail, until the command no longer makes so many."""
    codes: Counter[str] = Counter()
    resumed: Counter[str] = Counter()
    whole = disk / "whole" / target
    if arguments[0] == "fit" and not whole.exists():
        whole.parent.mkdir()
        assert ran([whole if part == "OUT" else part for part in arguments])[0] == 0
    found: dict[str, Any] = {"runs": 0, "old file changed": 0, "litter": [], "odd": []}
    for after in range(most):
        place = disk / "out"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        old = place / target
        old.write_bytes(OLD)
        faults.begin(fault, after, once)
        code, said = ran([old if part == "OUT" else part for part in arguments])
        if faults.end() <= after:  # nothing failed
            found["to the end"] = True
            break
        found["runs"] += 1
        codes[str(code)] += 1
        found["old file changed"] += code != 0 and old.read_bytes() != OLD
        if (place / f"{target}.resume").exists():
            again = [old if part == "OUT" else part for part in arguments]
            ended, _ = ran([*again, "--resume"])
            same = ended == 0 and old.read_bytes() == whole.read_bytes()
            resumed["equal" if same else "different"] += 1
        found["litter"] += [p.name for p in place.iterdir() if p != old]
        errors = [line for line in said.splitlines() if line.startswith("adacl:")]
        clear = str(disk) in said and os.strerror(fault[1]).lower() in said.lower()
        clear &= len(errors) == (code != 0)
        if code not in (0, 3) or "Traceback" in said or not clear:
            found["odd"].append([after, code, said.replace(str(disk), "DISK")[-200:]])
    return found | {"exit codes": dict(codes)} | ({"resumed": dict(resumed)} if resumed else {})


def served(disk: Path, faults: Faults, most: int) -> dict[str, Any]:
    """Use a service while the disk of its log and trainings fails, and after each time."""
    place = disk / "out"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    images = sorted((disk / "data" / "good").iterdir())
    contents, body = [path.read_bytes() for path in images], multipart(images)
    said = Path(os.environ["FAULTS_CONTROL"]).with_name("said.txt")
    said.unlink(missing_ok=True)
    tiny = disk / "data" / "tiny.toml"
    tiny.write_text(TINY_TOML)
    options = [disk / "data" / "m.onnx", "--config", tiny]
    options += ["--data", place / "data", "--log", place / "log.db"]
    service = Service(said, *options)
    answered, known = 0, set()

    def scores() -> list[float]:
        nonlocal answered
        answers = [service.score(content) for content in contents]
        answered += len(answers)
        return [a.json["results"][0]["raw_score"] if a.status == 200 else a.status for a in answers]

    expected = scores()
    found: dict[str, Any] = {}
    for kind, fault in KINDS.items():
        tried: Counter[str] = Counter({"faults": 0, "other scores": 0})
        for after in range(most):
            faults.begin(fault, after)
            tried["other scores"] += scores() != expected
            answer = service.train(body, "name=t&epochs=1")
            tried[f"trainings answered {answer.status}"] += 1
            if answer.status == 202:
                known.add(answer.json["id"])
                tried[f"of them {service.finished(answer.json['id'], 900)['state']}"] += 1
            seen = faults.end()
            tried["other scores"] += scores() != expected
            tried["faults"] += seen > after
            if seen <= after or tried["trainings answered 202"] >= TRAININGS:
                break
        found[kind] = dict(tried)
        print(kind, found[kind], flush=True)
    again = service.train(body, "name=t&epochs=1")
    known.add(again.json["id"])
    found["training once it works"] = service.finished(again.json["id"], 900)["state"]
    found["exit code"] = service.stop()
    found["answers"], found["of them logged"] = answered, _logged(place / "log.db")
    service = Service(said, *options)
    there = {x["id"] for x in service.ask("/v1/trainings").json["trainings"]}
    found["acknowledged trainings"], found["of them lost"] = len(known), len(known - there)
    found["exit code"] |= service.stop()
    kept = {path.name for path in (place / "data" / "trainings").iterdir()}
    found["folders of refused trainings"] = len(kept - known)
    text = said.read_text(errors="replace")
    found["tracebacks"] = text.count("Traceback")
    lines = [line for line in text.splitlines() if str(place) in line and "http://" not in line]
    found["said"] = sorted({line.replace(str(disk), "DISK")[:200] for line in lines})[:9]
    return found


def _logged(path: Path) -> int:
    """Return how many answers a log holds."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        names = [name for (name,) in tables if "answer" in name or "score" in name]
        return int(database.execute(f"SELECT count(*) FROM {names[0]}").fetchone()[0])


def ran(arguments: list[object]) -> tuple[int, str]:
    """Run a command in this process; return its exit code and what it said."""
    from adacl.cli import main as adacl

    said, before = io.StringIO(), sys.argv
    sys.argv = ["adacl", *map(str, arguments)]
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            adacl()
    except SystemExit as leaving:
        return int(leaving.code or 0), said.getvalue()
    finally:
        sys.argv = before
    return 0, said.getvalue()


if __name__ == "__main__":
    main()
