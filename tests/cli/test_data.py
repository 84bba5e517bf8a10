"""``adacl data``."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.helpers import call, refused


def test_data_without_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADACL_DATA", str(tmp_path))
    listed = json.loads(call("data", "list", "--json")[1])
    assert [row["files_present"] for row in listed] == [0, 0, 0]
    code, out, err = call("data", "verify", "mnist")
    assert code == 3
    assert "missing" in out
    assert "adacl data fetch" in err
    assert "put" in refused(3, "data", "export", "mnist", "3", tmp_path / "out")
    assert "class '10'" in refused(2, "data", "export", "mnist", "10", tmp_path / "out")
    assert "known are" in refused(2, "data", "fetch", "imagenet")
    assert not (tmp_path / "out").exists()


def test_an_export_of_data_that_fails_leaves_nothing_and_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    images, labels = np.zeros((4, 8, 8, 1), np.uint8), np.array([3, 3, 1, 2])
    monkeypatch.setattr("adacl.datasets.fetch.fetch", lambda *_: [])
    monkeypatch.setattr("adacl.datasets.catalogue.load", lambda *_: (images, labels))
    command = ["data", "export", "mnist", "3", tmp_path / "out"]
    with monkeypatch.context() as broken:
        broken.setattr(Image.Image, "save", full_disk)
        said = refused(3, *command)
    assert f"{tmp_path / 'out' / 'train'}: cannot be written (No space left on device)" in said
    assert not list(tmp_path.iterdir())
    assert call(*command)[0] == 0
    assert len(list((tmp_path / "out").rglob("*.png"))) == 6


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
