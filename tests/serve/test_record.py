"""What is kept of a training, read back after it was damaged or forged."""

import json

import pytest

from adacl.config.presets import preset
from adacl.serve.training.record import Training, read_all, write

ID = "0123456789abcdef"


def kept(folder, **changes):
    """Write a training, change what its file holds, and read the folder."""
    training = Training(ID, "a", 3, None, None, preset("paper").to_dict(), "2026-01-01T00:00:00")
    training.history.append({"stage": "fit", "epoch": 0, "loss": 0.5})
    (folder / ID).mkdir()
    write(folder / ID, training)
    path = folder / ID / "training.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return read_all(folder)


def test_a_training_is_read_as_it_was_written(tmp_path):
    (training,) = kept(tmp_path)
    assert (training.id, training.state, training.epochs) == (ID, "queued", 3)
    assert training.describe(1)["position"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "../../other"},
        {"state": "unknown"},
        {"state": "finished", "model": None},
        {"created": 5},
        {"epochs": 0},
        {"stages": "1"},
        {"history": [1]},
        {"history": [{"stage": "fit"}]},
        {"surprise": 1},
    ],
)
def test_a_damaged_one_is_passed_over_by_name(changes, tmp_path, caplog):
    assert kept(tmp_path, **changes) == []
    assert f"{ID}: not a sound training, passed over" in caplog.text


def test_endless_brackets_are_passed_over(tmp_path):
    (tmp_path / ID).mkdir()
    (tmp_path / ID / "training.json").write_text("[" * 100_000)
    assert read_all(tmp_path) == []
