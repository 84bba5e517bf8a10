"""The official formats: read exactly, found where the documentation says, safe when hostile."""

import gzip
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from adacl.datasets import catalogue
from adacl.datasets.catalogue import BENCHMARKS, Benchmark, DataFile
from adacl.errors import ConfigError, DataError, MissingDataError

IDX_NAMES = [file.name for split in ("train", "test") for file in BENCHMARKS["mnist"].files[split]]
BATCH_NAMES = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]


def _idx(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + np.asarray(array.shape, ">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


def _mnist(seed: int = 0) -> dict[str, np.ndarray]:
    """Return the arrays of the four files, small: 20 training and 10 test images."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name in IDX_NAMES:
        count = 20 if name.startswith("train") else 10
        is_images = "images" in name
        shape = (count, 28, 28) if is_images else (count,)
        arrays[name] = random.integers(0, 256 if is_images else 10, shape, np.uint8)
    return arrays


def _write_mnist(
    folder: Path, place: str = "MNIST/raw", suffix: str = "", seed: int = 0
) -> dict[str, np.ndarray]:
    arrays = _mnist(seed)
    target = folder / place
    target.mkdir(parents=True)
    for name, array in arrays.items():
        content = _idx(array)
        (target / f"{name}{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    return arrays


def _records() -> dict[str, np.ndarray]:
    """Return small batches in CIFAR-10's records: a label, then 32 x 32 red, green and blue."""
    random = np.random.default_rng(0)
    batches = {}
    for place, name in enumerate(BATCH_NAMES):
        batches[name] = random.integers(0, 256, (3 + place, 3073), np.uint8)
        batches[name][:, 0] %= 10
    return batches


def _write_cifar(folder: Path, place: str = "cifar-10-batches-bin") -> dict[str, np.ndarray]:
    target = folder / place
    target.mkdir(parents=True)
    for name, batch in _records().items():
        (target / f"{name}.bin").write_bytes(batch.tobytes())
    return _records()


def _publish(monkeypatch: pytest.MonkeyPatch, name: str, contents: dict[str, bytes]) -> Benchmark:
    """Take the given contents for the official ones."""
    digests = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
    official = BENCHMARKS[name]
    files = {
        split: tuple(DataFile(file.name, digests[file.name]) for file in group)
        for split, group in official.files.items()
    }
    small = replace(official, files=files)
    monkeypatch.setitem(BENCHMARKS, name, small)
    return small


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ADACL_DATA", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache" / name))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("place", ["MNIST/raw", "mnist", "MNIST"])
def test_idx(place: str, suffix: str, tmp_path: Path) -> None:
    arrays = _write_mnist(tmp_path, place, suffix)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = catalogue.load("mnist", split, tmp_path)
        assert images.dtype == np.uint8
        assert labels.dtype == np.int64
        assert images.flags.c_contiguous
        np.testing.assert_array_equal(images[..., 0], arrays[f"{prefix}-images-idx3-ubyte"])
        np.testing.assert_array_equal(labels, arrays[f"{prefix}-labels-idx1-ubyte"])


@pytest.mark.parametrize("place", ["cifar-10-batches-bin", "cifar10"])
def test_cifar(place: str, tmp_path: Path) -> None:
    batches = _write_cifar(tmp_path, place)
    for split, names in (("train", BATCH_NAMES[:5]), ("test", BATCH_NAMES[5:])):
        images, labels = catalogue.load("cifar10", split, tmp_path)
        expected = np.concatenate([batches[name] for name in names])
        assert images.dtype == np.uint8
        assert images.shape == (len(expected), 32, 32, 3)
        assert images.flags.c_contiguous
        np.testing.assert_array_equal(labels, expected[:, 0])
        # the second pixel of the third row, in green
        np.testing.assert_array_equal(images[:, 2, 1, 1], expected[:, 1 + 1024 + 2 * 32 + 1])
        np.testing.assert_array_equal(
            images.transpose(0, 3, 1, 2).reshape(-1, 3072), expected[:, 1:]
        )


def test_python_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """It is pickled: what says what to do instead opens nothing."""
    batch = tmp_path / "cifar-10-batches-py" / "test_batch"
    batch.parent.mkdir()
    batch.write_bytes(b"pickled")
    with pytest.raises(MissingDataError) as caught:
        catalogue.load("cifar10", "test", tmp_path)
    assert str(tmp_path / "cifar-10-batches-bin" / "test_batch.bin") in str(caught.value)
    assert f"{batch} is of the Python version; the binary one is read" in str(caught.value)
    assert {row["state"] for row in catalogue.verify("cifar10", tmp_path)} == {"missing"}
    assert batch.read_bytes() == b"pickled"


