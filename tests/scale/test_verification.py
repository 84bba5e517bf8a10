"""Each kind of damage to the results of a run is noticed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adacl.errors import DataError
from adacl.scale.results import rows_of
from adacl.scale.storage import Folder
from support.helpers import call, refused
from support.scaling import begun, finished, wrongs


def _changed(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    """Change the table of a part, and count its rows anew as a careful forger would."""

    def damage(out: Path) -> None:
        part = _part(out)
        table = change(pq.read_table(part))
        header = json.loads(table.schema.metadata[b"adacl"])
        statuses = table["status"].to_pylist()
        header["counts"] |= {"images": len(statuses), "scored": statuses.count("scored")}
        pq.write_table(table.replace_schema_metadata({"adacl": json.dumps(header)}), part)

    return damage


def _part(out: Path) -> Path:
    return sorted((out / "parts").iterdir())[1]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def _flip(path: Path) -> None:
    """Change a byte of the first page of values, which the footer says nothing of."""
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(content)


def _put(number: int, values: pa.Array) -> Callable[[Path], None]:
    """Put values in place of a column of a part."""

    def damage(out: Path) -> None:
        table = pq.read_table(_part(out))
        field = table.schema.field(number).with_type(values.type)
        pq.write_table(table.set_column(number, field, values), _part(out))

    return damage


def _counted(count: object) -> Callable[[Path], None]:
    def damage(out: Path) -> None:
        table = pq.read_table(_part(out))
        header = json.loads(table.schema.metadata[b"adacl"])
        header["counts"]["scored"] = count
        pq.write_table(table.replace_schema_metadata({"adacl": json.dumps(header)}), _part(out))

    return damage


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "part removed": (lambda out: _part(out).unlink(), "1 of 5 units of work have no results"),
    "part of another unit": (
        lambda out: shutil.copy(sorted((out / "parts").iterdir())[0], _part(out)),
        "not those of the manifest",
    ),
    "part changed inside": (lambda out: _flip(_part(out)), "not a sound Parquet file"),
    "part cut": (lambda out: _cut(_part(out)), "not a sound Parquet file"),
    "part empty": (lambda out: _part(out).write_bytes(b""), "not a sound Parquet file"),
    "row removed": (_changed(lambda table: table.slice(1)), "not those of the manifest"),
    "row twice": (
        _changed(lambda table: pa.concat_tables([table, table.slice(0, 1)])),
        "not those of the manifest",
    ),
    "row in place of another": (
        _changed(lambda table: pa.concat_tables([table.slice(0, 1), table.slice(0, 1), table[2:]])),
        "not those of the manifest",
    ),
    "status changed": (_put(7, pa.array(["failed"] * 4)), "not those that were counted"),
    "column of another type": (_put(2, pa.array(["x"] * 4)), "not the columns that"),
    "text that is no UTF-8": (
        _put(8, pa.array([b"\xff"] * 4).view(pa.string())),
        "not a sound Parquet file",
    ),
    "count that is no number": (_counted("4"), "their counts are no numbers"),
}
FOREIGN: dict[str, tuple[Callable[[Path], None], str]] = {
    "foreign file": (
        lambda out: (out / "parts" / "x.parquet").touch(),
        "belongs to no unit of work",
    ),
    "manifest file missing": (
        lambda out: (out / "manifest" / "000001.parquet").unlink(),
        "4 files of the manifest, 5 were written",
    ),
    "manifest file cut": (
        lambda out: _cut(out / "manifest" / "000001.parquet"),
        "not a sound Parquet file",
    ),
    "manifest file of something else": (
        lambda out: pq.write_table(pa.table({"a": [1]}), out / "manifest" / "000001.parquet"),
        "not the columns that",
    ),
    "listing of no numbers": (
        lambda out: (out / "manifest.json").write_text('{"entries": 1, "size": 1, "shards": "5"}'),
        r"manifest\.json: damaged",
    ),
    "nested listing": (
        lambda out: (out / "manifest.json").write_text("[" * 100_000),
        r"manifest\.json: damaged",
    ),
    "nested run": (
        lambda out: (out / "run.json").write_text("[" * 100_000),
        "not a folder that adacl scale score",
    ),
    "listing without an end": (lambda out: (out / "manifest.json").unlink(), "come to its end"),
    "not ended": (lambda out: (out / "_SUCCESS").unlink(), "no _SUCCESS"),
    "no run": (lambda out: (out / "run.json").unlink(), "not a folder that adacl scale score"),
    "damaged run": (lambda out: (out / "run.json").write_text("{}"), "run.json is damaged"),
}


@pytest.fixture
def out(model: Path, images: Path, tmp_path: Path) -> Path:
    finished(begun(tmp_path / "out", model, images, shard_images=4))
    return tmp_path / "out"


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_to_a_unit_of_work_is_noticed_and_mended(
    out: Path, model: Path, images: Path, name: str
) -> None:
    damage, expected = DAMAGES[name]
    assert wrongs(Folder(str(out))) == []
    scores = [row.raw_score for row in rows_of(Folder(str(out)))]
    damage(out)
    if name == "part removed":
        with pytest.raises(DataError, match=expected):
            wrongs(Folder(str(out)))
    else:
        [wrong] = wrongs(Folder(str(out)))
        assert expected in wrong
    finished(begun(out, model, images, shard_images=4))
    assert wrongs(Folder(str(out))) == []
    assert [row.raw_score for row in rows_of(Folder(str(out)))] == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("name", FOREIGN)
def test_damage_to_the_folder_is_noticed(out: Path, name: str) -> None:
    damage, expected = FOREIGN[name]
    damage(out)
    with pytest.raises(DataError, match=expected):
        wrongs(Folder(str(out)))


def test_the_command_says_what_is_wrong(out: Path) -> None:
    code, said, _ = call("scale", "verify", out, "--json")
    assert (code, json.loads(said)["images"]) == (0, 20)
    _cut(_part(out))
    assert "1 unit of work not right" in refused(3, "scale", "verify", out)
    _part(out).unlink()
    assert "1 of 5 units of work have no results yet" in refused(3, "scale", "verify", out)
