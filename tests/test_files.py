"""Files that are written: links are followed, permissions kept, read-only files respected."""

import os
import stat
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adacl import AnomalyDetector
from adacl.deploy.export import export_model
from adacl.errors import DataError
from adacl.files import atomic_file, check_writable, new_folder
from support.helpers import TINY, call, refused, without_rights

LONGEST = 255


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def model(digits, tmp_path):
    """Return a model file in a folder of its own."""
    path = tmp_path / "store" / "m.adacl"
    path.parent.mkdir()
    AnomalyDetector(config=TINY).fit(digits.of(3)[:60]).save(path)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_permissions_are_kept(mode, model, threes):
    model.chmod(mode)
    before = model.read_bytes()
    assert call("calibrate", model, threes.test_normal)[0] == 0
    assert model.read_bytes() != before
    assert mode_of(model) == mode


def test_a_new_file_gets_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "new") as file:
            file.write(b"1")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "new") == 0o640


def test_threads_that_write_at_the_same_time_leave_the_usual_permissions(tmp_path, monkeypatch):
    real = os.umask
    before = real(0o027)

    def slow(mask):
        found = real(mask)
        time.sleep(0.002)
        return found

    def write(name):
        for number in range(10):
            with atomic_file(tmp_path / f"{name}-{number}") as file:
                file.write(b"1")

    monkeypatch.setattr(os, "umask", slow)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, "abcd"))
    finally:
        after = real(before)
    assert after == 0o027
    assert {mode_of(path) for path in tmp_path.iterdir()} == {0o640}


def test_a_link_is_followed(model, threes, tmp_path):
    link, further = tmp_path / "link.adacl", tmp_path / "further.adacl"
    link.symlink_to("store/m.adacl")
    further.symlink_to(link)
    model.chmod(0o600)
    before = model.read_bytes()
    assert call("calibrate", further, threes.test_normal)[0] == 0
    assert link.is_symlink()
    assert further.is_symlink()
    assert model.read_bytes() != before
    assert mode_of(model) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "further.adacl", "link.adacl", "store"
    ]  # fmt: skip
    assert [path.name for path in model.parent.iterdir()] == ["m.adacl"]


def test_a_link_to_what_is_not_there_makes_it(tmp_path):
    (tmp_path / "link").symlink_to("new")
    with atomic_file(tmp_path / "link", "w") as file:
        file.write("text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "new").read_text() == "text"
    (tmp_path / "astray").symlink_to("nowhere/new")
    with pytest.raises(DataError, match="nowhere does not exist"):
        check_writable(tmp_path / "astray")


def test_a_link_to_itself_is_refused(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(link)
    for attempt in (check_writable, lambda path: atomic_file(path).__enter__()):
        with pytest.raises(DataError, match="leads to itself"):
            attempt(link)
    assert link.is_symlink()


def test_from_python_too_no_pipe_is_replaced(model, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for path in (pipe, tmp_path / "link"):
        with pytest.raises(DataError, match=f"{path.name}: is not a file but a device or a pipe"):
            AnomalyDetector.load(model).save(path)
        with pytest.raises(DataError, match=f"{path.name}: is not a file but a device or a pipe"):
            export_model(model, path)
    assert pipe.is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe", "store"]


def test_a_read_only_file_is_respected(model, threes, tmp_path):
    link = tmp_path / "link.adacl"
    link.symlink_to(model)
    before = model.read_bytes()
    model.chmod(0o444)
    for path in (model, link):
        for command in (["calibrate", path, threes.test_normal], ["fit", threes.train, "-o", path]):
            assert f"{path}: is read-only; make it writable (chmod u+w)" in refused(3, *command)
    with pytest.raises(DataError, match="read-only"):
        AnomalyDetector.load(model).save(model)
    assert model.read_bytes() == before
    assert mode_of(model) == 0o444


@pytest.mark.parametrize("letter", ["a", "ä", "图"])
def test_the_longest_name_can_be_written(letter, tmp_path):
    size = len(letter.encode())
    path = tmp_path / (letter * (LONGEST // size))
    with atomic_file(path) as file:
        file.write(b"1")
    assert path.read_bytes() == b"1"
    with (
        pytest.raises(DataError, match="File name too long"),
        atomic_file(tmp_path / (path.name + "aaa")) as file,
    ):
        file.write(b"1")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes files of another user")
def test_a_file_that_only_its_owner_may_replace_is_refused_before_work_begins():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.adacl"
        path.touch()
        path.chmod(0o666)
        Path(folder).chmod(0o1777)
        with without_rights():
            with pytest.raises(PermissionError):
                path.rename(path.with_name("other"))
            with pytest.raises(DataError, match=r"belongs to another user.*name another file"):
                check_writable(path)
            check_writable(path.with_name("new"))
        os.chown(path, 65534, -1)
        with without_rights():
            check_writable(path)


def test_a_link_to_itself_among_the_inputs_is_named(model, threes, tmp_path):
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    out = tmp_path / "out.csv"
    assert f"{loop}: no such file" in refused(3, "score", model, loop, "-o", out)
    assert not out.exists()


def test_a_new_folder_appears_once_it_is_complete(tmp_path):
    target = tmp_path / "above" / "new"
    with new_folder(target) as temporary:
        (temporary / "a.txt").write_text("whole")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["a.txt"]
    assert [path.name for path in target.parent.iterdir()] == ["new"]


@pytest.mark.parametrize("error", [DataError, KeyboardInterrupt])
def test_of_a_new_folder_that_fails_nothing_is_left(error, tmp_path):
    def fail():
        with new_folder(tmp_path / "new") as temporary:
            (temporary / "a.txt").write_text("half")
            raise error(f"{temporary / 'a.txt'}: cannot be written (No space left on device)")

    with pytest.raises(error) as raised:
        fail()
    if error is DataError:
        said = f"{tmp_path / 'new' / 'a.txt'}: cannot be written (No space left on device)"
        assert str(raised.value) == said
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"), new_folder(tmp_path / "file" / "x"):
        pass
