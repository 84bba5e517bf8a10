"""The service under load: every answer compared with the offline score, speed, memory, overload.

    python -m benchmarks.speed.serve_load --data-dir DATA --out benchmarks/results/serve_load.json

The model is fitted on one digit of MNIST; the images are PNG files of the test split, each sent
as a raw body over connections that are kept. Clients are as many loops of one request after
another; they run in processes of their own on the same machine, and so take part of its cores.
An answer is wrong if its name, label or score (by more than 1e-6) differs from what the exported
model gave offline, and lost if it is no answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from adacl.datasets import catalogue
from adacl.datasets.as_folders import write_images
from adacl.runtime import Scorer
from benchmarks.common import adacl, record

DIGIT = 3
IMAGES = 2000
TRAINING_IMAGES = 1000
TOLERANCE = 1e-6
SERVERS = ("fastapi", "uvicorn", "httptools", "uvloop")
CLIENTS = {1: 0.1, 8: 0.3, 64: 0.6}
"""Numbers of clients, and the share of the requests that each gets."""


@dataclass
class Job:
    """What one process of clients is to do."""

    port: int
    clients: int
    requests: int
    seconds: float
    images: list[tuple[str, bytes]]
    expected: dict[str, tuple[float, int]]


@dataclass
class Tally:
    """What became of the requests of one process."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    retry_after: list[int] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0


class Service:
    """``adacl serve`` as a process, whose memory is sampled."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "adacl", "serve", "--port", "0", *arguments]
        environment = os.environ | {"COLUMNS": "200"}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        assert self.process.stderr is not None
        said = ""
        while (found := re.search(r" at http.*:(\d+)/", said)) is None:
            if not (line := self.process.stderr.readline()):
                raise SystemExit(said)
            said += line
        self.port = int(found[1])
        self.memory: list[tuple[float, float]] = []
        self._started = time.perf_counter()
        self._ended = threading.Event()
        threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not self._ended.wait(0.25):
            text = Path(f"/proc/{self.process.pid}/statm").read_text()
            mib = int(text.split()[1]) * page / 2**20
            self.memory.append((round(time.perf_counter() - self._started, 2), round(mib, 1)))

    def get(self, path: str) -> Any:
        """Return what the service says at a path."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as response:
            return json.loads(response.read())

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self._ended.set()
        self.process.terminate()
        return self.process.wait(60)


def drive(job: Job) -> Tally:
    """Run the clients of one process."""
    return asyncio.run(_drive(job))


