"""Files of records: shared by processes, torn by kills, damaged by hand."""

import subprocess
import sys
from pathlib import Path

import pytest

from adacl.errors import DataError
from adacl.scale import records

FIRST, SECOND = {"name": "first", "values": [1, 2.5]}, {"name": "é", "values": []}


WRITER = """
import sys
from pathlib import Path
from adacl.scale import records
for number in range(50):
    record = {"writer": int(sys.argv[2]), "number": number, "filling": "x" * 20_000}
    records.append(Path(sys.argv[1]), record)
"""


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    assert records.read(path) == []
    for record in (FIRST, SECOND):
        records.append(path, record)
    assert records.read(path) == [FIRST, SECOND]


def test_processes_append_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    commands = [[sys.executable, "-c", WRITER, str(path), str(writer)] for writer in range(3)]
    writers = [subprocess.Popen(command) for command in commands]
    assert [process.wait(60) for process in writers] == [0, 0, 0]
    found = [(record["writer"], record["number"]) for record in records.read(path)]
    assert sorted(found) == [(writer, number) for writer in range(3) for number in range(50)]


def test_a_torn_last_line_is_skipped_and_then_removed(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    records.append(path, FIRST)
    begun = path.stat().st_size
    records.append(path, SECOND)
    whole = path.read_bytes()
    for end in range(begun + 1, len(whole) - 1):
        path.write_bytes(whole[:end])
        assert records.read(path) == [FIRST]
        records.append(path, SECOND)
        assert path.read_bytes() == whole


def test_a_last_line_that_lacks_its_end_alone_counts(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    records.append(path, FIRST)
    path.write_bytes(path.read_bytes()[:-1])
    assert records.read(path) == [FIRST]
    records.append(path, SECOND)
    assert records.read(path) == [FIRST, SECOND]


@pytest.mark.parametrize("line", ['{"name": "fir', "[1, 2]", ""])
def test_a_damaged_line_among_others_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(f'{{"name": "first"}}\n{line}\n{{"name": "third"}}\n')
    with pytest.raises(DataError, match=r"records\.jsonl, line 2: damaged"):
        records.read(path)


def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No space left"):
        records.append(Path("/dev/full"), FIRST)


def test_a_line_without_an_end_of_brackets_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text("[" * 100_000 + "\n{}\n")
    with pytest.raises(DataError, match="line 1: damaged"):
        records.read(tmp_path / "records.jsonl")
