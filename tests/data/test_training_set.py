import errno
import os
import tempfile

import numpy as np
import pytest
import torch
from PIL import Image

from adacl.data.copies import digest
from adacl.data.samples import Samples
from adacl.data.training_set import build_ragged, build_samples, probe_files, samples_of_files
from adacl.errors import DataError
from adacl.imaging import mapped
from adacl.imaging.mapped import TemporaryMap
from adacl.imaging.tiles import Tiling


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 20, 24, 3), np.uint8)


@pytest.fixture
def on_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(mapped, "MEMORY_LIMIT", 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def memory_of(pixels):
    while isinstance(pixels, np.ndarray):
        pixels = pixels.base
    return pixels


def whole(images):
    return build_samples(images, images.shape[1:], "uint8", [1] * len(images), None)


def test_whole_images(images):
    built = whole(images)
    assert memory_of(built.pixels) is None
    assert (built.pixels == images).all()
    assert built.owner.tolist() == [0, 1, 2, 3, 4, 5]
    assert built.digests.tolist() == [digest(image) for image in images]
    assert len(built) == 6


def test_tiles_know_their_image(images):
    tiling = Tiling(8, 8)
    sizes = [(20, 24), (20, 24), (8, 8)]
    cropped = [image[:h, :w] for image, (h, w) in zip(images, sizes, strict=False)]
    counts = [len(tiling.corners(*size)) for size in sizes]
    built = build_samples(cropped, (8, 8, 3), "uint8", counts, tiling)
    assert built.owner.tolist() == [0] * 9 + [1] * 9 + [2]
    assert (built.pixels == np.concatenate([tiling.cut(image) for image in cropped])).all()
    assert built.of(np.array([2, 0])).numbers.tolist() == [*range(9), 18]


@pytest.mark.parametrize(
    ("modes", "told"),
    [
        (["L", "P", "L"], "1 of 3 images is stored in colour (with a palette, too)"),
        (["RGB", "RGB", "L"], "2 of 3 images are stored in colour"),
        (["L", "L"], None),
        (["RGB", "P"], None),
    ],
)
def test_a_mixture_of_grey_and_colour_is_told(modes, told, images, tmp_path, caplog):
    for number, (mode, image) in enumerate(zip(modes, images, strict=False)):
        Image.fromarray(image).convert("L").convert(mode).save(tmp_path / f"{number}.png")
    files = probe_files(sorted(tmp_path.iterdir()), "fail")
    samples, _, _ = samples_of_files(files, None, None, "fail")
    assert samples.spec.channels == (1 if modes == ["L", "L"] else 3)
    assert ("stored in colour" in caplog.text) == bool(told)
    assert (told or "") in caplog.text


def test_broken_images_leave_no_gap(images):
    built = build_samples(iter(images[:4]), images.shape[1:], "uint8", [1] * 6, None)
    assert built.pixels.shape == (4, 20, 24, 3)
    assert (built.pixels == images[:4]).all()
    assert len(built) == len(built.owner) == 4


def test_large_stores_are_memory_mapped_and_leave_no_file(images, on_disk):
    built = whole(images)
    assert isinstance(memory_of(built.pixels), TemporaryMap)
    assert (built.pixels == images).all()
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
    assert len(built.pixels) == len(built) == 4
    assert all((built.pixels[n] == image).all() for n, image in enumerate(given))
    assert built.pixels[np.int64(1)].shape == (9, 31, 3)
    assert built.owner.tolist() == [0, 1, 2, 3]
    assert built.digests.tolist() == [digest(image) for image in given]
    assert built.spec.dtype == dtype
    assert (built.spec.height, built.spec.width, built.spec.channels) == (8, 16, 3)
    assert built.of(np.array([3, 1])).numbers.tolist() == [1, 3]


def test_broken_images_of_any_size_leave_no_gap():
    given = of_sizes()
    shapes = [(50, 60, 3), *(image.shape for image in given)]
    built = build_ragged(iter(given[1:]), shapes, "uint8")
    assert len(built) == len(built.pixels) == 3
    assert (built.pixels[2] == given[3]).all()
    assert built.pixels.pixels.size == sum(image.size for image in given[1:])


def test_the_range_of_images_of_any_size_is_that_of_their_pixels():
    deep = [image + np.uint16(1000) for image in of_sizes(1, np.uint16)]
    built = build_ragged(iter(deep), [(90, 90, 1), *(image.shape for image in deep)], "uint16")
    lowest, highest = min(i.min() for i in deep), max(i.max() for i in deep)
    assert (built.spec.low, built.spec.high) == (float(lowest), float(highest))
    shown = build_ragged(iter(of_sizes()), [(50, 90, 3)], "uint8").spec
    assert (shown.low, shown.high) == (0, 255)


def test_large_images_of_any_size_are_memory_mapped_and_leave_no_file(on_disk):
    given = of_sizes()
    built = build_ragged(iter(given), [image.shape for image in given], "uint8")
    assert isinstance(memory_of(built.pixels.pixels), TemporaryMap)
    assert (built.pixels[0] == given[0]).all()
    assert not list(on_disk.iterdir())


def test_some_of_the_samples(images):
    every = Samples(images)
    some = every.subset(np.array([4, 1, 5, 0]))
    assert (np.stack(list(some)) == images[[4, 1, 5, 0]]).all()
    assert some.subset(slice(1, 3)).numbers.tolist() == [1, 5]
    assert some.ordered().numbers.tolist() == [0, 1, 4, 5]
    assert some.thinned(2).numbers.tolist() == [0, 4]
    assert some.thinned(9).numbers.tolist() == [0, 1, 4, 5]
    assert some.joined(every.subset(slice(2))).numbers.tolist() == [4, 1, 5, 0, 0, 1]
    assert some.of(np.array([0, 2, 5])).numbers.tolist() == [5, 0]
    assert [part.numbers.tolist() for part in some.parts(3)] == [[4, 1, 5], [0]]


def test_batches_are_what_the_form_says(images):
    cpu, chosen = torch.device("cpu"), np.array([3, 0, 2])
    given = of_sizes()
    ragged = build_ragged(iter(given), [image.shape for image in given], "uint8")
    wanted = torch.from_numpy(images[chosen]).permute(0, 3, 1, 2) / 255
    batches = list(Samples(images).subset(chosen).batches(cpu, 2))
    assert [len(batch) for batch in batches] == [2, 1]
    assert torch.equal(torch.cat(batches), wanted)
    for number, batch in zip(chosen, ragged.subset(chosen).batches(cpu, 1), strict=True):
        assert torch.equal(batch[0], torch.from_numpy(given[number]).permute(2, 0, 1) / 255)


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
    probed = probe_files(paths, "fail")
    assert probed.listed == 4
    assert probed.sizes(None) == [(20, 30), (21, 29), (22, 28), (25, 25)]
    found, size, _ = samples_of_files(probed, None, None, "fail", any_size=True)
    assert size is None
    assert found.pixels.shapes == [(20, 30, 3), (21, 29, 3), (22, 28, 3), (25, 25, 3)]
    assert found.spec.dtype == "uint16"
    found, size, _ = samples_of_files(probed, None, (16, 18), "fail", any_size=True)
    assert size == (16, 18)
    assert found.pixels.shape == (4, 16, 18, 3)


@pytest.mark.parametrize("tiling", [None, Tiling(8, 8)])
def test_a_file_whose_size_changes_while_the_images_are_read_is_not_taken(tiling, images, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, image in zip(paths, images, strict=False):
        Image.fromarray(image).save(path)
    files = probe_files(paths, "skip")
    for size in ((60, 50), (10, 8)):
        Image.fromarray(images[1]).resize(size).save(paths[1])
        _, _, kept = samples_of_files(files, tiling, None, "skip", tiling is None)
        assert kept == [paths[0], paths[2]]
        with pytest.raises(DataError, match=r"1\.png: its size changed while the images were read"):
            samples_of_files(files, tiling, None, "fail", tiling is None)
