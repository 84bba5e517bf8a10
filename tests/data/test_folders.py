import logging
import os
import shutil
import threading
from pathlib import Path

import pytest

from adacl.data.folders import ImageFiles, each_image, list_images, without_repeats
from adacl.data.reading import AHEAD, processors, reading_by, stream
from adacl.errors import ImageError, MissingDataError

PATHS = [Path(f"{number:03d}.png") for number in range(100)]


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(root, paths):
    return [path.relative_to(root).as_posix() for path in paths]


def test_images_are_found_anywhere_below_in_a_stable_order(tmp_path):
    touch(tmp_path, "b.png", "a/z.JPG", "a/y/x.webp", "c.tiff", "B.bmp", "a.jpeg", "d.Tif")
    expected = ["B.bmp", "a/y/x.webp", "a/z.JPG", "a.jpeg", "b.png", "c.tiff", "d.Tif"]
    assert names(tmp_path, list_images(tmp_path)) == expected
    assert list_images(str(tmp_path)) == list_images([tmp_path])


def test_hidden_files_are_passed_over_and_other_types_counted(tmp_path, caplog):
    touch(tmp_path, "a.png", ".b.png", ".git/c.png", "png", "x.png.part", "e.gif")
    touch(tmp_path, "1.xyz", "d/2.XYZ", "d/3.xyz", "d/4.txt", "5.txt")
    files = ImageFiles(tmp_path)
    assert names(tmp_path, files) == ["a.png", "e.gif"]
    counted = "ignored 7 files of other types: 3 .xyz, 2 .txt, 1 without an extension, 1 .part"
    assert sorted(caplog.messages[0].split(", ")) == sorted(counted.split(", "))
    assert len(caplog.messages) == 1


def test_a_folder_of_arrays_is_for_python(tmp_path):
    touch(tmp_path, "a.npy", "b.npy")
    with pytest.raises(MissingDataError, match=r"no images found in .*; load arrays \(\.npy\) and"):
        list_images(tmp_path)


def test_named_paths_keep_their_order(tmp_path):
    touch(tmp_path, "one/b.png", "one/a.png", "two.png", "strange.name")
    named = [tmp_path / "two.png", tmp_path / "one", tmp_path / "strange.name"]
    expected = ["two.png", "one/a.png", "one/b.png", "strange.name"]
    assert names(tmp_path, list_images(named)) == expected


