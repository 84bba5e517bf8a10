"""What work costs, counted and not timed: a slow-down shows on a busy machine, too.

A figure here may be lowered whenever something gets cheaper; raising one needs a reason.
"""

import collections
import itertools
import os
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import ImageFile
from torch.utils.flop_counter import FlopCounterMode

from adacl import AnomalyDetector
from adacl.anomalies import make_mixture
from adacl.config import Config
from adacl.data.folders import ImageFiles
from adacl.deploy.export import export_model
from adacl.deploy.scorer import BATCH, Scorer
from adacl.networks.regressor import Regressor, count_parameters
from support.helpers import TINY, call, write_images

PRESET = {
    (1, 28, 28): (130_177, 10.794),
    (3, 32, 32): (130_977, 15.696),
    (1, 64, 64): (167_105, 60.555),
    (3, 256, 256): (241_761, 1095.369),
}
"""Channels, height and width: parameters, and millions of FLOPs to score an image."""
STEP_GFLOP = 8.129
"""Billions of FLOPs of a training step: 128 digits, and as many anomalies."""


@pytest.fixture(scope="module")
def scorer(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cost")
    AnomalyDetector(config=TINY).fit(digits.of(3)).save(folder / "m.adacl")
    export_model(folder / "m.adacl", folder / "m.onnx", dynamic_batch=True)
    return Scorer(folder / "m.onnx", threads=2)


@pytest.mark.parametrize("form", PRESET)
def test_the_presets_network_costs_as_much_as_it_did(form):
    network = Regressor(Config().network, *form).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, *form))
    parameters, mflop = PRESET[form]
    assert count_parameters(network) == parameters
    assert counter.get_total_flops() / 1e6 == pytest.approx(mflop, abs=1e-3)


