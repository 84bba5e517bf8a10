"""What the service keeps of a training, if somebody changed it, is passed over by name."""

import json

import pytest

from adacl.errors import DataError
from adacl.serve.training.record import FILE, Training, read_all

NAME = "0" * 16


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"epochs": 10**400},
        {"stages": 10**400},
        {"images": -1},
        {"names": [1]},
        {"history": [{"stage": "fit", "epoch": 10**400}]},
        {"history": [{"stage": "fit", "epoch": -1}]},
    ],
)
def test_counts_out_of_range_are_passed_over(changes, tmp_path, caplog):
    training = Training(NAME, "a", 3, None, (16, 16), {}, "2026-01-01", [], "running", 4)
    training.history.append({"stage": "fit", "epoch": 1})
    (tmp_path / NAME).mkdir()
    kept = tmp_path / NAME / FILE
    kept.write_text(json.dumps(vars(training)))
    (found,) = read_all(tmp_path)
    assert 0 < found.describe(None)["progress"] < 1
    kept.write_text(json.dumps(vars(training) | changes))
    assert read_all(tmp_path) == []
    assert "not a sound training, passed over" in caplog.text


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file: cannot be read \(Not a directory\)"):
        read_all(tmp_path / "file")
