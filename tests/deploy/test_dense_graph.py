"""The exported graph of a network with a map equals the network, at any size of image."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from adacl import AnomalyDetector, Scorer
from adacl.config.presets import preset
from adacl.deploy.engines import open_backend
from adacl.deploy.export import export_model
from adacl.deploy.nodes import Graph, Steps
from adacl.errors import ConfigError, ModelFileError
from adacl.model.file import save_model
from adacl.networks.architecture import smallest_side
from adacl.training.activations import watched
from support.textures import scratched, textures

SIZES = [(68, 68), (69, 83), (75, 96), (101, 70)]


def config(**settings):
    return preset("inspect").replace(
        training__epochs=1,
        training__min_epoch_images=16,
        training__batch_size=4,
        training__crop=40,
        network__channels=[4, 6, 8, 8],
        **settings,
    )


def images_of(size, channels=1, dtype="uint8", count=3, seed=0):
    images = scratched(textures(count * channels, size, seed), seed)[0]
    images = images.reshape(count, channels, *size).transpose(0, 2, 3, 1)
    return {
        "uint8": images,
        "uint16": images.astype(np.uint16) * 200,
        "float32": images / np.float32(255),
    }[dtype]


@pytest.fixture(
    scope="module",
    params=[
        ("no", 1, "uint8", 1, False),
        ("coordinates", 3, "uint8", 2, False),
        ("coordinates", 3, "uint8", 2, True),
        ("coordinates", 1, "uint16", 1, False),
        ("no", 2, "float32", 4, True),
    ],
    ids=lambda p: "-".join(map(str, p)),
)
def exported(request, tmp_path_factory):
    """A detector, its channels and depth, and exported files for one image and for any number."""
    place, channels, dtype, shrink, local = request.param
    folder = tmp_path_factory.mktemp("dense")
    network = {"place": place, "shrink": shrink, "local_contrast": local}
    settings = {f"network__{name}": value for name, value in network.items()}
    detector = AnomalyDetector(config=config(**settings), device="cpu")
    detector.fit(images_of((48, 56), channels, dtype, count=12))
    detector.save(folder / "m.adacl")
    export_model(folder / "m.adacl", folder / "one.onnx")
    export_model(folder / "m.adacl", folder / "any.onnx", dynamic_batch=True)
    export_model(folder / "m.adacl", folder / "eight.onnx", dynamic_batch=True, int8=True)
    return detector, channels, dtype, folder


@pytest.mark.parametrize("size", SIZES)
def test_raw_score_and_map_agree_with_the_network(size, exported):
    detector, channels, dtype, folder = exported
    images = images_of(size, channels, dtype, seed=1)
    network, spec = detector.model_.network, detector.model_.spec
    with torch.inference_mode():
        pixels = spec.to_tensor(images, torch.device("cpu"))
        maps = network.anomaly_map(pixels).numpy()
    raw = detector.model_.raw(images)
    assert raw.std() > 0
    one, many = (
        open_backend("onnxruntime", (folder / f"{name}.onnx").read_bytes(), 1)
        for name in ("one", "any")
    )
    for output, wanted in (
        ("raw_score", raw),
        ("pred_score", raw.clip(0, 1)),
        ("anomaly_map", maps),
    ):
        found = many(images, output)
        assert found.shape == wanted.shape
        assert found.dtype == np.float32
        assert np.abs(found - wanted).max() < 1e-4
        singly = np.concatenate([one(image[None], output) for image in images])
        assert np.abs(singly - wanted).max() < 1e-4


def test_images_smaller_than_the_graph_takes_have_maps_of_their_own_size(exported):
    detector, channels, dtype, folder = exported
    images = images_of((68, 69), channels, dtype, seed=1)[:, :9, :11]
    found = Scorer(folder / "any.onnx").maps(images)
    np.testing.assert_allclose(found, detector.model_.maps(images), atol=1e-4)


def test_regions_are_those_above_the_threshold_that_is_given(exported):
    _, channels, dtype, folder = exported
    scorer = Scorer(folder / "any.onnx")
    [image] = images_of((68, 69), channels, dtype, count=1)
    raw = scorer.score_decoded([image])[0].raw
    assert scorer.score_decoded([image], raw - 0.01)[0].regions
    assert not scorer.score_decoded([image], raw + 0.01)[0].regions


def test_a_single_output_counts_in_the_graph_as_in_the_network(tmp_path):
    images = images_of((48, 56), count=12)
    detector = AnomalyDetector(config=config(), device="cpu").fit(images)
    network = detector.model_.network
    network.alone.copy_(torch.tensor([[0.0] * 4, [-9.0] * 4]))
    mean = detector.model_.maps(images)
    network.alone[:, 1] = torch.tensor([-3.0, 0.4])
    network.level.fill_(0.1)
    maps = detector.model_.maps(images)
    assert (maps > mean + 0.01).any()
    assert (maps == mean).any()
    detector.save(tmp_path / "m.adacl")
    export_model(tmp_path / "m.adacl", tmp_path / "m.onnx", dynamic_batch=True)
    engine = open_backend("onnxruntime", (tmp_path / "m.onnx").read_bytes(), 1)
    assert np.abs(engine(images, "anomaly_map") - maps).max() < 1e-4


@pytest.mark.parametrize("size", [*SIZES, (9, 40), (8, 8)])
def test_a_scorer_agrees_on_arrays(size, exported):
    detector, channels, dtype, folder = exported
    images = images_of((max(size[0], 32), max(size[1], 32)), channels, dtype, seed=2)
    images = images[:, : size[0], : size[1]]
    for name in ("one", "any"):
        scorer = Scorer(folder / f"{name}.onnx", threads=2)
        assert np.abs(scorer.score_samples(images) - detector.score_samples(images)).max() < 1e-4
        assert np.array_equal(scorer.predict(images, 0.5), detector.predict(images, 0.5))
        for image in images[:2]:
            found, wanted = scorer.anomaly_map(image), detector.anomaly_map(image)
            assert found.shape == wanted.shape == image.shape[:2]
            assert np.abs(found - wanted).max() < 1e-4


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_too_little_memory_for_a_graph_is_told_apart(exported):
    _, channels, dtype, folder = exported
    script = f"""
