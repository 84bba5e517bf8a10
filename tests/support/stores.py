"""Servers that tests start and stop: object storage that speaks S3, and Ray clusters."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

KEY, SECRET = "a-key", "a-secret"
WAIT_SECONDS = 30


@dataclass(frozen=True)
class Store:
    """A running S3 server, with one bucket."""

    port: int
    bucket: str = "images"

    @property
    def environment(self) -> dict[str, str]:
        """Settings with which fsspec finds it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}"


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def script(name: str) -> str:
    """Return a program of the environment's packages, or skip the test."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}")
    return found


def start_rclone(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Serve a folder, whose folders are buckets, by S3; it keeps real files."""
    address = f"127.0.0.1:{port}"
    options = ["--addr", address, "--auth-key", f"{KEY},{SECRET}", "--config", os.devnull]
    process = subprocess.Popen(
        [script("rclone"), "serve", "s3", str(folder), *options],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"GOMAXPROCS": "1"},
    )
    deadline = time.monotonic() + WAIT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        time.sleep(0.05)
    process.kill()
    raise RuntimeError(f"rclone does not listen on {address}")


@contextlib.contextmanager
def rclone_store(folder: Path) -> Iterator[Store]:
    """Serve a new folder by rclone, which knows no conditional PUT."""
    store = Store(free_port())
    (folder / store.bucket).mkdir(parents=True)
    process = start_rclone(folder, store.port)
    try:
        yield store
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def moto_store() -> Iterator[Store]:
    """Serve from memory by moto, which knows the conditional PUT."""
    pytest.importorskip("flask_cors")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        store = Store(server.get_host_and_port()[1])
        filesystem_of(store).makedirs(store.bucket, exist_ok=True)
        yield store
    finally:
        server.stop()


def filesystem_of(store: Store):
    """Return the store as a file system of fsspec of its own."""
    s3fs = pytest.importorskip("s3fs")
    settings = store.environment
    return s3fs.S3FileSystem(
        endpoint_url=settings["AWS_ENDPOINT_URL"],
        key=KEY,
        secret=SECRET,
        use_listings_cache=False,
        skip_instance_cache=True,
    )


@contextlib.contextmanager
def ray_cluster(nodes: int) -> Iterator:
    """Run a cluster of several nodes on this machine, of one processor each."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(nodes - 1):
            cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()
