import errno
import os
import tempfile

import numpy as np
import pytest
from PIL import Image

from adacl.data import samples
from adacl.data.samples import (
    build_ragged,
    build_store,
    digest,
    probe_files,
    store_of_files,
)
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


SIZES = [(20, 24), (9, 31), (8, 8), (1, 5)]


def of_sizes(channels=3, dtype=np.uint8):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 200, (*size, channels)).astype(dtype) for size in SIZES]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_images_of_any_size_come_back_as_they_were(dtype):
    given = of_sizes(dtype=dtype)
    built = build_ragged(iter(given), [image.shape for image in given], dtype)
    assert len(built.samples) == len(built) == 4
    assert all((built.samples[n] == image).all() for n, image in enumerate(given))
    assert built.samples[np.int64(1)].shape == (9, 31, 3)
    assert built.owner.tolist() == [0, 1, 2, 3]
    assert built.digests.tolist() == [digest(image) for image in given]
    assert built.dtype == dtype
    assert built.form == (8, 16, 3)
    assert built.samples_of(np.array([3, 1])).tolist() == [1, 3]


def test_broken_images_of_any_size_leave_no_gap():
    given = of_sizes()
    shapes = [(50, 60, 3), *(image.shape for image in given)]
    built = build_ragged(iter(given[1:]), shapes, "uint8")
    assert len(built) == len(built.samples) == 3
    assert (built.samples[2] == given[3]).all()
    assert built.samples.pixels.size == sum(image.size for image in given[1:])


def test_the_range_of_images_of_any_size_is_that_of_their_pixels():
    deep = [image + np.uint16(1000) for image in of_sizes(1, np.uint16)]
    built = build_ragged(iter(deep), [(90, 90, 1), *(image.shape for image in deep)], "uint16")
    lowest, highest = min(i.min() for i in deep), max(i.max() for i in deep)
    assert built.value_range() == (float(lowest), float(highest))
    assert build_ragged(iter(of_sizes()), [(50, 90, 3)], "uint8").value_range() == (0, 255)


def test_large_images_of_any_size_are_memory_mapped_and_leave_no_file(on_disk):
    given = of_sizes()
    built = build_ragged(iter(given), [image.shape for image in given], "uint8")
    assert isinstance(built.samples.pixels, np.memmap)
    assert (built.samples[0] == given[0]).all()
    assert not list(on_disk.iterdir())


def test_files_of_any_size_and_mode_become_alike_in_channels_and_depth(tmp_path):
    rng = np.random.default_rng(0)
    modes = {"L": (), "RGB": (3,), "RGBA": (4,)}
    paths = []
    for number, (mode, channels) in enumerate(modes.items()):
        pixels = rng.integers(0, 256, (20 + number, 30 - number, *channels), np.uint8)
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels, mode).save(paths[-1])
    paths.append(tmp_path / "deep.png")
    Image.fromarray(rng.integers(0, 65536, (25, 25), np.uint16)).save(paths[-1])
    store, size = store_of_files(probe_files(paths, "fail"), None, None, "fail", any_size=True)
    assert size is None
    assert store.samples.shapes == [(20, 30, 3), (21, 29, 3), (22, 28, 3), (25, 25, 3)]
    assert store.dtype == "uint16"
    store, size = store_of_files(probe_files(paths, "fail"), None, (16, 18), "fail", any_size=True)
    assert size == (16, 18)
    assert store.samples.shape == (4, 16, 18, 3)
