"""The download: resumed, verified, safe, and never half-written under the final name."""

import gzip
import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from adacl.datasets import catalogue
from adacl.datasets.catalogue import Benchmark, DataFile
from adacl.datasets.fetch import fetch
from adacl.errors import ConfigError, DataError, MissingDataError

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@dataclass
class Site:
    """What the local server holds, how it misbehaves, and what it was asked."""

    url: str = ""
    content: dict[str, bytes] = field(default_factory=dict)
    cut: int | None = None
    ignores_range: bool = False
    wrong_offset: bool = False
    redirect: str = ""
    requests: list[tuple[str, str | None]] = field(default_factory=list)


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            name, asked = self.path.lstrip("/"), self.headers["Range"]
            site.requests.append((name, asked))
            if site.redirect:
                self.send_response(302)
                self.send_header("Location", site.redirect)
                self.end_headers()
                return
            if name not in site.content:
                self.send_error(404)
                return
            content, start = site.content[name], 0
            if asked and not site.ignores_range:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_error(416)
                    return
                start -= site.wrong_offset
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content)}/{len(content)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : site.cut])

    return Handler


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "*")
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    site.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _idx(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + np.asarray(array.shape, ">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def mnist_like(site: Site, monkeypatch: pytest.MonkeyPatch) -> Benchmark:
    """Scikit-learn's digits in MNIST's format, on the server."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8) * 15
    files = {}
    for split, part in (("train", slice(0, 300)), ("test", slice(300, 400))):
        pair = []
        for kind, array in (("images-idx3", images[part]), ("labels-idx1", labels[part])):
            name, content = f"{split}-{kind}-ubyte", _idx(array)
            site.content[f"{name}.gz"] = gzip.compress(content, mtime=0)
            pair.append(DataFile(name, _sha256(content)))
        files[split] = tuple(pair)
    classes = tuple("0123456789")
    benchmark = Benchmark(
        "digits", "Digits", classes, (8, 8, 1), ("Digits/raw", "digits"), files, site.url
    )
    monkeypatch.setitem(catalogue.BENCHMARKS, "digits", benchmark)
    return benchmark


def _tar(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return packed.getvalue()


def _batch(count: int, seed: int) -> bytes:
    records = np.random.default_rng(seed).integers(0, 256, (count, 3073), np.uint8)
    records[:, 0] %= 10
    return records.tobytes()


BATCHES = {"data_batch_1": _batch(5, 0), "data_batch_2": _batch(4, 1), "test_batch": _batch(3, 2)}
MEMBERS = {f"batches-bin/{name}.bin": content for name, content in BATCHES.items()} | {
    "batches-bin/batches.meta.txt": b"plane\ncar\n",
    "batches-bin/readme.html": b"not wanted",
}

Publish = Callable[[bytes], Benchmark]


@pytest.fixture
def publish(site: Site, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Return a function that puts an archive in CIFAR-10's format on the server."""

    def put(content: bytes) -> Benchmark:
        site.content["tiny.tar.gz"] = content
        files = {name: DataFile(name, _sha256(batch)) for name, batch in BATCHES.items()}
        benchmark = replace(
            catalogue.BENCHMARKS["cifar10"],
            name="tiny",
            title="Tiny",
            folders=("batches-bin", "batches-py"),
            files={
                "train": (files["data_batch_1"], files["data_batch_2"]),
                "test": (files["test_batch"],),
            },
            url=site.url,
            archive=DataFile("tiny.tar.gz", _sha256(content)),
        )
        monkeypatch.setitem(catalogue.BENCHMARKS, "tiny", benchmark)
        return benchmark

    return put


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_idx_files_are_downloaded_and_load(
    mnist_like: Benchmark, site: Site, tmp_path: Path
) -> None:
    seen = []
    paths = fetch("digits", tmp_path, lambda *step: seen.append(step))
    assert [path.name for path in paths] == list(site.content)
    assert all(path.parent == tmp_path / "Digits" / "raw" for path in paths)
    assert _names(tmp_path) == set(site.content)
    assert {row["state"] for row in catalogue.verify("digits", tmp_path)} == {"official"}
    assert catalogue.load("digits", "train", tmp_path)[0].shape == (300, 8, 8, 1)
    size = len(site.content[f"{IMAGES}.gz"])
    assert [step for step in seen if step[0] == f"{IMAGES}.gz"][-1] == (f"{IMAGES}.gz", size, size)


def test_nothing_is_downloaded_twice(mnist_like: Benchmark, site: Site, tmp_path: Path) -> None:
    first = fetch("digits", tmp_path)
    asked = len(site.requests)
    assert fetch("digits", tmp_path) == first
    assert len(site.requests) == asked == 4


def test_files_in_another_layout_are_not_downloaded(
    mnist_like: Benchmark, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "digits").mkdir()
    plain = tmp_path / "digits" / IMAGES
    plain.write_bytes(gzip.decompress(site.content[f"{IMAGES}.gz"]))
    assert fetch("digits", tmp_path)[0] == plain
    assert f"{IMAGES}.gz" not in {name for name, _ in site.requests}


def test_damaged_file_is_set_aside_and_downloaded(
    mnist_like: Benchmark, site: Site, tmp_path: Path
) -> None:
    fetch("digits", tmp_path)
    hiding = tmp_path / "Digits" / "raw" / IMAGES
    hiding.with_suffix(".gz").unlink()
    hiding.write_bytes(b"\0\0\x08\x03 cut off")
    fetch("digits", tmp_path)
    assert {row["state"] for row in catalogue.verify("digits", tmp_path)} == {"official"}
    assert (hiding.parent / f"{IMAGES}.damaged").read_bytes() == b"\0\0\x08\x03 cut off"


def test_cut_connection_is_resumed(mnist_like: Benchmark, site: Site, tmp_path: Path) -> None:
    site.cut = 1000
    with pytest.raises(MissingDataError, match=r"broke off at 1000 of \d+ bytes") as caught:
        fetch("digits", tmp_path)
    for part in (str(tmp_path / "Digits" / "raw"), *site.content):
        assert part in str(caught.value)
    assert _names(tmp_path) == {f"{IMAGES}.gz.part"}

    site.cut = None
    site.requests.clear()
    seen = []
    fetch("digits", tmp_path, lambda *step: seen.append(step))
    assert site.requests[0] == (f"{IMAGES}.gz", "bytes=1000-")
    assert [asked for _, asked in site.requests[1:]] == [None] * 3
    assert seen[0][1] > 1000
    assert seen[0][2] == len(site.content[f"{IMAGES}.gz"])
    assert _names(tmp_path) == set(site.content)
    assert {row["state"] for row in catalogue.verify("digits", tmp_path)} == {"official"}


@pytest.mark.parametrize("fault", ["ignores_range", "wrong_offset"])
def test_server_that_cannot_resume(
    fault: str, mnist_like: Benchmark, site: Site, tmp_path: Path
) -> None:
    site.cut = 1000
    with pytest.raises(MissingDataError):
        fetch("digits", tmp_path)
    site.cut = None
    setattr(site, fault, True)
    site.requests.clear()
    totals = {}
    fetch("digits", tmp_path, lambda name, _, total: totals.__setitem__(name, total))
    assert len(site.requests) == (4 if fault == "ignores_range" else 5)
    assert totals == {name: len(content) for name, content in site.content.items()}
    assert {row["state"] for row in catalogue.verify("digits", tmp_path)} == {"official"}


@pytest.mark.parametrize("leftover", ["whole", "longer", "foreign"])
def test_leftover_part(leftover: str, mnist_like: Benchmark, site: Site, tmp_path: Path) -> None:
    content = site.content[f"{IMAGES}.gz"]
    part = tmp_path / "Digits" / "raw" / f"{IMAGES}.gz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes({"whole": content, "longer": content + b"x", "foreign": b"x" * 99}[leftover])
    fetch("digits", tmp_path)
    assert {row["state"] for row in catalogue.verify("digits", tmp_path)} == {"official"}
    asked = [start for name, start in site.requests if name == f"{IMAGES}.gz"]
    first = (
        f"bytes={ {'whole': len(content), 'longer': len(content) + 1, 'foreign': 99}[leftover] }-"
    )
    assert asked == ([first] if leftover == "whole" else [first, None])


@pytest.mark.parametrize(
    "content",
    [gzip.compress(_idx(np.zeros((3, 8, 8)))), b"<html>log in here</html>", b"\x1f\x8b\x08cut"],
    ids=["other pixels", "web page", "cut gzip"],
)
def test_wrong_checksum(content: bytes, mnist_like: Benchmark, site: Site, tmp_path: Path) -> None:
    site.content[f"{IMAGES}.gz"] = content
    with pytest.raises(DataError, match="fetch it again") as caught:
        fetch("digits", tmp_path)
    message = str(caught.value)
    assert str(tmp_path / "Digits" / "raw" / f"{IMAGES}.gz") in message
    assert mnist_like.files["train"][0].sha256[:12] in message
    if content[:2] == b"\x1f\x8b" and len(content) > 9:
        assert _sha256(gzip.decompress(content))[:12] in message
    assert _names(tmp_path) == set()
    assert len(site.requests) == 1


def test_gzip_bomb_is_refused(
    mnist_like: Benchmark, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adacl.datasets.fetch._LIMIT", 1 << 18)
    bomb = bytes(1 << 22)
    site.content[f"{IMAGES}.gz"] = gzip.compress(bomb)
    pair = (DataFile(IMAGES, _sha256(bomb)), mnist_like.files["train"][1])  # right, but too large
    hostile = replace(mnist_like, files=mnist_like.files | {"train": pair})
    monkeypatch.setitem(catalogue.BENCHMARKS, "digits", hostile)
    with pytest.raises(DataError, match="SHA-256"):
        fetch("digits", tmp_path)
    assert _names(tmp_path) == set()


def test_endless_download_is_stopped(
    mnist_like: Benchmark, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adacl.datasets.fetch._LIMIT", 100_000)
    site.content[f"{IMAGES}.gz"] = bytes(1 << 20)
    seen = []
    with pytest.raises(DataError, match="SHA-256"):
        fetch("digits", tmp_path, lambda *step: seen.append(step[1]))
    assert max(seen) < 200_000


def test_http_error(mnist_like: Benchmark, site: Site, tmp_path: Path) -> None:
    del site.content[f"{LABELS}.gz"]
    with pytest.raises(MissingDataError, match="HTTP 404") as caught:
        fetch("digits", tmp_path)
    remedy = str(caught.value).partition("yourself: ")[2]
    lacking = [f"{LABELS}.gz", "test-images-idx3-ubyte.gz", "test-labels-idx1-ubyte.gz"]
    assert remedy == ", ".join(lacking)
    assert str(tmp_path / "Digits" / "raw") in str(caught.value)


def test_no_server(mnist_like: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = replace(mnist_like, url="http://127.0.0.1:9/")
    monkeypatch.setitem(catalogue.BENCHMARKS, "digits", away)
    with pytest.raises(MissingDataError, match="put into") as caught:
        fetch("digits", tmp_path)
    assert isinstance(caught.value, FileNotFoundError)
    assert list(tmp_path.iterdir()) == []  # not even a folder


def test_only_http(
    mnist_like: Benchmark, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / f"{IMAGES}.gz"
    secret.write_bytes(site.content[secret.name])
    site.redirect = secret.as_uri()
    with pytest.raises(MissingDataError, match="HTTP 302"):
        fetch("digits", tmp_path)
    local = replace(mnist_like, url=f"{tmp_path.as_uri()}/")
    monkeypatch.setitem(catalogue.BENCHMARKS, "digits", local)
    with pytest.raises(MissingDataError, match="not http"):
        fetch("digits", tmp_path)
    assert _names(tmp_path) == {secret.name}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_disk_full(mnist_like: Benchmark, tmp_path: Path) -> None:
    part = tmp_path / "Digits" / "raw" / f"{IMAGES}.gz.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")  # every write to it fails as on a full disk
    with pytest.raises(DataError, match=r"disk is full.*--data-dir"):
        fetch("digits", tmp_path)
    assert _names(tmp_path) == set()


def test_disk_full_while_unpacking(
    publish: Publish, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(_tar(MEMBERS))

    def fail(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfileobj", fail)
        with pytest.raises(DataError, match=r"No space left|disk is full"):
            fetch("tiny", tmp_path)
    assert _names(tmp_path) == {"tiny.tar.gz.part"}
    site.requests.clear()
    fetch("tiny", tmp_path)  # what was downloaded is used
    assert len(site.requests) == 1
    assert site.requests[0][1] is not None


def test_folder_that_cannot_be_made(mnist_like: Benchmark, tmp_path: Path) -> None:
    (tmp_path / "Digits").write_text("a file in the way")
    with pytest.raises(DataError, match="cannot be written"):
        fetch("digits", tmp_path)


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not known"):
        fetch("nist", tmp_path)


def test_archive_is_downloaded_and_unpacked(publish: Publish, site: Site, tmp_path: Path) -> None:
    publish(_tar(MEMBERS))
    paths = fetch("tiny", tmp_path)
    assert [path.name for path in paths] == [f"{name}.bin" for name in BATCHES]
    assert _names(tmp_path) == {*(path.name for path in paths), "batches.meta.txt"}
    assert {row["state"] for row in catalogue.verify("tiny", tmp_path)} == {"official"}
    images, labels = catalogue.load("tiny", "train", tmp_path)
    assert images.shape == (9, 32, 32, 3)
    assert labels[0] == BATCHES["data_batch_1"][0]
    assert fetch("tiny", tmp_path) == paths
    assert len(site.requests) == 1


def test_only_missing_batches_are_unpacked(publish: Publish, tmp_path: Path) -> None:
    publish(_tar(MEMBERS))
    mine = tmp_path / "batches-py" / "data_batch_1.bin"
    mine.parent.mkdir()
    mine.write_bytes(_batch(2, 9))
    assert fetch("tiny", tmp_path)[0] == mine
    assert not (tmp_path / "batches-bin" / "data_batch_1.bin").exists()


def test_archive_is_resumed_and_wrong_one_refused(
    publish: Publish, site: Site, tmp_path: Path
) -> None:
    content = _tar(MEMBERS)
    benchmark = publish(content)
    site.cut = 2000
    with pytest.raises(MissingDataError, match=r"test_batch\.bin \(unpacked from tiny\.tar\.gz\)"):
        fetch("tiny", tmp_path)
    site.cut = None
    fetch("tiny", tmp_path)
    assert site.requests[-1] == ("tiny.tar.gz", "bytes=2000-")

    site.content["tiny.tar.gz"] = content + b"x"
    with pytest.raises(DataError, match=re.escape(_sha256(content + b"x")[:12])) as caught:
        fetch("tiny", tmp_path / "other")
    assert benchmark.archive is not None
    assert benchmark.archive.sha256[:12] in str(caught.value)
    assert _names(tmp_path / "other") == set()


def test_archive_cannot_write_elsewhere(publish: Publish, tmp_path: Path) -> None:
    evil = {"../evil": b"1", "/tmp/adacl-evil": b"2", "batches-bin/../../evil.bin": b"3"}
    publish(_tar(evil | MEMBERS))
    root = tmp_path / "in" / "here"
    fetch("tiny", root)
    assert _names(tmp_path) == {*(f"{name}.bin" for name in BATCHES), "batches.meta.txt"}
    assert not Path("/tmp/adacl-evil").exists()


def test_archive_links_are_not_followed(publish: Publish, tmp_path: Path) -> None:
    members = {name: content for name, content in MEMBERS.items() if "data_batch_1" not in name}
    publish(_tar(members, {"batches-bin/data_batch_1.bin": "/etc/passwd"}))
    with pytest.raises(DataError, match=r"tiny\.tar\.gz: holds no file data_batch_1\.bin"):
        fetch("tiny", tmp_path)
    assert "data_batch_1.bin" not in _names(tmp_path)
