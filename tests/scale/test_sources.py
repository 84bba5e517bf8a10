"""What is listed: folders, patterns, lists, names of every kind, here and on object storage."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from hypothesis import given
from hypothesis import strategies as st

from adacl.errors import DataError, MissingDataError
from adacl.scale.sources import Source, opened_sources
from adacl.scale.storage import absolute, path_of, read_all, text_of
from support.stores import Store, filesystem_of


def names(source: object, below: object = "") -> list[str]:
    prefix = f"{below}/" if below else ""
    return [entry.path.removeprefix(prefix) for entry in Source(str(source)).entries()]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "x.png",
        "a/1.png",
        "a/b/2.JPG",
        "a/b/3.txt",
        "c/4.tar",
        ".hidden/5.png",
        "a/.6.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def test_a_folder_is_listed_in_order_without_what_is_hidden(tree: Path) -> None:
    assert names(tree, tree) == ["a/1.png", "a/b/2.JPG", "c/4.tar", "x.png"]
    assert names(tree / "x.png", tree) == ["x.png"]
    [entry] = Source(str(tree / "c")).entries()
    assert (entry.kind, entry.size) == ("tar", 7)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.png", ["x.png"]),
        ("*/?.png", ["a/1.png"]),
        ("**/*.png", ["a/1.png", "x.png"]),
        ("a/**", ["a/1.png", "a/b/2.JPG"]),
        ("[ac]/*", ["a/1.png", "c/4.tar"]),
    ],
)
def test_a_pattern_is_listed(tree: Path, pattern: str, found: list[str]) -> None:
    assert names(tree / pattern, tree) == found


@pytest.mark.parametrize("ending", [".txt", ".csv", ".parquet"])
def test_names_in_a_list_are_relative_to_it_absolute_or_urls(tree: Path, ending: str) -> None:
    listed = ["x.png", "a/../x.png", str(tree / "c" / "4.tar"), "s3://b/y.png", "gone.png"]
    path = tree / "a" / f"list{ending}"
    if ending == ".parquet":
        pq.write_table(pa.table({"path": listed}), path)
    else:
        path.write_text("\n".join(["path"] * (ending == ".csv") + listed))
    inside = tree / "a"
    expected = [inside / "x.png", inside / "x.png", tree / "c/4.tar", "s3://b/y.png"]
    assert names(path) == [*map(str, expected), str(inside / "gone.png")]


def test_names_in_a_list_on_storage_are_relative_to_it(store: Store) -> None:
    files = filesystem_of(store)
    files.pipe_file("images/lists/l.txt", b"x.png\n../y.png\n./z/w.tar\n")
    assert names("s3://images/lists/l.txt", "s3://images") == [
        "lists/x.png",
        "y.png",
        "lists/z/w.tar",
    ]


def test_objects_are_listed_as_files_are(store: Store) -> None:
    files = filesystem_of(store)
    for name in ("x.png", "a/1.png", "a/b/2.JPG", "a/b/3.txt", "c/4.tar", "a/.6.png", "ab/7.png"):
        files.pipe_file(f"images/tree/{name}", name.encode())
    root = f"{store.url}/tree"
    assert sorted(names(root, root)) == ["a/1.png", "a/b/2.JPG", "ab/7.png", "c/4.tar", "x.png"]
    assert names(f"{root}/a", root) == ["a/1.png", "a/b/2.JPG"]
    assert names(f"{root}/x.png", root) == ["x.png"]
    assert sorted(names(f"{root}/**/*.png", root)) == ["a/1.png", "ab/7.png", "x.png"]
    everything = list(Source(root).entries())
    for number, entry in enumerate(everything):
        assert list(Source(root).entries(entry.path, number + 1)) == everything[number + 1 :]
    with pytest.raises(MissingDataError, match="no such bucket"):
        Source("s3://not-there/x").check()


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "a"), ("a", "a/b"), ("2024", "?024/*.png"), ("**/*.png", "x.png"), ("a", "./c/../a")],
)
def test_sources_that_overlap_are_refused(tree: Path, one: str, other: str) -> None:
    (tree / "2024").mkdir()
    for pair in ((one, other), (other, one)):
        with pytest.raises(DataError, match="could be scored twice"):
            opened_sources([str(tree / name) for name in pair])
    assert len(opened_sources([str(tree / "a"), str(tree / "c")])) == 2


def test_slashes_at_the_end_of_a_url_hide_no_overlap() -> None:
    for pair in (
        ("s3://b/a/", "s3://b/a/c"),
        ("s3://b/a/c", "s3://b/a//"),
        ("s3://b/", "s3://b/a"),
    ):
        with pytest.raises(DataError, match="could be scored twice"):
            opened_sources(pair)
    assert absolute("s3://b/a/") == absolute("s3://b/a") == "s3://b/a"


def test_the_time_to_compare_many_sources_grows_with_their_number(tmp_path: Path) -> None:
    """Each compared with each, 10,000 took 5 seconds."""
    names = [f"{tmp_path}/{number}.png" for number in range(10_000)]
    for name in names:
        Path(name).touch()
    began = time.process_time()
    assert len(opened_sources(names)) == len(names)
    assert time.process_time() - began < 2


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_every_name_can_be_written_and_read_back(name: bytes) -> None:
    path = f"/{os.fsdecode(name)}"
    text = text_of(path)
    assert path_of(text.encode().decode()) == path
    assert text == path or text.startswith("file:///")
    assert absolute(text) == absolute(path)


def test_a_name_in_a_tar_file_leaves_the_url_of_the_tar_file() -> None:
    assert text_of("s3://b/part=a b/0.tar/caf\udce9.png") == "s3://b/part=a b/0.tar/caf%E9.png"


@pytest.mark.parametrize("text", ["a.png\nx.png\nc.png\n", "a.png\n", ""])
def test_a_list_that_changed_since_it_was_begun_is_refused(text: str, tmp_path: Path) -> None:
    names = tmp_path / "list.txt"
    names.write_text(text)
    with pytest.raises(DataError, match="no longer the list"):
        list(Source(str(names)).entries(f"{tmp_path}/b.png", 2))
    names.write_text("a.png\nb.png\nc.png\n")
    [entry] = Source(str(names)).entries(f"{tmp_path}/b.png", 2)
    assert entry.path == f"{tmp_path}/c.png"


def test_files_of_several_storages_are_read_from_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(MemoryFileSystem):
        protocol = "other"
        store: ClassVar[dict[str, object]] = {}
        pseudo_dirs: ClassVar[list[str]] = [""]

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return super()._strip_protocol(path.replace("other://", "memory://"))

    monkeypatch.setitem(_registry, "other", Other)
    (tmp_path / "x.png").write_bytes(b"local")
    paths = ["memory://a/x.png", str(tmp_path / "x.png"), "other://b/x.png", "memory://a/y.png"]
    for path in (paths[0], *paths[2:]):
        with fsspec.open(path, "wb") as file:
            file.write(path.encode())
    contents = [path.encode() for path in paths]
    contents[1] = b"local"
    assert read_all(paths) == contents
    assert read_all([*paths, "other://b/y.png"])[-1] == "no such file"


@pytest.mark.parametrize("name", ["", "s3://", "file://", "/*/x.png", "s3://buck*/x.png"])
def test_a_source_that_names_no_place_is_refused(
    name: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    message = "a pattern begins in a folder or a bucket" if "*" in name else "the name is empty"
    with pytest.raises(DataError, match=message):
        opened_sources([name])
