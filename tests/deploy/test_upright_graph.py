"""The exported graph turns parts upright as the network does, on every engine."""

import numpy as np
import onnx
import pytest
import torch

from adacl import AnomalyDetector, Scorer
from adacl.config.presets import preset
from adacl.deploy.engines import BACKENDS
from adacl.deploy.export import export_model
from adacl.errors import ModelFileError
from adacl.model.file import load_model, save_model
from support.textures import wedges

ANGLES = np.linspace(0, 2 * np.pi, 24, endpoint=False)


@pytest.fixture(
    scope="module", params=[("uint8", 1), ("uint16", 3)], ids=lambda p: f"{p[0]}-{p[1]}"
)
def fitted(request, tmp_path_factory):
    dtype, channels = request.param
    config = preset("inspect").replace(
        training__epochs=1,
        training__min_epoch_images=16,
        training__batch_size=4,
        training__crop=40,
        network__channels=[4, 6, 8, 8],
        network__shrink=1 if channels == 1 else 2,
    )
    folder = tmp_path_factory.mktemp("upright")
    detector = AnomalyDetector(config=config, device="cpu").fit(as_stored(ANGLES, dtype, channels))
    detector.save(folder / "m.adacl")
    export_model(folder / "m.adacl", folder / "one.onnx")
    export_model(folder / "m.adacl", folder / "any.onnx", dynamic_batch=True)
    return detector, dtype, channels, folder


def as_stored(angles, dtype, channels, **how):
    images = wedges(angles, **how).repeat(channels, 3)
    return images * np.uint16(200) if dtype == "uint16" else images


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("file", ["one", "any"])
def test_scores_and_maps_agree(fitted, backend, file):
    detector, dtype, channels, folder = fitted
    assert detector.header.config.network.upright == "yes"
    scorer = Scorer(folder / f"{file}.onnx", backend=backend, threads=1)
    for size in ((160, 180), (161, 175), (300, 310)):
        images = as_stored(ANGLES[3:7] + 0.1, dtype, channels, size=size, nick=True)
        assert np.abs(scorer.score_samples(images) - detector.score_samples(images)).max() < 1e-4
        found, wanted = scorer.anomaly_map(images[0]), detector.anomaly_map(images[0])
        assert found.shape == wanted.shape == size
        assert np.abs(found - wanted).max() < 1e-4


def test_images_without_a_part_are_scored_alike(fitted):
    detector, dtype, channels, folder = fitted
    empty = np.full((2, 64, 90, channels), 90 * (200 if dtype == "uint16" else 1), dtype)
    scorer = Scorer(folder / "any.onnx")
    assert np.abs(scorer.score_samples(empty) - detector.score_samples(empty)).max() < 1e-4


def test_the_file_tells_the_version_of_its_operators(fitted):
    folder = fitted[-1]
    model = onnx.load(folder / "one.onnx")
    assert model.opset_import[0].version == Scorer(folder / "one.onnx").header.exported.opset == 16


def test_what_a_map_shows_turns_with_the_part(fitted):
    detector, dtype, channels, _ = fitted
    first, second = (
        detector.model_.maps(as_stored([angle], dtype, channels, row=79.5, column=89.5))[0]
        for angle in (0.0, np.pi)
    )
    assert first.std() > 0
    assert not first[0].any()  # too far from the part to be seen
    assert np.abs(first - second[::-1, ::-1]).max() < 0.02


def test_a_model_file_keeps_how_parts_are_turned(fitted, tmp_path):
    detector, *_ = fitted
    save_model(detector.model_, tmp_path / "again.adacl")
    again = load_model(tmp_path / "again.adacl")
    assert again.network.frame == detector.model_.network.frame


@pytest.mark.parametrize("frame", [(0, 0, 0, 0), (-5, 90, 20, 20), (1e9, 1e9, 9, 9)])
def test_a_frame_that_cannot_be_is_refused(fitted, frame, tmp_path):
    model = load_model(fitted[-1] / "m.adacl")
    model.network.upright[1:] = torch.tensor(frame)
    save_model(model, tmp_path / "forged.adacl")
    with pytest.raises(ModelFileError, match="frame"):
        load_model(tmp_path / "forged.adacl")
    with pytest.raises(ModelFileError, match="frame"):
        export_model(tmp_path / "forged.adacl", tmp_path / "forged.onnx")
