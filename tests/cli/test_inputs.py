"""Models, images and folders that cannot be used: named, skipped or refused."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from support.helpers import QUICK, call, refused, without_rights


def test_wrong_places_are_refused(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    model = parts / "model"
    assert "no such file" in refused(3, "fit", tmp_path / "none", "-o", tmp_path / "m")
    message = refused(3, "fit", tmp_path / "empty", "-o", tmp_path / "m")
    assert "no images found" in message
    assert "adacl video fit" not in message
    film = tmp_path / "films" / "monday" / "door.mp4"
    film.parent.mkdir(parents=True)
    film.write_bytes(b"film")
    for source in (film, tmp_path / "films"):
        assert "adacl video fit" in refused(3, "fit", source, "-o", tmp_path / "m")
        for command in (
            ("score", model, source),
            ("explain", model, source),
            ("evaluate", model, "--normal", parts / "good", "--abnormal", source),
        ):
            assert "for videos use adacl video fit, score, " in refused(3, *command)
    assert "is a folder" in refused(3, "fit", parts / "train", "-o", tmp_path)
    assert "does not exist" in refused(3, "fit", parts / "train", "-o", tmp_path / "a" / "m")
    assert "no such configuration" in refused(
        3, "fit", parts / "train", "-o", tmp_path / "m", "--config", tmp_path / "none.toml"
    )
    assert "no such file" in refused(3, "score", tmp_path / "none", parts / "good")
    assert "no such file" in refused(3, "score", model, tmp_path / "none")
    assert "does not exist" in refused(3, "score", model, parts, "-o", tmp_path / "a" / "b")
    assert "no images found" in refused(
        3, "evaluate", model, "--normal", tmp_path / "empty", "--abnormal", parts / "bad"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "films"}


def test_an_exported_file_is_named_as_one(parts: Path, tmp_path: Path) -> None:
    message = refused(2, "export", parts / "model", tmp_path / "model.txt")
    assert "model.txt: is an ONNX file; give it a name that ends in .onnx" in message


def test_broken_images_are_named_and_skipped_or_refused(parts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(parts / "good", folder)
    whole = (folder / "000.png").read_bytes()
    (folder / "a-text.png").write_text("not an image")
    (folder / "b-empty.jpg").write_bytes(b"")
    (folder / "c-cut.png").write_bytes(whole[: len(whole) // 2])
    code, out, err = call("score", parts / "model", folder, "--format", "jsonl")
    assert code == 0
    assert len(out.splitlines()) == 63
    for name in ("a-text.png", "b-empty.jpg", "c-cut.png"):
        assert name in err
    assert "3 of 66 images were skipped" in err
    assert "a-text.png" in refused(
        3, "score", parts / "model", folder, "--on-error", "fail", "-o", tmp_path / "out"
    )
    assert not (tmp_path / "out").exists()
    assert "a-text.png" in refused(3, "fit", folder, "-o", tmp_path / "m", "--on-error", "fail")
    code, _, err = call("fit", folder, "-o", tmp_path / "m", *QUICK)
    assert code == 0
    assert "3 of 66 images were skipped" in err


def test_a_remark_on_many_files_is_said_of_one_and_the_others_are_counted(
    parts: Path, tmp_path: Path
) -> None:
    remark = "has several pages or frames, of which only the first is read"

    def said(name: str, count: int, *command: object) -> list[str]:
        folder = tmp_path / name
        folder.mkdir()
        for path in sorted((parts / "good").iterdir())[:count]:
            with Image.open(path) as page:
                pages = {"save_all": True, "append_images": [page.rotate(90)]}
                page.save(folder / f"{path.stem}.tif", **pages)
        code, _, err = call(*command, folder)
        assert code == 0, err
        first, *further = [line for line in err.splitlines() if remark in line]
        assert re.fullmatch(rf"warning: {folder}/\w+\.tif: {remark}", first)
        return further

    score, fit = ("score", parts / "model"), ("fit", "-o", tmp_path / "model", *QUICK)
    assert not said("one", 1, *score)
    counted = [f"warning: the same holds for 29 further files: {remark}"]
    assert said("many", 30, *score) == said("learnt", 30, *fit) == counted


def test_only_broken_images(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("not an image")
    assert "can be read" in refused(3, "fit", tmp_path, "-o", tmp_path / "m")
    assert "can be read" in refused(
        3, "evaluate", parts / "model", "--normal", tmp_path, "--abnormal", parts / "bad"
    )
    assert "can be read" in refused(3, "calibrate", parts / "model", tmp_path, "-o", tmp_path / "m")


def test_files_without_permission_are_errors_of_data(parts: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        model, closed, image = (Path(folder) / name for name in ("model", "closed", "closed.png"))
        shutil.copy(parts / "model", model)
        shutil.copy(parts / "model", closed)
        shutil.copy(next((parts / "good").iterdir()), image)
        assert call("score", model, image)[0] == 0
        for path in (closed, image):
            path.chmod(0)
        commands = {("info", closed): closed, ("score", closed, image): closed}
        commands[("score", model, image)] = image
        with without_rights():
            for command, named in commands.items():
                assert f"adacl: {named}: cannot be read (Permission denied)" in refused(3, *command)


def test_links_that_lead_back_and_pipes_are_named_and_passed_over(
    parts: Path, tmp_path: Path
) -> None:
    shutil.copytree(parts / "good", tmp_path / "in")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    os.mkfifo(tmp_path / "in" / "pipe.png")
    code, out, err = call("score", parts / "model", tmp_path / "in")
    assert code == 0
    assert len(out.splitlines()) == len(list((parts / "good").iterdir())) + 1
    assert "again: this link leads back to a folder above it" in err
    assert "pipe.png: cannot be read (a pipe, not a file)" in err


def test_unsound_models_are_refused(parts: Path, tmp_path: Path) -> None:
    content = (parts / "model").read_bytes()
    model = tmp_path / "model"
    for damaged in (b"", b"x" * 100, content[:-1], content[: len(content) // 2]):
        model.write_bytes(damaged)
        for command in (("info", model), ("score", model, parts / "good")):
            assert str(model) in refused(4, *command)