import re, resource, numpy as np
from pathlib import Path
from adacl import Scorer
scorer = Scorer({str(folder / "one.onnx")!r}, threads=1)
image = np.zeros((1, 1400, 1400, {channels}), {dtype!r})
scorer.raw(image[:, :64, :64])
used = int(re.search(r"VmSize:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20), resource.RLIM_INFINITY))
try:
    scorer.raw(image)
except MemoryError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "not enough memory to score images\n", done.stderr


def test_openvino_agrees_in_several_threads(exported):
    pytest.importorskip("openvino")
    detector, channels, dtype, folder = exported
    images = images_of(SIZES[1], channels, dtype, seed=2)
    for name in ("one", "any"):
        scorer = Scorer(folder / f"{name}.onnx", backend="openvino", threads=2)
        assert np.abs(scorer.score_samples(images) - detector.score_samples(images)).max() < 1e-4


def test_openvino_refuses_windows_only_where_places_count(exported, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr("adacl.model.large_images.WHOLE", 1 << 12)
    monkeypatch.setattr("adacl.model.large_images.CORE", 64)
    detector, channels, dtype, folder = exported
    images = images_of((130, 90), channels, dtype, count=1)
    scorer = Scorer(folder / "any.onnx", backend="openvino", threads=1)
    if detector.header.config.network.place == "coordinates":
        with pytest.raises(ConfigError, match="by windows; use onnxruntime"):
            scorer.score_samples(images)
    else:
        assert np.abs(scorer.score_samples(images) - detector.score_samples(images)).max() < 1e-4


def test_a_scorer_agrees_on_files_of_many_sizes(tmp_path):
    from PIL import Image

    folder = tmp_path / "images"
    folder.mkdir()
    sizes = [(70, 80), (64, 64), (10, 90), (99, 71), (70, 80), (64, 64), (80, 70)]
    for number, size in enumerate(sizes):
        image = scratched(textures(1, (100, 100), number), number)[0][0][: size[0], : size[1]]
        Image.fromarray(image).save(folder / f"{number}.png")
    detector = AnomalyDetector(config=config(), device="cpu").fit(folder)
    detector.save(tmp_path / "m.adacl")
    export_model(tmp_path / "m.adacl", tmp_path / "m.onnx")
    scorer = Scorer(tmp_path / "m.onnx", threads=2)
    paths = sorted(folder.iterdir())
    pairs = zip(scorer.score_files(paths), detector.score_files(paths), strict=True)
    for found, wanted in pairs:
        assert found.path == wanted.path
        assert abs(found.raw - wanted.raw) < 1e-4
    for path, size in zip(paths, sizes, strict=True):
        found, wanted = scorer.anomaly_map(path), detector.anomaly_map(path)
        assert found.shape == wanted.shape == size
        assert np.abs(found - wanted).max() < 1e-4


def test_the_graph_tells_its_outputs(exported):
    detector, channels, _, folder = exported
    told = detector.header.config.network.place == "coordinates"
    for name, batch in (("one", 1), ("any", "batch")):
        graph = onnx.load(folder / f"{name}.onnx").graph
        shapes = {
            value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
            for value in [*graph.input, *graph.output]
        }
        assert shapes == {
            "images": [batch, "height", "width", channels],
            "raw_score": [batch],
            "pred_score": [batch],
            "anomaly_map": [batch, "map_height", "map_width"],
            **({"window": [4]} if told else {}),
        }


@pytest.mark.parametrize(
    ("backend", "size"), [*(("onnxruntime", size) for size in SIZES), ("openvino", SIZES[1])]
)
def test_eight_bits_stay_close_to_thirty_two(backend, size, exported):
    pytest.importorskip(backend)
    detector, channels, dtype, folder = exported
    images = images_of(size, channels, dtype, seed=1)
    exact = open_backend("onnxruntime", (folder / "any.onnx").read_bytes(), 1)
    least = smallest_side(detector.header.config.network)
    eight = open_backend(backend, (folder / "eight.onnx").read_bytes(), 1, least)
    wanted, found = (run(images, "anomaly_map") for run in (exact, eight))
    assert found.shape == wanted.shape
    assert 0 < np.sqrt(((found - wanted) ** 2).mean()) < 0.1 * wanted.std()
    raw = detector.model_.peaks(found)
    assert np.abs(eight(images) - raw).max() < 1e-5
    assert np.abs(eight(images, "pred_score") - raw.clip(0, 1)).max() < 1e-5


def test_eight_bits_hold_all_convolutions_but_the_first_and_the_last(exported):
    layers = exported[0].model_.network.plan
    assert len(exported[0].header.activation_maxima) == len(layers) - 1
    graph = onnx.load(exported[3] / "eight.onnx").graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    scaled = {
        node.output[0]: kinds.get(node.input[0])
        for node in graph.node
        if node.op_type == "DequantizeLinear"
    }
    halvings = sum(layer.halved for layer in layers)
    found = [scaled.get(node.input[1]) for node in graph.node if node.op_type == "Conv"]
    assert found.count(onnx.TensorProto.INT8) == len(layers) - 2 + halvings
    assert [found[0], found[-1]] == [None, None]


def test_eight_bits_keep_the_sum_of_each_kernel(exported):
    """Rounded one by one, the nine weights of a kernel would miss it by more than half a step."""
    network = exported[0].model_.network
    graph = onnx.load(exported[3] / "eight.onnx").graph
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = [
        arrays[node.input[0]].astype(float)
        for node in graph.node
        if node.op_type == "DequantizeLinear" and arrays.get(node.input[0], np.zeros(1)).ndim == 4
    ]
    layer = network.layers["down0"].conv.weight.detach().numpy().astype(float)
    whole = next(array for array in found if array.shape == layer.shape)
    norm = network.layers["down0"].norm
    gain = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().numpy()
    signed = layer * np.sign(gain).reshape(-1, 1, 1, 1)
    steps = np.abs(signed).max((1, 2, 3), keepdims=True) / 63
    assert np.abs(whole - signed / steps).max() < 1.001
    assert np.abs((whole - signed / steps).sum((2, 3))).max() < 0.501


def test_eight_bits_span_normal_images_not_the_anomalies_made_of_them(exported):
    detector, channels, dtype, _ = exported
    network, spec = detector.model_.network, detector.model_.spec
    normals = images_of((48, 56), channels, dtype, count=12)
    with watched(network) as maxima, torch.inference_mode():
        network.outputs(spec.to_tensor(normals, torch.device("cpu")))
    kept = np.array(detector.header.activation_maxima)
    assert (kept <= np.array(maxima) * 1.0001).all()
    assert (kept > 0.5 * np.array(maxima)).all()


def test_a_file_without_activations_cannot_be_exported_in_eight_bits(exported, tmp_path):
    model = exported[0].model_
    old = replace(model, header=replace(model.header, activation_maxima=()))
    save_model(old, tmp_path / "old.adacl")
    with pytest.raises(ModelFileError, match=r"old\.adacl.*int8 needs; fit it again"):
        export_model(tmp_path / "old.adacl", tmp_path / "x.onnx", int8=True)
    few = replace(model, header=replace(model.header, activation_maxima=(1.0, 2.0)))
    save_model(few, tmp_path / "few.adacl")
    with pytest.raises(ModelFileError, match=r"few\.adacl: not a sound model file"):
        export_model(tmp_path / "few.adacl", tmp_path / "x.onnx", int8=True)
    assert not (tmp_path / "x.onnx").exists()


def test_an_input_size_is_refused(exported, tmp_path):
    with pytest.raises(ConfigError, match=r"has a map.*any size.*leave the input size out"):
        export_model(exported[3] / "m.adacl", tmp_path / "x.onnx", input_size=(64, 64))
    assert not list(tmp_path.iterdir())


def test_a_bias_outlives_weights_next_to_nothing_in_8_bits():
    graph = Graph()
    weight = np.array([1e-13, 0.5], np.float32).reshape(2, 1, 1, 1)
    graph.parameters(weight, np.array([1.0, 0.25], np.float32), Steps(1 / 255, 0))
    whole, fine = (onnx.numpy_helper.to_array(graph.constants[place]) for place in (3, 4))
    assert whole * fine == pytest.approx([1.0, 0.25], rel=1e-4)