def test_a_training_step_is_one_pass_forward_and_back():
    network = Regressor(Config().network, 1, 28, 28)
    normal = torch.rand(128, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        made, _ = make_mixture(normal, torch.Generator().manual_seed(0))
        network(torch.cat([normal, made.images])).mean().backward()
    assert counter.get_total_flops() / 1e9 == pytest.approx(STEP_GFLOP, abs=1e-3)


def test_an_epoch_sees_each_image_once_with_its_anomaly(digits, monkeypatch):
    seen = collections.Counter()
    extract = Regressor.extract

    def counting(network, images):
        seen["learned from" if network.training else "validated"] += len(images)
        return extract(network, images)

    monkeypatch.setattr(Regressor, "extract", counting)
    images = np.concatenate([digits.images, digits.images])[:2400]
    epochs = 3
    detector = AnomalyDetector(config=TINY, epochs=epochs).fit(images)
    facts = detector.model_.header.training
    assert facts["calibration"] > 0  # else further networks are trained
    assert seen["learned from"] == 2 * epochs * facts["train"]
    validating = (1 + 4) * full(facts["validation"]) + full(1)  # per kind, and for finiteness
    once = full(facts["calibration"]) + 2 * facts["validation"]  # threshold, activations
    changes = (1 + 12) * full(30)  # whether small changes raise normals above the threshold
    assert seen["validated"] == epochs * validating + once + changes


def full(count):
    """Round up to the 16 images that PyTorch is given at least."""
    return 16 * -(-count // 16)


@pytest.fixture
def folder(digits, tmp_path):
    write_images(tmp_path / "images", digits.of(3)[:20])
    return tmp_path / "images"


@pytest.fixture
def work(folder, monkeypatch):
    """Count how often the folder is listed, and a file in it opened and decoded."""
    counted, lock = collections.Counter(), threading.Lock()
    scan, load, open_file = os.scandir, ImageFile.ImageFile.load, Path.open

    def counting_scan(path):
        with lock:
            counted["listed"] += Path(path) == folder
        return scan(path)

    def counting_load(image):
        with lock:
            counted["decoded"] += bool(image.tile)
        return load(image)

    def counting_open(path, *arguments, **options):
        with lock:
            counted["opened"] += path.parent == folder
        return open_file(path, *arguments, **options)

    monkeypatch.setattr(os, "scandir", counting_scan)
    monkeypatch.setattr(ImageFile.ImageFile, "load", counting_load)
    monkeypatch.setattr(Path, "open", counting_open)
    return counted


ONE_FIT = {"listed": 1, "opened": 2 * 20, "decoded": 20}
"""Each file is opened once for its size, and once to be decoded."""


def test_what_a_fit_reads(folder, work):
    AnomalyDetector(config=TINY).fit(folder)
    assert work == ONE_FIT


@pytest.mark.parametrize("options", [["--preset", "paper"], [], ["--tile", "8x8"]], ids=str)
def test_what_a_fit_by_the_command_line_reads(options, folder, work, tmp_path):
    model = ["-o", tmp_path / "m.adacl", "--set", "training.min_epoch_images=64"]
    code, _, err = call("fit", folder, *model, "--epochs", 1, *options)
    assert code == 0, err
    assert work == ONE_FIT


def test_a_file_is_decoded_once_to_score(folder, work, digits, scorer):
    detector = AnomalyDetector(config=TINY).fit(digits.of(3))
    for files in (detector.score_files, scorer.score_files):
        work.clear()
        assert len(list(files(ImageFiles(folder)))) == 20
        assert work == {"listed": 2, "opened": 20, "decoded": 20}


@pytest.mark.parametrize("ending", ["adacl", "onnx"])
def test_a_file_is_decoded_once_to_score_and_map(ending, folder, work, digits, tmp_path):
    detector, model = AnomalyDetector(config=TINY).fit(digits.of(3)), tmp_path / f"m.{ending}"
    detector.save(tmp_path / "m.adacl")
    if ending == "onnx":
        export_model(tmp_path / "m.adacl", model)
    for command in (["score", "--heatmaps"], ["explain", "--output"]):
        work.clear()
        code, _, err = call(command[0], model, folder, command[1], tmp_path / command[0])
        assert code == 0, err
        assert len(list((tmp_path / command[0]).glob("*.png"))) == 20
        assert work["opened"] == work["decoded"] == 20


def test_memory_does_not_grow_with_the_number_of_images(digits, tmp_path, scorer):
    path = write_images(tmp_path / "images", digits.of(3)[:1])[0]

    def peak(count):
        tracemalloc.start()
        for _ in scorer.score_files(itertools.repeat(path, count)):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2000)
    assert peak(8000) < 1.3 * peak(2000) + 50_000


def test_batches_are_as_large_as_they_may_be(scorer, digits, monkeypatch):
    sizes = []
    original = scorer._run
    monkeypatch.setattr(scorer, "_run", lambda x, *more: sizes.append(len(x)) or original(x, *more))
    scorer.raw(digits.images[:1000, ..., None])
    assert sorted(sizes) == [1000 % BATCH] + [BATCH] * (1000 // BATCH)
    sizes.clear()
    scorer.raw(digits.images[:40, ..., None])
    assert sizes == [20, 20]


@pytest.mark.parametrize("int8", [False, True])
def test_the_engine_fuses_what_it_should(int8, tmp_path, digits):
    images = np.kron(digits.of(3), np.ones((4, 4), np.uint8))
    detector = AnomalyDetector(config=TINY.replace(network__channels=[16, 32, 64])).fit(images)
    detector.save(tmp_path / "m.adacl")
    export_model(tmp_path / "m.adacl", tmp_path / "m.onnx", dynamic_batch=True, int8=int8)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(tmp_path / "m.onnx", options, providers=["CPUExecutionProvider"])
    found = collections.Counter(
        node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node
    )
    convolutions = ["QLinearConv"] if int8 else ["Conv", "FusedConv"]
    assert sum(found[name] for name in convolutions) == 3, found
    assert sum(count for name, count in found.items() if name.endswith("Gemm")) == 2, found
    assert not found["Relu"], found
    assert sum(found.values()) <= 20, found
