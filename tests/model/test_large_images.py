from dataclasses import replace

import numpy as np
import pytest
import torch

from adacl import AnomalyDetector
from adacl.config import NetworkConfig
from adacl.config.presets import preset
from adacl.deploy.export import export_model
from adacl.model import large_images
from adacl.model.model import Model
from adacl.model.threshold import Threshold
from adacl.networks.architecture import reach
from adacl.networks.build import dense_maps
from adacl.networks.dense import DenseRegressor
from adacl.runtime import Scorer

SIZES = [(300, 500), (301, 333), (64, 700), (290, 17), (6, 900)]


def images_of(size, channels, count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *size, channels), dtype=np.uint8)


@pytest.fixture(
    scope="module",
    params=[("no", 1, 1, False), ("coordinates", 3, 2, False), ("coordinates", 3, 1, True)],
    ids=["grey", "colour", "local contrast"],
)
def models(request, tmp_path_factory):
    """A detector and a scorer of a network with few steps of training behind it."""
    place, channels, shrink, local = request.param
    config = preset("inspect").replace(
        network__place=place,
        network__shrink=shrink,
        network__local_contrast=local,
        network__channels=[4, 8],
        training__epochs=1,
        training__min_epoch_images=16,
        training__crop=32,
    )
    folder = tmp_path_factory.mktemp("windows")
    detector = AnomalyDetector(config=config, device="cpu")
    detector.fit(images_of((40, 48), channels, 12))
    detector.save(folder / "m.adacl")
    export_model(folder / "m.adacl", folder / "m.onnx")
    export_model(folder / "m.adacl", folder / "eight.onnx", int8=True)
    return detector.model_, *(Scorer(folder / f"{x}.onnx", threads=1) for x in ("m", "eight"))


@pytest.mark.parametrize("size", SIZES)
def test_windows_give_the_map_and_the_score_of_the_whole_image(size, models, monkeypatch):
    (image,) = images_of(size, models[0].spec.channels, 1, seed=1)
    for model in models:
        whole, raw = model.native_map(image), model.raw(image[None])[0]
        seen = []

        def look(images, window, model=model, seen=seen):
            seen.append(images.shape[1:])
            return type(model).look(model, images, window)

        with monkeypatch.context() as patch:
            patch.setattr(large_images, "WHOLE", 4000)
            patch.setattr(large_images, "CORE", 64)
            patch.setattr(model, "look", look, raising=False)
            assert np.abs(model.native_map(image) - whole).max() < 1e-5
            assert abs(model.raw(image[None])[0] - raw) < 1e-5
        assert len(seen) > 2
        network = model.header.config.network
        margin = reach(network) + 2 ** len(network.channels) * network.shrunk
        assert max(max(shape[:2]) for shape in seen) < 64 + 2 * margin
        assert max(shape[0] * shape[1] for shape in seen) < size[0] * size[1]


@pytest.mark.parametrize("channels", [(4,), (4, 8)])
@pytest.mark.parametrize("shrink", [1, 2])
def test_windows_begin_where_a_cell_of_local_contrast_does(channels, shrink, monkeypatch):
    config = NetworkConfig(
        channels=channels, output="map", window=7, local_contrast=True, shrink=shrink
    )
    torch.manual_seed(0)
    network = DenseRegressor(config, 1).eval()
    pixels = images_of((600, 90), 1, 1, seed=3)

    def look(images, window):
        return dense_maps(network, torch.from_numpy(images).permute(0, 3, 1, 2) / 255, window)

    whole = large_images.maps_of(pixels, look, config)
    monkeypatch.setattr(large_images, "WHOLE", 4000)
    monkeypatch.setattr(large_images, "CORE", 64)
    assert np.abs(large_images.maps_of(pixels, look, config) - whole).max() < 1e-5


def test_an_image_is_mapped_once_for_its_score_and_its_regions(models, monkeypatch):
    images = images_of((60, 70), models[0].spec.channels, 3, seed=2)
    for model in models:
        raw, seen = model.raw(images), []

        def look(images, window, model=model, seen=seen):
            seen.append(len(images))
            return type(model).look(model, images, window)

        monkeypatch.setattr(model, "look", look, raising=False)
        low = replace(model.header, threshold=Threshold(float(raw.min()) - 0.1, "manual"))
        monkeypatch.setattr(model, "header", low)
        score = model.scores if isinstance(model, Model) else model._scored
        scores = [found for _, found in score(enumerate(images))]
        assert sum(seen) == 3
        assert [found.raw for found in scores] == pytest.approx(raw.tolist(), abs=1e-6)
        assert all(found.regions for found in scores)


@pytest.mark.parametrize("channels", [(4, 8), (4, 8, 8), (4, 4, 8, 8)])
@pytest.mark.parametrize("window", [1, 5])
@pytest.mark.parametrize("local", [False, True])
def test_a_place_sees_as_far_as_the_plan_says_and_no_farther(channels, window, local):
    config = NetworkConfig(channels=channels, output="map", window=window, local_contrast=local)
    torch.manual_seed(0)
    network = DenseRegressor(config, 1).eval()
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(part.bias, 5)  # so that no unit is at rest
    side = 2 * reach(config) + 2 ** len(channels) * 6
    side -= side % 2 ** len(channels)
    images = torch.full((1, 1, side, side), 0.5, requires_grad=True)
    place = side // 4
    network.anomaly_map(images + torch.randn_like(images) / 10)[0, place, place].backward()
    rows = images.grad[0, 0].abs().sum(1).nonzero().squeeze(1)
    seen = max(2 * place - int(rows[0]), int(rows[-1]) - 2 * place)
    assert seen <= reach(config)
    assert seen > reach(config) / 2