def test_what_is_named_twice_is_left_out_and_told(tmp_path, caplog):
    touch(tmp_path, "one/a.png", "one/.b.png", "one/c.name", "one/in/d.png", "one/l.txt", "e.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "e.png")
    given = [
        "e.png", "one/a.png", "one", "one/../e.png", "one/in", "one/.b.png", "one/c.name",
        "one/l.txt", "one/none.png", "link.png",
    ]  # fmt: skip
    kept = ["e.png", "one", "one/.b.png", "one/c.name", "one/l.txt", "one/none.png", "link.png"]
    assert names(tmp_path, without_repeats([tmp_path / name for name in given])) == kept
    assert len(caplog.messages) == len(given) - len(kept)
    assert caplog.messages[0] == f"{tmp_path}/one/a.png: named more than once, taken once"


def test_linked_folders_and_files_are_followed(tmp_path):
    touch(tmp_path, "parts/a.png", "elsewhere/b.png", "elsewhere/deep/c.png")
    (tmp_path / "parts/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "parts/d.png").symlink_to(tmp_path / "elsewhere/b.png")
    found = names(tmp_path / "parts", list_images(tmp_path / "parts"))
    assert found == ["a.png", "d.png", "link/b.png", "link/deep/c.png"]


@pytest.mark.parametrize("target", [".", "..", "../.."])
def test_links_that_lead_back_are_named_and_passed_over(target, tmp_path, caplog):
    touch(tmp_path, "a/b/c.png", "d.png")
    (tmp_path / "a/b/loop").symlink_to(target)
    assert names(tmp_path, list_images(tmp_path)) == ["a/b/c.png", "d.png"]
    link = tmp_path / "a/b/loop"
    assert caplog.messages == [f"skipped {link}: this link leads back to a folder above it"]


@pytest.mark.parametrize("name", ["self", "self.png"])
def test_a_link_to_itself_is_named_and_passed_over(name, tmp_path, caplog):
    touch(tmp_path, "a.png")
    (tmp_path / name).symlink_to(name)
    files = ImageFiles(tmp_path)
    assert len(files) == 1
    assert names(tmp_path, files) == ["a.png"]
    assert len(caplog.messages) == 1
    assert f"{tmp_path / name}: Too many levels of symbolic links" in caplog.text


def test_folders_are_walked_however_deep(tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        Path("d").mkdir()
        os.chdir("d")
    Path("deep.png").touch()
    try:
        (found,) = list_images(tmp_path)
        assert found.name == "deep.png"
        assert len(found.relative_to(tmp_path).parts) == 1201
        assert not caplog.messages
    finally:  # Python itself cannot remove them
        Path("deep.png").unlink()
        for _ in range(1200):
            os.chdir("..")
            Path("d").rmdir()


def test_a_path_that_is_too_long_is_named(tmp_path, caplog, monkeypatch):
    touch(tmp_path, "a.png")
    monkeypatch.chdir(tmp_path)
    for _ in range(20):
        Path("d" * 250).mkdir()
        os.chdir("d" * 250)
    os.chdir(tmp_path)
    assert names(tmp_path, list_images(tmp_path)) == ["a.png"]
    assert "its path is too long" in caplog.text


def test_nothing_to_find(tmp_path):
    with pytest.raises(MissingDataError, match=rf"{tmp_path.name}.*png"):
        list_images(tmp_path)
    with pytest.raises(MissingDataError, match="nowhere"):
        list_images(tmp_path / "nowhere")
    with pytest.raises(MissingDataError, match="empty list"):
        list_images([])


def test_stream_keeps_the_order_whatever_finishes_first():
    turn = [threading.Event() for _ in PATHS]

    def read(path):
        number = int(path.stem)
        if number % 2 == 0:
            turn[number + 1].wait(timeout=30)
        turn[number].set()
        return number

    assert list(stream(PATHS, read, workers=4)) == list(zip(PATHS, range(100), strict=True))


def test_stream_reads_only_a_few_files_ahead():
    taken, done, ahead = 0, 0, []

    def paths():
        nonlocal taken
        for path in PATHS:
            taken += 1
            yield path

    for _ in stream(paths(), lambda path: path, workers=2):
        done += 1
        ahead.append(taken - done)
    assert done == len(PATHS)
    assert 0 < max(ahead) <= 8


@pytest.mark.parametrize(("count", "threads"), [(1, 1), (3, 3), (None, processors())])
def test_readers_are_as_many_as_stated_and_read_so_many_files_ahead(count, threads):
    used, taken, done, ahead = set(), 0, 0, []

    def paths():
        nonlocal taken
        for path in PATHS:
            taken += 1
            yield path

    with reading_by(count):
        for _ in stream(paths(), lambda path: used.add(threading.get_ident())):
            done += 1
            ahead.append(taken - done)
    assert len(used) <= threads
    assert max(ahead) == min(AHEAD * threads, len(PATHS)) - 1


def test_stream_stops_reading_when_it_is_left():
    begun = []
    for _ in stream(PATHS, begun.append, workers=1):
        break
    assert len(begun) <= 5


def broken(path):
    if int(path.stem) % 10 == 3:
        raise ImageError(f"{path}: broken")
    return int(path.stem)


def test_stream_skips_broken_files_and_names_them(caplog):
    skipped = []
    with caplog.at_level(logging.WARNING, "adacl"):
        read = list(stream(PATHS, broken, "skip", skipped))
    assert [path.stem for path, _ in skipped] == [f"{number:03d}" for number in range(3, 100, 10)]
    assert [path for path, _ in read] == [path for path in PATHS if path not in dict(skipped)]
    assert all(any(f"{path}: {why}" in line for line in caplog.messages) for path, why in skipped)


def test_stream_fails_at_the_first_broken_file():
    reading = stream(PATHS, broken, "fail")
    assert [next(reading)[1] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ImageError, match=r"003\.png"):
        next(reading)


@pytest.mark.parametrize("on_error", ["skip", "fail"])
def test_stream_hides_no_other_error(on_error):
    def fail(path):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(stream(PATHS, fail, on_error))


def test_stream_of_nothing():
    assert list(stream([], broken)) == []


def test_what_was_found_is_not_looked_into_once_it_is_a_folder(tmp_path):
    images = [tmp_path / "a.png", tmp_path / "b.png"]
    for image in images:
        image.touch()
    named, found = list_images(tmp_path), each_image(ImageFiles(tmp_path))
    assert next(found) == images[0]
    images[1].unlink()
    images[1].mkdir()
    (images[1] / "inner.png").touch()
    assert list(found) == images[1:]
    assert list(each_image(named)) == images
    assert list(each_image([images[1]])) == [images[1] / "inner.png"]


def test_images_that_are_gone_when_folders_are_gone_through_again_are_told(tmp_path, caplog):
    touch(tmp_path, *(f"{folder}/{n}.png" for folder in "abcd" for n in range(3)))
    found = iter(ImageFiles(tmp_path))
    assert next(found) == tmp_path / "a" / "0.png"
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "c" / "1.png").unlink()
    shutil.rmtree(tmp_path / "d")
    (tmp_path / "d").touch()
    rest = ["a/1.png", "a/2.png", "c/0.png", "c/2.png"]
    assert names(tmp_path, found) == rest
    for folder, images in (("b", "3 images"), ("c", "1 image"), ("d", "3 images")):
        assert f"skipped {images} of {tmp_path / folder}, no longer found there" in caplog.text
    assert len(caplog.records) == 3


def test_a_list_that_is_gone_when_it_is_read_again_is_told(tmp_path, caplog):
    touch(tmp_path, "a/0.png", "b/0.png", "b/1.png")
    (tmp_path / "few.txt").write_text("b/0.png\nb/1.png")
    found = iter(ImageFiles([tmp_path / "a", tmp_path / "few.txt"]))
    next(found)
    (tmp_path / "few.txt").unlink()
    assert not list(found)
    assert "few.txt: cannot be read as a list of images" in caplog.text
    assert f"skipped 2 images of {tmp_path / 'b'}, no longer found there" in caplog.text


def test_a_folder_that_vanishes_while_images_are_counted_is_told(tmp_path, caplog, monkeypatch):
    touch(tmp_path, "a/0.png", "b/0.png")
    scandir = os.scandir

    def vanishing(folder):
        if folder == str(tmp_path / "a"):
            shutil.rmtree(tmp_path / "b")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert names(tmp_path, list_images(tmp_path)) == ["a/0.png"]
    assert f"skipped {tmp_path / 'b'}: no longer there" in caplog.text