@pytest.mark.parametrize("length", [0, 1, 3000])
def test_truncated_batch(length: int, tmp_path: Path) -> None:
    _write_cifar(tmp_path)
    path = tmp_path / "cifar-10-batches-bin" / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match="test_batch"):
        catalogue.load("cifar10", "test", tmp_path)


def _header(*sizes: int, kind: int = 8) -> bytes:
    return bytes((0, 0, kind, len(sizes))) + np.asarray(sizes, ">u4").tobytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        _header(10, 28, 28)[:-1],
        _header(10, 28, 28) + bytes(10 * 784 - 1),
        _header(10, 28, 28) + bytes(10 * 784 + 1),
        _header(10) + bytes(10),
        _header(10, 28, 28, kind=9) + bytes(10 * 784),
        _header(10, 27, 28) + bytes(10 * 27 * 28),
        _header(9, 28, 28) + bytes(9 * 784),
        _header(2**32 - 1, 2**32 - 1, 2**32 - 1),
        b"\x89PNG\r\n\x1a\n" + bytes(1000),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_damaged_idx(suffix: str, content: bytes, tmp_path: Path) -> None:
    _write_mnist(tmp_path, suffix=suffix)
    path = tmp_path / "MNIST" / "raw" / f"t10k-images-idx3-ubyte{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(DataError, match="t10k-images"):
        catalogue.load("mnist", "test", tmp_path)


@pytest.mark.parametrize("fault", ["cut", "no gzip", "wrong checksum"])
def test_damaged_gzip(fault: str, tmp_path: Path) -> None:
    _write_mnist(tmp_path, suffix=".gz")
    path = tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    content = path.read_bytes()
    bad = {"cut": content[:-20], "no gzip": b"x" * 99, "wrong checksum": content[:-8] + bytes(8)}
    path.write_bytes(bad[fault])
    with pytest.raises(DataError, match="fetch it again"):
        catalogue.load("mnist", "test", tmp_path)


def test_label_out_of_range(tmp_path: Path) -> None:
    _write_mnist(tmp_path)
    path = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    path.write_bytes(_idx(np.full(10, 10)))
    with pytest.raises(DataError, match="label 10 is out of range"):
        catalogue.load("mnist", "test", tmp_path)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "MNIST/raw/t10k-images-idx3-ubyte.gz"),
        ("fashion-mnist", "FashionMNIST/raw/t10k-images-idx3-ubyte.gz"),
        ("cifar10", "cifar-10-batches-bin/test_batch.bin"),
    ],
)
def test_missing(name: str, file: str, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError) as caught:
        catalogue.load(name, "test", tmp_path)
    assert str(tmp_path / file) in str(caught.value)
    assert f"adacl data fetch {name}" in str(caught.value)
    assert isinstance(caught.value, FileNotFoundError)


