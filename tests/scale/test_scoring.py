"""Runs of scoring: one row for each image, the same whatever happens in between."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from adacl.cli.support import progress
from adacl.deploy.export import export_model
from adacl.errors import ConfigError, DataError, MissingDataError
from adacl.runtime import Scorer
from adacl.scale import results
from adacl.scale.engines import Engine
from adacl.scale.parts import name_of
from adacl.scale.results import rows_of
from adacl.scale.scoring import ScoringRun
from adacl.scale.shard import score_shard
from adacl.scale.storage import Folder, path_of
from support.helpers import call, refused, without_rights, write_images
from support.scaling import begun, finished, listed, scored, wrongs
from support.stores import Store, filesystem_of


def test_scores_are_those_of_the_scorer_here_and_on_storage(
    model: Path, images: Path, tmp_path: Path, store: Store
) -> None:
    paths = sorted(images.rglob("*.png"))
    expected = [score.raw for score in Scorer(model).score_files(paths)]
    rows = scored(tmp_path / "out", model, images)
    assert [row.path for row in rows] == [str(path) for path in paths]
    assert [row.raw_score for row in rows] == pytest.approx(expected, abs=1e-5)
    assert {row.status for row in rows} == {"scored"}

    files = filesystem_of(store)
    for path in paths:
        files.pipe_file(f"images/{path.relative_to(tmp_path)}", path.read_bytes())
    stored = scored(f"{store.url}/out", model, f"{store.url}/images")
    assert [row.path.removeprefix(store.url) for row in stored] == [
        row.path.removeprefix(str(tmp_path)) for row in rows
    ]
    assert [row.raw_score for row in stored] == pytest.approx(expected, abs=1e-5)


def test_unusual_and_hostile_files_are_rows(model: Path, images: Path, tmp_path: Path) -> None:
    content = (images / "a" / "0000.png").read_bytes()
    folder = tmp_path / "odd"
    folder.mkdir()
    good = [b"a b.png", "größe 大.png".encode(), b"two\nlines.png", b"bad\xff.png", b"100%.png"]
    for name in good:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(content)
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no image")
    (folder / "cut.png").write_bytes(content[:-20])
    os.mkfifo(folder / "pipe.png")
    (folder / "nowhere.png").symlink_to("gone")
    (folder / "list.txt").write_text("missing.png\n")
    rows = scored(tmp_path / "out", model, folder, folder / "list.txt")
    found = {os.fsencode(path_of(row.path)).rpartition(b"/")[2]: row for row in rows}
    assert len(rows) == len(found) == len(good) + 6
    assert {name for name, row in found.items() if row.status == "scored"} == {*good}
    assert len({row.raw_score for row in rows if row.status == "scored"}) == 1
    assert all(bool(row.reason) == (row.status == "failed") for row in rows)
    assert found[b"pipe.png"].reason == "a pipe, not a file"
    assert found[b"nowhere.png"].reason == found[b"missing.png"].reason == "no such file"
    assert found[b"bad\xff.png"].path == f"file://{folder}/bad%FF.png"
    again = scored(tmp_path / "again", model, tmp_path / "out" / "parts" / _part(tmp_path / "out"))
    assert [row.path for row in again] == [row.path for row in rows][:5]


def test_remarks_are_written_and_counted(model: Path, images: Path, tmp_path: Path) -> None:
    with Image.open(images / "a" / "0003.png") as image:
        image.convert("RGB").save(images / "a" / "colour.png")
    run = begun(tmp_path / "out", model, images)
    assert finished(run).remarked == 1
    remarks = [row.remark for row in rows_of(run.folder) if row.remark]
    assert [remark.endswith("in colour, those learnt are grey") for remark in remarks] == [True]


def _part(out: Path) -> str:
    return min(path.name for path in (out / "parts").glob("*.parquet"))


def test_an_object_with_signs_of_a_pattern_is_read(
    model: Path, images: Path, tmp_path: Path, store: Store
) -> None:
    content = (images / "a" / "0000.png").read_bytes()
    files = filesystem_of(store)
    odd = ["img[1].png", "a b.png", "größe.png", "star*.png"]
    for name in odd:
        files.pipe_file(f"images/odd/{name}", content)
    rows = scored(tmp_path / "out", model, f"{store.url}/odd")
    assert sorted(row.path for row in rows) == sorted(f"{store.url}/odd/{name}" for name in odd)
    assert {(row.status, row.reason) for row in rows} == {("scored", "")}
    (tmp_path / "gone.txt").write_text(f"{store.url}/odd/gone.png")
    [row] = scored(tmp_path / "gone", model, tmp_path / "gone.txt")
    assert (row.status, row.reason) == ("failed", "no such file")


def write_tar(path: Path, members: list[tuple[str, bytes | None]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            info.size = len(content or b"")
            file.addfile(info, io.BytesIO(content or b""))
    return path


def test_a_list_may_name_a_tar_file_twice(model: Path, images: Path, tmp_path: Path) -> None:
    content = (images / "a" / "0000.png").read_bytes()
    whole = write_tar(tmp_path / "a.tar", [("x.png", content), ("y.png", content)])
    (tmp_path / "cut.tar").write_bytes(whole.read_bytes()[:1600])
    write_tar(tmp_path / "empty.tar", [])
    (tmp_path / "list.txt").write_text("a.tar\na.tar\ncut.tar\ncut.tar\nempty.tar\nempty.tar\n")
    rows = scored(tmp_path / "out", model, tmp_path / "list.txt", shard_images=9)
    each = ["a.tar/x.png", "a.tar/y.png"], ["cut.tar/x.png", "cut.tar"], ["empty.tar"]
    expected = [name for names in each for name in names * 2]
    assert [row.path.removeprefix(f"{tmp_path}/") for row in rows] == expected


def _damaged(content: bytes, place: int) -> bytes:
    return content[:place] + b"damage" + content[place + 6 :]


def test_tar_files_sound_and_not(model: Path, images: Path, tmp_path: Path) -> None:
    content = [path.read_bytes() for path in sorted((images / "a").iterdir())]
    folder = tmp_path / "tars"
    folder.mkdir()
    members = [(f"{n:03}.png", one) for n, one in enumerate(content)]
    whole = write_tar(folder / "a-sound.tar", [*members, ("000.json", b"{}")])
    write_tar(folder / "b-packed.tgz", members, "w:gz")
    odd = [
        ("./x.png", content[0]),
        ("x.png", content[1]),
        ("link.png", None),
        ("y\udcff.png", content[2]),
    ]
    write_tar(folder / "c-odd.tar", odd)
    write_tar(folder / "d-empty.tar", [])
    (folder / "e-cut.tar").write_bytes(whole.read_bytes()[:2500])
    (folder / "h-no-end.tar").write_bytes(whole.read_bytes()[: 1024 * len(members)])
    (folder / "i-damaged.tar").write_bytes(_damaged(whole.read_bytes(), 1024 * 4))
    (folder / "f-text.tar").write_text("no tar file" * 100)
    (folder / "g-cut.tgz").write_bytes((folder / "b-packed.tgz").read_bytes()[:900])
    rows = scored(tmp_path / "out", model, folder, shard_images=3)
    by_tar: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        tar, _, name = path_of(row.path).removeprefix(f"{folder}/").partition("/")
        by_tar.setdefault(tar, []).append((name, row.status))
    assert by_tar["a-sound.tar"] == by_tar["b-packed.tgz"] == [(n, "scored") for n, _ in members]
    assert by_tar["c-odd.tar"] == [
        ("x.png", "scored"),
        ("x.png#2", "scored"),
        ("link.png", "failed"),
        ("y\udcff.png", "scored"),
    ]
    assert by_tar["d-empty.tar"] == by_tar["f-text.tar"] == [("", "failed")]
    reasons = {Path(path_of(row.path)).name: row.reason for row in rows}
    for cut in ("e-cut.tar", "g-cut.tgz", "h-no-end.tar", "i-damaged.tar"):
        assert by_tar[cut][-1] == ("", "failed")
        assert f"after {len(by_tar[cut]) - 1} images" in reasons[cut]
    plain = {
        Path(row.path).name: row.raw_score
        for row in scored(tmp_path / "plain", model, images / "a")
    }
    for row in rows[: len(members)]:
        assert row.raw_score == pytest.approx(plain[f"0{Path(row.path).name}"], abs=1e-5)


@pytest.mark.parametrize("whole", [0, 1, 3])
def test_an_interrupted_listing_goes_on(
    images: Path, tmp_path: Path, store: Store, whole: int
) -> None:
    files = filesystem_of(store)
    for path in images.rglob("*.png"):
        files.pipe_file(f"images/{path.relative_to(tmp_path)}", path.read_bytes())
    for sources in ([images / "a", images / "b"], [f"{store.url}/images"]):
        alone = Folder(str(tmp_path / f"alone-{len(sources)}-{whole}"))
        expected = listed(alone, *sources, shard_images=3)
        for number, out in enumerate((tmp_path / f"again-{len(sources)}-{whole}", None)):
            folder = Folder(str(out or f"{store.url}/out-{len(sources)}-{whole}-{number}"))
            for name in alone.names("manifest")[:whole]:
                folder.create(f"manifest/{name}", alone.read(f"manifest/{name}") or b"")
            if whole:  # some storages leave a half file when they are killed
                half = alone.names("manifest")[whole]
                folder.create(f"manifest/{half}", (alone.read(f"manifest/{half}") or b"")[:100])
            assert listed(folder, *sources, shard_images=3) == expected
            assert folder.names("manifest") == alone.names("manifest")


def lives(group: int) -> bool:
    """Tell whether a group has a process."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_run_that_is_terminated_with_its_workers_goes_on(
    model: Path, digits: Any, tmp_path: Path
) -> None:
    """As ``timeout`` ends a command: it signals the whole group."""
    write_images(tmp_path / "many", digits.images[:200])
    out = tmp_path / "out"
    command = ["scale", "score", model, tmp_path / "many", "--out", out, "--shard-images", 2]
    with subprocess.Popen(
        [sys.executable, "-m", "adacl", *map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 120
        while not list(out.glob("parts/*.parquet")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "adacl: interrupted; repeat the same command to continue"
    deadline = time.monotonic() + 60
    while lives(process.pid):  # the tracker of its workers ends after it
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not (out / "_SUCCESS").exists()
    code, _, err = call(*command)
    assert code == 0, err
    assert "of them are scored already" in err
    assert call("scale", "verify", out)[0] == 0


def test_how_far_a_run_is_is_said_where_no_bar_can_be_drawn(
    model: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SAY_EVERY", 0.0)
    command = ["scale", "score", model, images, "--shard-images", 5, "--workers", 1]
    _, _, err = call(*command, "--out", tmp_path / "out")
    assert re.search("^scoring: 5 of 20, about [0-9]+ s left$", err, re.MULTILINE)
    assert "scoring: 20 of 20\n" in err
    assert "scoring" not in call(*command, "--out", tmp_path / "again", "-q")[2]
    _, _, err = call("score", model, images, "--format", "csv")
    assert re.search("^scoring: 19 of 20, about [0-9]+ s left$", err, re.MULTILINE), err


@pytest.mark.parametrize("reached", [{}, {"source": "7", "taken": "2"}, {"source": "x"}])
def test_a_listing_that_does_not_say_how_far_it_went_goes_on(
    images: Path, tmp_path: Path, reached: dict[str, str]
) -> None:
    folder = Folder(str(tmp_path / "out"))
    expected = listed(folder, images / "a", images / "b", shard_images=3)
    last = tmp_path / "out" / "manifest" / folder.names("manifest")[-1]
    pq.write_table(pq.read_table(last).replace_schema_metadata(reached), last)
    (tmp_path / "out" / "manifest.json").unlink()
    assert listed(folder, images / "a", images / "b", shard_images=3) == expected


def test_two_commands_at_once_end_with_the_same(model: Path, images: Path, tmp_path: Path) -> None:
    one = ScoringRun(str(tmp_path / "out"), model, [str(images)], shard_images=4)
    other = ScoringRun(str(tmp_path / "out"), model, [str(images)], shard_images=4)
    ends = _alternating(one.listed(), other.listed())
    assert ends[0][-1] == ends[1][-1]
    for shard in one.missing():
        score_shard(one.task, shard)
        before = one.folder.read(name_of(shard, one.work.hash))
        score_shard(other.task, shard)
        assert other.folder.read(name_of(shard, other.work.hash)) == before
    assert one.finish() == other.finish()
    assert wrongs(one.folder) == []


def _alternating(*iterators):
    found = [[] for _ in iterators]
    remaining = list(enumerate(iterators))
    while remaining:
        for number, iterator in list(remaining):
            item = next(iterator, None)
            if item is None:
                remaining.remove((number, iterator))
            else:
                found[number].append(item)
    return found


def test_the_first_part_stands_where_the_storage_knows_conditions(store: Store) -> None:
    folder = Folder(f"{store.url}/first")
    assert folder.create("x", b"one")
    again = folder.create("x", b"two")
    assert folder.read("x") == (b"two" if again else b"one")


def test_anomalous_images_get_their_heat_maps(
    model: Path, images: Path, tmp_path: Path, store: Store
) -> None:
    tar = write_tar(tmp_path / "one.tar", [("x.png", (images / "a" / "0000.png").read_bytes())])
    raw = sorted(score.raw for score in Scorer(model).score_files(images))
    settings = {"threshold": raw[10], "heatmaps": True}
    for out in (str(tmp_path / "out"), f"{store.url}/maps"):
        run = begun(out, model, images, tar, **settings)
        finished(run)
        for row in rows_of(run.folder):
            assert bool(row.heatmap) == bool(row.pred_label)
            content = run.folder.read(row.heatmap) if row.heatmap else None
            if content:
                with Image.open(io.BytesIO(content)) as picture:
                    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (8, 8))
                    assert len(picture.getcolors() or ()) > 10
    with pytest.raises(DataError, match="another run, with another --heatmaps"):
        begun(tmp_path / "out", model, images, tar, threshold=raw[10])


def test_another_model_threshold_or_source_is_refused(
    model: Path, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    finished(begun(out, model, images))
    for source, settings, name in (
        (images, {"threshold": 0.5}, "--threshold"),
        (images / "a", {}, "list of sources"),
        (images, {"shard_images": 7}, "--shard-images"),
    ):
        with pytest.raises(DataError, match=f"another run, with another {name}; score into"):
            ScoringRun(str(out), model, [str(source)], **settings)


def test_a_wrong_name_does_not_claim_the_folder(model: Path, images: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no such file"):
        ScoringRun(str(tmp_path / "out"), model, [str(tmp_path / "imagse")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingDataError, match="no images found"):
        begun(tmp_path / "out", model, tmp_path / "empty")
    assert len(scored(tmp_path / "out", model, images)) == 20


def test_results_keep_what_they_are_of(model: Path, images: Path, tmp_path: Path) -> None:
    run = begun(tmp_path / "out", model, images, shard_images=8)
    (tmp_path / "out" / "run.json").unlink()
    finished(run)
    assert (tmp_path / "out" / "run.json").is_file()
    shutil.rmtree(tmp_path / "out" / "manifest")
    again = begun(tmp_path / "out", model, images, shard_images=8)
    with pytest.raises(DataError, match="0 files of the manifest, 3 were written"):
        finished(again)
    assert (tmp_path / "out" / "run.json").is_file()


def test_a_tar_file_that_became_a_folder_or_a_pipe_is_a_row(
    model: Path, images: Path, tmp_path: Path
) -> None:
    content = next(images.rglob("*.png")).read_bytes()
    tars = [write_tar(tmp_path / f"{name}.tar", [("x.png", content)]) for name in "abc"]
    run = begun(tmp_path / "out", model, *tars)
    for tar in tars[:2]:
        tar.unlink()
    tars[0].mkdir()
    os.mkfifo(tars[1])
    assert finished(run).failed == 2
    said = [row.reason for row in rows_of(run.folder)]
    assert said == ["a folder, not a file", "a pipe, not a file", ""]


def test_results_do_not_lie_among_what_is_scored(model: Path, images: Path, tmp_path: Path) -> None:
    (link := tmp_path / "link").symlink_to(images)
    places = (images, images), (images / "a" / "out", images), (images / "out", link)
    for out, source in (*places, (link / "out", images)):
        with pytest.raises(ConfigError, match="which is scored; name a folder outside"):
            ScoringRun(str(out), model, [str(source)])
    assert not list(images.rglob("run.json"))
    for source in (tmp_path / "parts", tmp_path / "parts" / "monday", tmp_path / "manifest"):
        shutil.copytree(images, source)
        with pytest.raises(ConfigError, match="results would be written among these"):
            ScoringRun(str(tmp_path), model, [str(source)])
    with pytest.raises(ConfigError, match="which is scored"):
        ScoringRun(str(tmp_path), model, ["/"])


def test_single_images_share_units_of_work(images: Path, tmp_path: Path) -> None:
    paths = [*map(str, sorted(images.rglob("*.png")))]
    (tmp_path / "list.txt").write_text("\n".join(paths[:5]))
    sources = [*paths, tmp_path / "list.txt"]
    alone, again = Folder(str(tmp_path / "alone")), Folder(str(tmp_path / "again"))
    expected = listed(alone, *sources, shard_images=8)
    assert [entry.path for entry in expected] == [*paths, *paths[:5]]
    names = alone.names("manifest")
    assert len(names) == 4
    for name in names[:3]:  # the third ends within the list
        again.create(f"manifest/{name}", alone.read(f"manifest/{name}") or b"")
    assert listed(again, *sources, shard_images=8) == expected


def test_damaged_results_are_scored_again_and_foreign_files_stay(
    model: Path, images: Path, tmp_path: Path
) -> None:
    run = begun(tmp_path / "out", model, images, shard_images=4)
    finished(run)
    part = tmp_path / "out" / "parts" / _part(tmp_path / "out")
    before = part.read_bytes()
    part.write_bytes(before[:200])
    (part.parent / "notes.txt").write_text("mine")
    assert finished(run).images == 20
    assert part.read_bytes() != before[:200]
    assert (part.parent / "notes.txt").read_text() == "mine"


def test_the_totals_are_those_of_the_results_that_are_there(
    model: Path, images: Path, tmp_path: Path
) -> None:
    run = begun(tmp_path / "out", model, images, shard_images=4)
    finished(run)
    (tmp_path / "out" / "parts" / _part(tmp_path / "out")).unlink()
    shutil.rmtree(images / "a")
    run.done()
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    counts = finished(run)
    assert counts.failed
    assert json.loads((tmp_path / "out" / "_SUCCESS").read_text())["failed"] == counts.failed


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_engines_give_the_same(model: Path, images: Path, tmp_path: Path, engine: str) -> None:
    if engine == "ray":
        pytest.importorskip("ray")
    expected = scored(tmp_path / "alone", model, images)
    run = begun(tmp_path / "out", model, images, shard_images=5)
    counts = list(run.score(Engine(engine, workers=1)))  # type: ignore[arg-type]
    assert sum(count.images for count in counts) == run.finish().images == 20
    assert wrongs(run.folder) == []
    assert [(row.id, row.raw_score) for row in rows_of(run.folder)] == [
        (row.id, pytest.approx(row.raw_score, abs=1e-5)) for row in expected
    ]


def test_pandas_and_duckdb_read_the_results(model: Path, images: Path, tmp_path: Path) -> None:
    pandas, duckdb = pytest.importorskip("pandas"), pytest.importorskip("duckdb")
    rows = scored(tmp_path / "out", model, images)
    table = pandas.read_parquet(tmp_path / "out" / "parts")
    assert table["path"].tolist() == [row.path for row in rows]
    assert table["raw_score"].tolist() == [row.raw_score for row in rows]
    found = duckdb.sql(f"select sum(pred_label), count(*) from '{tmp_path}/out/parts/*.parquet'")
    assert found.fetchall() == [(sum(row.pred_label or 0 for row in rows), 20)]


def test_a_report_is_refused_where_it_could_show_no_picture(
    model: Path, images: Path, tmp_path: Path
) -> None:
    def command(source: object) -> list[object]:
        page = tmp_path / "page.html"
        return ["scale", "score", model, source, "--out", tmp_path / "out", "--report", page]

    packed = tmp_path / "packed" / "a.TAR"
    packed.parent.mkdir()
    with tarfile.open(packed, "w") as tar:
        tar.add(images / "a", "a")
    (tmp_path / "list.txt").write_text("packed/a.TAR\n")
    for source in (packed, packed.parent, tmp_path / "list.txt"):
        assert f"cannot be fetched from {packed}" in refused(2, *command(source))
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
    (tmp_path / "list.txt").write_text("s3://bucket/x.png\n")
    assert "cannot be fetched from s3://bucket/x.png" in refused(2, *command(tmp_path / "list.txt"))
    shutil.rmtree(tmp_path / "out")
    call(*command(images.as_uri()))
    assert "data:image" in (tmp_path / "page.html").read_text()


def test_a_report_counts_what_it_does_not_name(
    model: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "NAMED", 3)
    (tmp_path / "list.txt").write_text("images/a/0000.png\n" + "gone.png\n" * 5)
    page, out = tmp_path / "page.html", tmp_path / "out"
    call("scale", "score", model, tmp_path / "list.txt", "--out", out, "--report", page)
    text = " ".join(page.read_text().split())
    assert "5 files could not be read." in text
    assert "3 of 5 files that could not be read are named." in text


def test_what_cannot_be_used_is_told_in_a_line(model: Path, images: Path, tmp_path: Path) -> None:
    def said(source: object, out: object) -> str:
        return refused(3, "scale", "score", model, source, "--out", out)

    (tmp_path / "file").touch()
    assert "no such file" in said(tmp_path / "gone", tmp_path / "out")
    assert "Protocol not known" in said("nonsense://b/x", tmp_path / "out")
    assert "Protocol not known" in said(images, "nonsense://b/x")
    assert "file: is a file; name a folder" in said(images, tmp_path / "file")
    (tmp_path / "locked").mkdir(mode=0o555)
    tmp_path.chmod(0o755)
    with without_rights():
        folder = Folder(str(tmp_path / "locked" / "out"))
        with pytest.raises(DataError, match="Permission denied"):
            folder.create("x", b"")
    shutil.rmtree(images)
    images.mkdir()
    assert "no images found" in said(images, tmp_path / "out")


def test_a_model_that_was_replaced_meanwhile_scores_nothing(
    model: Path, images: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "model.onnx"
    shutil.copy(model, copy)
    run = begun(tmp_path / "out", copy, images)
    export_model(model.with_suffix(".adacl"), copy, dynamic_batch=True, licence="another")
    [shard] = run.missing()
    with pytest.raises(DataError, match="not the model that the run began with"):
        score_shard(run.task, shard)
    assert run.missing() == [shard]
    with pytest.raises(DataError, match=r"another run, with another model"):
        ScoringRun(run.folder.path, copy, [str(images)])


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_a_threshold_that_is_no_number_claims_no_folder(
    threshold: float, model: Path, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="threshold"):
        begun(tmp_path / "out", model, images, threshold=threshold)
    assert not (tmp_path / "out").exists()


def test_a_file_system_without_hard_links_will_do(
    model: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    rows = scored(tmp_path / "out", model, images)
    assert len(rows) == 20
    folder = Folder(str(tmp_path / "out"))
    before = folder.read("run.json")
    assert not folder.create("run.json", b"another")
    assert folder.read("run.json") == before
    assert not list((tmp_path / "out").rglob(".*"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "name is empty; name a folder"),
        ("file://", "name is empty; name a folder"),
        ("s3://", "name is empty; name a folder"),
        ("s3:///", "name is empty; name a folder"),
        ("notes.txt", "notes.txt: is a file"),
    ],
)
def test_results_go_to_a_folder_alone(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=message):
        Folder(name)
    assert Folder("/").path == "/"
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
