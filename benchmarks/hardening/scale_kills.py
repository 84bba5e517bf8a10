"""Kill what ``adacl scale score`` runs on at random moments, and go on until all is scored.

Of each kind so many runs: a worker process, the command itself, a node of a Ray cluster, the S3
server in the middle of a PUT, and a disk that is full. The same command is given again until it is
done; its results must then be those of a run left alone, and ``adacl scale verify`` find no fault.
Needs Linux, and the rights to mount a file system in memory (or ``--limit``)::

    python -m benchmarks.hardening.scale_kills --count 50
    python -m benchmarks.hardening.scale_kills --count 5 --kinds driver server
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from adacl.errors import DataError
from adacl.scale.storage import Folder
from adacl.scale.verification import verify
from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import FIT, command, earlier, run, textures, write_textures

IMAGES, UNIT = 2000, 25
WORKERS = 1
AGAIN = 6
"""Times that the command is given until the run counts as not done."""
NEAR = 1e-5
"""How far scores may lie apart."""
KEY, BUCKET = "a-key,a-secret", "kills"
LONGEST = 300
"""Seconds."""

Scores = dict[str, float]
Found = Counter[str]


class Trial:
    """One run that something befalls: its folder of results, and the command."""

    def __init__(self, folder: Path, rng: np.random.Generator, name: str) -> None:
        self.folder, self.rng = folder, rng
        self.out = folder / name
        self.destination = str(self.out)
        self.options: list[object] = ["--workers", WORKERS]
        self.environment = {**os.environ, "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
        self.environment["PYTHONDONTWRITEBYTECODE"] = "1"  # a limit would cut it, for good
        self.limit: Callable[[], None] | None = None

    def start(self) -> subprocess.Popen[str]:
        """Give the command."""
        parts = ["scale", "score", self.folder / "m.onnx", self.folder / "images"]
        parts += ["--out", self.destination, "--shard-images", UNIT, *self.options]
        return subprocess.Popen(
            command(*parts),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            preexec_fn=self.limit,
        )

    def reached(self, process: subprocess.Popen[str]) -> bool:
        """Wait for a random moment of the run; tell whether it came before the end."""
        kind = "manifest" if self.rng.random() < 0.2 else "parts"
        number = self.rng.integers(0, 0.95 * IMAGES / UNIT)
        while process.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                if sum(1 for _ in (self.out / kind).iterdir()) > number:
                    time.sleep(self.rng.uniform(0, 0.05))
                    return process.poll() is None
            time.sleep(0.002)
        return False


@contextlib.contextmanager
def worker(trial: Trial) -> Iterator[Callable[[subprocess.Popen[str]], None]]:
    """Kill one of the command's worker processes."""

    def strike(process: subprocess.Popen[str]) -> None:
        while process.poll() is None:
            with contextlib.suppress(OSError):
                if workers := _workers(process.pid):
                    os.kill(int(trial.rng.choice(workers)), signal.SIGKILL)
                    return
            time.sleep(0.002)

    yield strike


def _workers(command: int) -> list[int]:
    children = Path(f"/proc/{command}/task").glob("*/children")
    numbers = [int(number) for path in children for number in path.read_text().split()]
    return [x for x in numbers if b"spawn_main" in Path(f"/proc/{x}/cmdline").read_bytes()]


@contextlib.contextmanager
def driver(trial: Trial) -> Iterator[Callable[[subprocess.Popen[str]], None]]:
    """Kill the command itself."""
    yield lambda process: process.kill()


