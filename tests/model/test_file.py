import ast
import errno
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

import adacl
from adacl.detector import AnomalyDetector
from adacl.errors import DataError, MissingDataError, ModelFileError
from adacl.model import tensor_file
from adacl.model.file import load_model, read_model, save_model
from adacl.model.header import FORMAT_VERSION, ModelHeader
from support.helpers import TINY


@pytest.fixture(scope="module")
def detector(digits):
    return AnomalyDetector(config=TINY, device="cpu").fit(digits.of(3)[:40])


@pytest.fixture(scope="module")
def content(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.adacl"
    save_model(detector.model_, path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile") / "hostile.adacl"


@pytest.fixture
def path(content, tmp_path):
    path = tmp_path / "model.adacl"
    path.write_bytes(content)
    return path


def refuse(path, match=None):
    with pytest.raises(ModelFileError, match=match) as caught:
        load_model(path)
    assert path.name in str(caught.value)
    return str(caught.value)


def test_weights_of_another_network_are_told_in_a_line(path):
    def change(tensors, header):
        for name in [name for name in tensors if ".features." in name]:
            tensors[f"{name}.other"] = tensors.pop(name)

    message = refuse(rewrite(path, change), "features.* is not as its network has it; fit it again")
    assert len(message) < 120 + len(str(path))


def test_scores_survive_the_round_trip(detector, digits, path):
    model = load_model(path)
    assert (
        model.raw(digits.images[..., None]) == detector.model_.raw(digits.images[..., None])
    ).all()
    assert model.threshold == detector.model_.threshold
    assert model.config == detector.model_.config
    assert (model.digests == detector.model_.digests).all()


def test_equal_models_give_equal_files(digits, content, tmp_path):
    again = AnomalyDetector(config=TINY, device="cpu").fit(digits.of(3)[:40])
    again.save(tmp_path / "again.adacl")
    assert (tmp_path / "again.adacl").read_bytes() == content
    save_model(load_model(tmp_path / "again.adacl"), tmp_path / "copy.adacl")
    assert (tmp_path / "copy.adacl").read_bytes() == content


def test_the_header_tells_what_is_inside(path):
    header, tensors = read_model(path)
    assert header.spec.height == 8
    assert "network.output.weight" in tensors


def test_a_header_gives_back_what_the_file_holds(path):
    _, tree = tensor_file.read(path)
    assert json.loads(json.dumps(read_model(path)[0].to_dict())) == tree
    tree["config"]["network"].pop("blocks")  # as a version without this setting wrote it
    assert ModelHeader.from_dict(tree).config.network.blocks == TINY.network.blocks


@settings(max_examples=100)
@given(st.data())
def test_truncated_files_are_refused(content, scratch, data):
    scratch.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    refuse(scratch)


@settings(max_examples=400)
@given(st.data())
def test_a_single_wrong_byte_is_refused(content, scratch, data):
    header = int.from_bytes(content[:8], "little")
    place = data.draw(st.integers(0, 8 + header) | st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    scratch.write_bytes(damaged)
    refuse(scratch)


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_anything_else_is_refused(scratch, data):
    scratch.write_bytes(data)
    refuse(scratch)


@settings(max_examples=50)
@given(st.text(max_size=50) | st.just("[" * 100_000) | st.just('{"__metadata__": []}'))
def test_a_safetensors_frame_around_anything_is_refused(scratch, text):
    header = text.encode("utf-8", "surrogatepass")
    scratch.write_bytes(len(header).to_bytes(8, "little") + header)
    refuse(scratch)


def test_endlessly_nested_headers_are_refused(scratch):
    metadata = {"adacl": "[" * 100_000, "sha256": ""}
    save_file({"weight": np.zeros(3, np.float32)}, scratch, metadata)
    refuse(scratch)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_does_not_have_are_refused(path, value):
    tensors, header = tensor_file.read(path)
    header["history"]["epochs"][0]["loss"] = value
    document = {"header": header, "sha256": tensor_file.digest(tensors, header)}
    save_file(tensors, path, metadata={"adacl": json.dumps(document, sort_keys=True)})
    refuse(path, "not an adacl file, or damaged")


def test_longer_files_are_refused(content, scratch):
    scratch.write_bytes(content + b"\0")
    refuse(scratch)


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def test_a_pickle_is_refused_and_not_run(tmp_path):
    path, target = tmp_path / "model.adacl", tmp_path / "was_here"
    path.write_bytes(pickle.dumps(Malicious(target)))
    refuse(path)
    assert not target.exists()


def test_plain_safetensors_are_refused(tmp_path):
    path = tmp_path / "plain.safetensors"
    save_file({"weight": np.zeros(3, np.float32)}, path)
    refuse(path, "not one that adacl wrote")


def test_a_checkpoint_is_no_model(digits, tmp_path):
    AnomalyDetector(config=TINY, device="cpu", checkpoints=tmp_path).fit(digits.of(3)[:40])
    refuse(tmp_path / "network.ckpt", "checkpoint")


def test_missing_files_and_folders_are_refused_by_name(tmp_path):
    with pytest.raises(MissingDataError, match=r"mm: cannot be read \(File name too long\)"):
        load_model("m" * 300)
    with pytest.raises(MissingDataError, match="nowhere"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(MissingDataError, match=tmp_path.name):
        load_model(tmp_path)


def rewrite(path, change):
    """Change a model file and set its checksum right, as an enemy would."""
    tensors, header = tensor_file.read(path)
    change(tensors, header)
    tensor_file.write(path, tensors, header)
    return path


def test_newer_formats_are_refused(path):
    refuse(
        rewrite(path, lambda _, h: h.update(format_version=FORMAT_VERSION + 1)), "newer.*upgrade"
    )


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("output.weight", lambda t: t["network.output.weight"].__setitem__(0, np.nan)),
        ("output.bias", lambda t: t["network.output.bias"].__setitem__(0, np.inf)),
        ("output.weight", lambda t: t.update({"network.output.weight": np.zeros((1, 9), "f4")})),
        ("output.bias", lambda t: t.pop("network.output.bias")),
        ("more", lambda t: t.update({"network.more": np.zeros(1, "f4")})),
        ("digests", lambda t: t.pop("digests")),
    ],
    ids=["nan", "infinity", "shape", "missing", "more", "digests"],
)
def test_unsound_weights_are_refused(path, name, change):
    refuse(rewrite(path, lambda tensors, _: change(tensors)), name)


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ("config", None),
        ("config", {"network": {"channels": [400, 400, 400]}}),
        ("config", {"surprise": 1}),
        ("spec", None),
        ("spec", {"height": -8}),
        ("spec", {"height": "8"}),
        ("spec", {"height": 1e300}),
        ("spec", {"dtype": "object"}),
        ("spec", {"low": 255.0}),
        ("spec", {"low": "0"}),
        ("spec", {"low": True}),
        ("threshold", {"value": "0.5"}),
        ("threshold", {"method": "magic"}),
        ("threshold", {"surprise": 1}),
        ("threshold", {"curve": [[10**400, 0.1]]}),
        ("spec", {"low": 10**400}),
        ("training", {"learnt": {"level": [10**400] * 5, "ends": [0, 1], "channels": []}}),
        (
            "training",
            {"learnt": {"level": [0] * 5, "ends": [0, 1], "channels": [], "sizes": [[1, 1]]}},
        ),
        (
            "training",
            {"learnt": {"level": [0] * 5, "ends": [0, 1], "channels": [], "sizes": [[0, 0]] * 2}},
        ),
        ("history", {"best_epoch": 99}),
        ("history", {"epochs": 1}),
        ("training", None),
    ],
)
def test_unsound_headers_are_refused(path, section, changes):
    def change(_, header):
        if changes is None:
            del header[section]
        else:
            header[section] |= changes

    refuse(rewrite(path, change))