def test_one_file_missing(tmp_path: Path) -> None:
    _write_mnist(tmp_path)
    (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(MissingDataError, match="train-labels-idx1-ubyte is not under"):
        catalogue.load("mnist", "train", tmp_path)
    catalogue.load("mnist", "test", tmp_path)


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=list(BENCHMARKS))
def test_declarations(benchmark: Benchmark, tmp_path: Path) -> None:
    """What is fetched, or put where the message says, is found, before any other copy."""
    assert re.fullmatch(r"https?://[\w./~-]+/", benchmark.url)
    for file in (*benchmark.files["train"], *benchmark.files["test"]):
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        for place in reversed(benchmark.folders):
            path = tmp_path / place / (file.name + (".bin" if benchmark.archive else ".gz"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            assert catalogue.find(benchmark, file, tmp_path) == path


def test_unknown_name(tmp_path: Path) -> None:
    for function in (catalogue.get, catalogue.verify):
        with pytest.raises(ConfigError, match="known are mnist, fashion-mnist, cifar10"):
            function("nist")
    with pytest.raises(ConfigError, match="'nist'"):
        catalogue.load("nist", "train", tmp_path)


def test_order_of_data_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {
        name: _write_mnist(tmp_path / name, seed=seed)
        for seed, name in enumerate(("cache/adacl", "variable", "given"))
    }

    def first_images(folder: Path | None) -> np.ndarray:
        return catalogue.load("mnist", "train", folder)[0][..., 0]

    names = "train-images-idx3-ubyte"
    np.testing.assert_array_equal(first_images(None), arrays["cache/adacl"][names])
    monkeypatch.setenv("ADACL_DATA", str(tmp_path / "variable"))
    np.testing.assert_array_equal(first_images(None), arrays["variable"][names])
    np.testing.assert_array_equal(first_images(tmp_path / "given"), arrays["given"][names])
    monkeypatch.setenv("ADACL_DATA", "")
    np.testing.assert_array_equal(first_images(None), arrays["cache/adacl"][names])


def test_a_home_that_nobody_has_is_a_folder_that_is_not_there() -> None:
    assert catalogue.data_dir("~nobody-of-this-name/data") == Path("~nobody-of-this-name/data")
    with pytest.raises(MissingDataError, match="~nobody-of-this-name"):
        catalogue.load("mnist", "train", "~nobody-of-this-name/data")


def test_folder_given_does_not_fall_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_mnist(tmp_path / "variable")
    monkeypatch.setenv("ADACL_DATA", str(tmp_path / "variable"))
    with pytest.raises(MissingDataError, match="elsewhere"):
        catalogue.load("mnist", "train", tmp_path / "elsewhere")


def test_verify_idx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = _write_mnist(tmp_path, suffix=".gz")
    _publish(monkeypatch, "mnist", {name: _idx(array) for name, array in arrays.items()})
    raw = tmp_path / "MNIST" / "raw"
    assert {row["state"] for row in catalogue.verify("mnist", tmp_path)} == {"official"}

    images = arrays[IDX_NAMES[0]].copy()
    images[0, 0, 0] ^= 1
    (raw / f"{IDX_NAMES[0]}.gz").write_bytes(gzip.compress(_idx(images)))
    (raw / f"{IDX_NAMES[1]}.gz").write_bytes((raw / f"{IDX_NAMES[1]}.gz").read_bytes()[:-9])
    (raw / f"{IDX_NAMES[2]}.gz").unlink()
    rows = catalogue.verify("mnist", tmp_path)
    assert [row["file"] for row in rows] == IDX_NAMES
    assert [row["state"] for row in rows] == ["different", "damaged", "missing", "official"]
    assert [row["path"] for row in rows[1:3]] == [str(raw / f"{IDX_NAMES[1]}.gz"), ""]


def test_verify_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = _write_cifar(tmp_path)
    _publish(monkeypatch, "cifar10", {name: batch.tobytes() for name, batch in batches.items()})
    assert {row["state"] for row in catalogue.verify("cifar10", tmp_path)} == {"official"}

    changed = batches["data_batch_1"].copy()
    changed[0, 9] ^= 1
    path = next(tmp_path.glob("*/data_batch_1*"))
    path.write_bytes(changed.tobytes())
    next(tmp_path.glob("*/data_batch_2*")).write_bytes(b"no batch")
    next(tmp_path.glob("*/test_batch*")).unlink()
    states = [row["state"] for row in catalogue.verify("cifar10", tmp_path)]
    assert states == ["different", "damaged", *["official"] * 3, "missing"]


def _at_hand(name: str, folder: Path) -> str:
    benchmark = BENCHMARKS[name]
    if not any((folder / place).is_dir() for place in benchmark.folders):
        pytest.skip(f"no {benchmark.title} in {folder}")
    return name


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_real_data_are_official(name: str, data_dir: Path) -> None:
    rows = catalogue.verify(_at_hand(name, data_dir), data_dir)
    assert [row["state"] for row in rows] == ["official"] * 4


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "train_counts", "test_counts"),
    [
        (
            "mnist",
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        ),
        ("fashion-mnist", [6000] * 10, [1000] * 10),
    ],
)
def test_real_data_load(
    name: str, train_counts: list[int], test_counts: list[int], data_dir: Path
) -> None:
    for split, counts in (("train", train_counts), ("test", test_counts)):
        images, labels = catalogue.load(_at_hand(name, data_dir), split, data_dir)
        assert images.shape == (sum(counts), 28, 28, 1)
        assert np.bincount(labels, minlength=10).tolist() == counts