async def _drive(job: Job) -> Tally:
    tally = Tally()
    requests = [_request(name, content) for name, content in job.images]
    numbers = iter(range(job.requests))
    until = time.perf_counter() + job.seconds

    async def client(offset: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", job.port)
        for number in numbers:
            if time.perf_counter() > until:
                break
            which = (number * 7 + offset * 131) % len(requests)
            started = time.perf_counter()
            writer.write(requests[which])
            try:
                status, headers, body = await _response(reader)
            except (OSError, asyncio.IncompleteReadError):
                tally.lost += 1
                reader, writer = await asyncio.open_connection("127.0.0.1", job.port)
                continue
            tally.statuses[status] += 1
            if status == 200:
                tally.latencies.append(time.perf_counter() - started)
                tally.wrong += not _right(body, job.images[which][0], job.expected)
            elif status == 503:
                tally.retry_after.append(int(headers[b"retry-after"]))
                await asyncio.sleep(0.02)
        writer.close()

    await asyncio.gather(*(client(offset) for offset in range(job.clients)))
    return tally


def _request(name: str, content: bytes) -> bytes:
    head = (
        "POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
        f'Content-Disposition: attachment; filename="{name}"\r\nContent-Length: {len(content)}'
        "\r\n\r\n"
    )
    return head.encode() + content


async def _response(reader: asyncio.StreamReader) -> tuple[int, dict[bytes, bytes], bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    body = await reader.readexactly(int(headers[b"content-length"]))
    return int(first.split()[1]), headers, body


def _right(body: bytes, name: str, expected: dict[str, tuple[float, int]]) -> bool:
    (result,) = json.loads(body)["results"]
    raw, label = expected[name]
    return (
        result["name"] == name
        and abs(result["raw_score"] - raw) <= TOLERANCE
        and result["pred_label"] == label
    )


def load(
    service: Service,
    clients: int,
    requests: int,
    images: list[tuple[str, bytes]],
    expected: dict[str, tuple[float, int]],
    seconds: float = 3600,
) -> dict[str, Any]:
    """Send requests from so many clients, and sum up."""
    processes = 1 if clients < 16 else 2
    job = Job(service.port, clients // processes, requests // processes, seconds, images, expected)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        list(pool.map(abs, range(processes)))  # started before the clock
        started = time.perf_counter()
        tallies = list(pool.map(drive, [job] * processes))
        spent = time.perf_counter() - started
    latencies = np.concatenate([tally.latencies for tally in tallies]) * 1e3
    statuses = sum((tally.statuses for tally in tallies), Counter())
    waits = [wait for tally in tallies for wait in tally.retry_after]
    found = {
        "clients": clients,
        "requests": sum(statuses.values()),
        "statuses": dict(statuses),
        "wrong": sum(tally.wrong for tally in tallies),
        "lost": sum(tally.lost for tally in tallies),
        "answers_per_second": round(len(latencies) / spent, 1),
        "p50_ms": round(float(np.percentile(latencies, 50)), 2),
        "p99_ms": round(float(np.percentile(latencies, 99)), 2),
        "memory_mib": service.memory[-1][1] if service.memory else None,
    }
    if waits:
        found["retry_after_seconds"] = [min(waits), max(waits)]
    print(found, file=sys.stderr)
    return found


def while_training(
    service: Service, normals: list[tuple[str, bytes]], epochs: int, *what: Any
) -> dict[str, Any]:
    """Score with eight clients for as long as a training runs."""
    boundary = "serve-load"
    start = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename='
    body = b"".join(
        f'{start}"{name}"\r\n\r\n'.encode() + content + b"\r\n" for name, content in normals
    )
    request = urllib.request.Request(
        f"http://127.0.0.1:{service.port}/v1/trainings?name=digit&epochs={epochs}",
        body + f"--{boundary}--\r\n".encode(),
        {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    with urllib.request.urlopen(request) as response:
        address = response.headers["Location"]
    while service.get(address)["progress"] == 0:
        time.sleep(0.2)
    found = load(service, 8, 10**9, *what, seconds=20)
    found["training"] = service.get(address)["state"]
    while service.get(address)["state"] == "running":
        time.sleep(0.5)
    return found | {"training_after": service.get(address)["state"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--overload-seconds", type=float, default=20)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    images, labels = catalogue.load("mnist", "train", arguments.data_dir)
    normal = images[labels == DIGIT][:TRAINING_IMAGES]
    test = catalogue.load("mnist", "test", arguments.data_dir)[0][:IMAGES]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_images(normal, map(str, range(len(normal))), folder / "normal")
        write_images(test, map(str, range(len(test))), folder / "test")
        adacl("fit", str(folder / "normal"), "-o", str(folder / "digit.adacl"), "--epochs", "2")
        model = folder / "digit.onnx"
        adacl("export", str(folder / "digit.adacl"), str(model), "--dynamic-batch")
        files = sorted((folder / "test").iterdir())
        sent = [(path.name, path.read_bytes()) for path in files]
        scorer = Scorer(model)
        expected = {
            score.path.name: (score.raw, int(score.raw > scorer.threshold.value))
            for score in scorer.score_files(files)
        }
        what = (sent, expected)
        results: dict[str, Any] = {"versions": {name: version(name) for name in SERVERS}}

        service = Service(str(model))
        load(service, 8, 2000, *what)  # warm
        results["load"] = [
            load(service, clients, int(arguments.requests * share), *what)
            for clients, share in CLIENTS.items()
        ]
        results["memory"] = service.memory[:: max(1, len(service.memory) // 100)]
        results["exit_code"] = service.stop()

        service = Service(str(model), "--max-waiting", "16", "--max-files", "16")
        before = load(service, 1, 1000, *what)
        over = load(service, 256, 10**9, *what, seconds=arguments.overload_seconds)
        after = load(service, 1, 1000, *what)
        results["overload"] = {"before": before, "over": over, "after": after}
        results["overload"]["exit_code"] = service.stop()

        service = Service(str(model))
        normals = [(p.name, p.read_bytes()) for p in sorted((folder / "normal").iterdir())]
        results["training"] = while_training(service, normals, arguments.epochs, *what)
        results["training"]["exit_code"] = service.stop()
    record(arguments.out, results)


if __name__ == "__main__":
    main()