@pytest.mark.parametrize(
    ("name", "value"), [("tiling", {"height": 4, "width": 8}), ("resize", [8])]
)
def test_unsound_tilings_and_sizes_are_refused(path, name, value):
    refuse(rewrite(path, lambda _, header: header.update({name: value})))


def test_saving_replaces_an_older_model(detector, content, tmp_path):
    path = tmp_path / "model.adacl"
    path.write_bytes(b"old")
    save_model(detector.model_, path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_no_other(detector, path, content, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(DataError, match=r"model\.adacl.*No space left"):
                save_model(detector.model_, path)
        assert path.read_bytes() == content
        assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_write_leaves_the_old_file_and_no_other(
    detector, path, content, monkeypatch
):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_model(detector.model_, path)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_places_that_cannot_be_written_are_refused_by_name(detector, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for place in ("missing/model.adacl", "file/model.adacl", "folder"):
        with pytest.raises(DataError, match=place):
            save_model(detector.model_, tmp_path / place)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder"]


def test_nothing_can_unpickle():
    modules = list(Path(adacl.__file__).parent.rglob("*.py"))
    assert len(modules) > 100
    for path in modules:
        tree = ast.parse(path.read_text())
        imported = {
            alias.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not imported & {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
        assert not used & {"torch.load", "torch.save", "np.load", "numpy.load"}


def test_the_header_is_plain_json(content):
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    assert json.loads(metadata["adacl"])["header"]["config"]["preset"] == "paper"