class Nodes:
    """A Ray cluster of a head, which scores nothing, and two nodes."""

    def __init__(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        self.nodes = [self.cluster.add_node(num_cpus=1) for _ in range(2)]

    @contextlib.contextmanager
    def __call__(self, trial: Trial) -> Iterator[Callable[[subprocess.Popen[str]], None]]:
        """Kill a node, and add a new one."""
        trial.options = ["--engine", "ray", "--address", self.cluster.address]

        def strike(_process: subprocess.Popen[str]) -> None:
            number = int(trial.rng.integers(len(self.nodes)))
            self.cluster.remove_node(self.nodes.pop(number), allow_graceful=False)
            self.nodes.append(self.cluster.add_node(num_cpus=1))

        yield strike


class Server:
    """A server of S3, reached through a socket that can cut a PUT in the middle."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / BUCKET).mkdir(parents=True)
        self.hidden = _free_port()
        self.cut = threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.start()
        threading.Thread(target=self._accept, daemon=True).start()

    def start(self) -> None:
        """Start the server, and wait until it listens."""
        rclone = shutil.which("rclone", path=sysconfig.get_path("scripts")) or "rclone"
        address = f"127.0.0.1:{self.hidden}"
        options = ["--addr", address, "--auth-key", KEY, "--config", os.devnull]
        self.process = subprocess.Popen(
            [rclone, "serve", "s3", str(self.folder), *options], stderr=subprocess.DEVNULL
        )
        for _ in range(600):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.hidden), 1).close()
                return
            time.sleep(0.05)
        raise SystemExit("rclone does not start")

    def kill(self) -> None:
        """Kill the server."""
        self.process.kill()
        self.process.wait()

    def _accept(self) -> None:
        while True:
            client, _ = self.listening.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self.hidden))
            except OSError:
                client.close()
                continue
            for ends in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, asked: bool) -> None:
        putting = False
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                putting = asked and (putting or data.startswith(b"PUT "))
                body = data.partition(b"\r\n\r\n")[2] if data.startswith(b"PUT ") else data
                if putting and body and self.cut.is_set():
                    self.cut.clear()
                    target.sendall(data[: len(data) - len(body) // 2])
                    time.sleep(0.01)
                    self.kill()
                    break
                target.sendall(data)
                putting = putting and data.startswith(b"PUT ")
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def __call__(self, trial: Trial) -> Iterator[Callable[[subprocess.Popen[str]], None]]:
        """Kill the server in the middle of the next PUT, and start it again, now or later."""
        name = trial.out.name
        trial.out = self.folder / BUCKET / name
        trial.destination = f"s3://{BUCKET}/{name}"
        key, secret = KEY.split(",")
        trial.environment |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",  # s3fs tries again itself
        }

        def strike(process: subprocess.Popen[str]) -> None:
            self.cut.set()
            while self.process.poll() is None and process.poll() is None:
                time.sleep(0.01)
            self.cut.clear()
            if trial.rng.random() < 0.7:
                time.sleep(trial.rng.uniform(0, 2))
            else:
                process.wait(LONGEST)
            self.kill()
            self.start()

        yield strike


class Disk:
    """A disk that is too small, and made larger when the command has ended."""

    def __init__(self, by_limit: bool) -> None:
        self.by_limit = by_limit

    @contextlib.contextmanager
    def __call__(self, trial: Trial) -> Iterator[Callable[[subprocess.Popen[str]], None]]:
        """Let the disk be full, and free it."""
        trial.out.mkdir()
        kib = int(trial.rng.integers(8, 8 * IMAGES // UNIT))
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(trial.out)]
        if self.by_limit:
            most = int(trial.rng.integers(64, 8192))
            trial.limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        else:
            subprocess.run(mount, check=True)

        def strike(process: subprocess.Popen[str]) -> None:
            process.wait(LONGEST)
            trial.limit = None
            if not self.by_limit:
                mount[mount.index("-o") + 1] = "remount,size=64m"
                subprocess.run(mount, check=True)

        try:
            yield strike
        finally:
            if not self.by_limit:
                subprocess.run(["umount", "--lazy", str(trial.out)], check=True)


def tried(trial: Trial, kind: Any, expected: Scores) -> dict[str, Any]:
    """Let something befall a run, go on with it until it is done, and look at its results."""
    found: dict[str, Any] = {"struck": False, "commands": 0, "codes": [], "said": []}
    with kind(trial) as strike:
        for number in range(AGAIN):
            process = trial.start()
            if number == 0 and (isinstance(kind, Disk) or trial.reached(process)):
                strike(process)
                found["struck"] = True
            said = process.communicate(timeout=LONGEST)[1]
            found["commands"] += 1
            found["codes"].append(process.returncode)
            if process.returncode == 0:
                break
            lines = [line for line in said.splitlines() if line.startswith("adacl: ")]
            found["said"].append(" ".join(lines).replace(str(trial.folder), "DIR")[:300])
            found["traceback"] = found.get("traceback", False) or "Traceback" in said
        verified = wrong(trial.out)
        scores, rows = scores_of(trial.out)
        apart = max((abs(scores[i] - expected[i]) for i in scores.keys() & expected), default=0)
    found["verified"] = verified == []
    found["wrong"] = verified[:3]
    found["lost"] = len(expected.keys() - scores)
    found["foreign"] = len(scores.keys() - expected)
    found["twice"] = rows - len(scores)
    found["largest difference"] = apart
    sound = not (found["lost"] or found["foreign"] or found["twice"]) and apart <= NEAR
    found["equal"] = sound and found["codes"][-1] == 0
    return found


def wrong(out: Path) -> list[str]:
    """Return what ``adacl scale verify`` finds."""
    try:
        return [found.wrong for found in verify(Folder(str(out))) if found.wrong]
    except DataError as error:
        return [str(error)]


def scores_of(out: Path) -> tuple[Scores, int]:
    """Return the raw score of each id, and how many rows there are."""
    scores: Scores = {}
    rows = 0
    for path in sorted((out / "parts").glob("*.parquet")):
        table = pq.read_table(path, columns=["id", "raw_score"])
        rows += table.num_rows
        scores |= zip(table["id"].to_pylist(), table["raw_score"].to_pylist(), strict=True)
    return scores, rows


def summary(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Count what came of the runs of one kind."""
    counts: Found = Counter()
    for trial in trials:
        counts["runs"] += 1
        for name in ("struck", "equal", "verified"):
            counts[name] += trial[name]
        for name in ("lost", "foreign", "twice", "commands"):
            counts[name] += trial[name]
        counts["tracebacks"] += trial.get("traceback", False)
    return {**counts, "largest difference": max(trial["largest difference"] for trial in trials)}


def prepared(folder: Path) -> None:
    """Fit and export a model, and write the images."""
    good = write_textures(folder / "good", 30)
    for arguments in (
        ["fit", good, "-o", folder / "m.adacl", *FIT],
        ["export", folder / "m.adacl", folder / "m.onnx", "--dynamic-batch"],
    ):
        ended = run(*arguments)
        assert ended.returncode == 0, ended.stderr
    images = folder / "images"
    images.mkdir()
    for number, image in enumerate(textures(IMAGES, seed=1)):
        Image.fromarray(image).save(images / f"{number:05d}.png")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def main() -> None:
    """Try each kind."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    kinds = ["worker", "driver", "disk", "server", "node"]
    parser.add_argument("--count", type=int, default=50, help="runs in all")
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", action="store_true", help="limit files instead of a small disk")
    given = parser.parse_args()
    path = RESULTS / "scale_kills.json"
    results = earlier(path)
    rng = np.random.default_rng(given.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared(folder)
        alone = Trial(folder, rng, "alone")
        process = alone.start()
        _, said = process.communicate(timeout=LONGEST)
        assert process.returncode == 0, said
        expected, _ = scores_of(alone.out)
        assert len(expected) == IMAGES
        makers: dict[str, Callable[[], Any]] = {
            "worker": lambda: worker,
            "driver": lambda: driver,
            "disk": lambda: Disk(given.limit),
            "server": lambda: Server(folder / "store"),
            "node": Nodes,
        }
        for kind in given.kinds:
            befalls = makers[kind]()
            trials: list[dict[str, Any]] = []
            for number in range(given.count // len(given.kinds)):
                trials.append(tried(Trial(folder, rng, f"{kind}-{number}"), befalls, expected))
                results[kind] = {**summary(trials), "trials": trials}
                record(path, results)
                print(kind, number, json.dumps(trials[-1]), flush=True)
            if isinstance(befalls, Server):
                befalls.kill()
            if isinstance(befalls, Nodes):
                befalls.cluster.shutdown()


if __name__ == "__main__":
    main()
