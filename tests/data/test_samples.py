import errno
import os
import tempfile

import numpy as np
import pytest

from adacl.data import samples
from adacl.data.samples import build_store, digest
from adacl.errors import DataError
from adacl.imaging.tiles import Tiling


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 20, 24, 3), np.uint8)


@pytest.fixture
def on_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(samples, "MEMORY_LIMIT", 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def whole(images):
    return build_store(images, images.shape[1:], "uint8", [1] * len(images), None)


def test_whole_images(images):
    built = whole(images)
    assert not isinstance(built.samples, np.memmap)
    assert (built.samples == images).all()
    assert built.owner.tolist() == [0, 1, 2, 3, 4, 5]
    assert built.digests.tolist() == [digest(image) for image in images]
    assert len(built) == 6


def test_tiles_know_their_image(images):
    tiling = Tiling(8, 8)
    sizes = [(20, 24), (20, 24), (8, 8)]
    cropped = [image[:h, :w] for image, (h, w) in zip(images, sizes, strict=False)]
    counts = [len(tiling.places(*size)) for size in sizes]
    built = build_store(cropped, (8, 8, 3), "uint8", counts, tiling)
    assert built.owner.tolist() == [0] * 9 + [1] * 9 + [2]
    assert (built.samples == np.concatenate([tiling.cut(image) for image in cropped])).all()
    assert built.samples_of(np.array([2, 0])).tolist() == [*range(9), 18]


def test_broken_images_leave_no_gap(images):
    built = build_store(iter(images[:4]), images.shape[1:], "uint8", [1] * 6, None)
    assert built.samples.shape == (4, 20, 24, 3)
    assert (built.samples == images[:4]).all()
    assert len(built) == len(built.owner) == 4


def test_large_stores_are_memory_mapped_and_leave_no_file(images, on_disk):
    built = whole(images)
    assert isinstance(built.samples, np.memmap)
    assert (built.samples == images).all()
    assert not list(on_disk.iterdir())


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
def test_a_full_disk_is_told_before_the_work(images, on_disk, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match="No space left") as caught:
        whole(images)
    assert str(on_disk) in str(caught.value)
    assert "TMPDIR" in str(caught.value)
    assert not list(on_disk.iterdir())


def test_digest_depends_on_the_pixels_alone(images):
    image = images[0]
    assert digest(image) == digest(np.asfortranarray(image)) == digest(image[::-1][::-1])
    other = image.copy()
    other[0, 0, 0] ^= 1
    assert digest(other) != digest(image)
    assert 0 <= digest(image) < 2**64
