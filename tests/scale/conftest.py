"""Fixtures: an exported model, images, and an S3 server that fsspec finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from adacl import AnomalyDetector
from adacl.deploy.export import export_model
from support.helpers import TINY, write_images
from support.stores import Store, moto_store, rclone_store


@pytest.fixture(scope="session")
def model(digits, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_images(folder / "threes", digits.of(3)[:60])
    AnomalyDetector(config=TINY).fit(folder / "threes").save(folder / "three.adacl")
    export_model(folder / "three.adacl", folder / "three.onnx", dynamic_batch=True)
    return folder / "three.onnx"


@pytest.fixture
def images(digits, tmp_path: Path) -> Path:
    write_images(tmp_path / "images" / "a", digits.images[:12])
    write_images(tmp_path / "images" / "b", digits.images[12:20])
    return tmp_path / "images"


@pytest.fixture(scope="module", params=["rclone", "moto"])
def server(request, tmp_path_factory) -> Iterator[Store]:
    kind = moto_store() if request.param == "moto" else rclone_store(tmp_path_factory.mktemp("s3"))
    with kind as store:
        yield store


@pytest.fixture
def store(server: Store, monkeypatch) -> Store:
    """Return an S3 server that fsspec finds in this process, too."""
    s3fs = pytest.importorskip("s3fs")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    return server
