import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adacl.config import PARAMETER_LIMIT, NetworkConfig
from adacl.config.presets import PRESETS
from adacl.errors import ConfigError
from adacl.imaging.spec import ImageSpec
from adacl.networks.architecture import stage_plan, stage_widths
from adacl.networks.build import build_network
from adacl.networks.regressor import Regressor, count_parameters

SIZES = [8, 9, 15, 16, 28, 32, 33, 64, 100, 224, 256, 500, 1000, 1024]
sides = st.integers(8, 48)


def form(config, height, width):
    """What of the size of images decides the parameters: the stages, and what they leave of it."""
    stages = len(stage_widths(config, height, width))
    return stages, *(math.ceil(side / 2**stages) for side in sorted((height, width)))


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_presets_stay_within_the_paper_limit_at_every_size(channels, name):
    config = PRESETS[name].network
    one_of_each_form = {form(config, *size): size for size in itertools.product(SIZES, SIZES)}
    for height, width in one_of_each_form.values():
        network = build_network(config, ImageSpec(height, width, channels))
        assert count_parameters(network) < PARAMETER_LIMIT


def test_parameters_are_counted():
    network = Regressor(NetworkConfig(channels=(2,), kernel=3, hidden=5), 1, 8, 8)
    convolutions = (9 * 1 * 2 + 2) + (9 * 2 * 2 + 2)
    assert count_parameters(network) == convolutions + (2 * 2 * 2 * 5 + 5) + (5 + 1)


def test_a_distance_is_counted():
    plain = NetworkConfig(channels=(2,), hidden=5, turns=(0, 1))
    with_distance = NetworkConfig(channels=(2,), hidden=5, turns=(0, 1), distance=0.5)
    counts = [count_parameters(Regressor(config, 1, 8, 8)) for config in (plain, with_distance)]
    assert counts[1] - counts[0] == 2 * 5 + 5 * 5 + 5 + 3


@pytest.mark.parametrize(("pool", "width"), [("average", 2), ("flatten", 2 * 2 * 2)])
@pytest.mark.parametrize("components", [0, 1, 99])
def test_a_distance_is_as_wide_as_what_it_is_among(pool, width, components):
    for among, wanted in {"hidden": 5, "features": width, "both": 5 + width}.items():
        config = NetworkConfig(
            channels=(2,),
            hidden=5,
            pool=pool,
            distance=1,
            distance_among=among,
            distance_components=components,
        )
        network = Regressor(config, 1, 8, 8)
        assert network.distance.axes.shape == (wanted, min(components or wanted, wanted))
        features = network.extract(torch.rand(3, 1, 8, 8))
        assert network.located(features, network.hidden(features)).shape == (3, wanted)


def test_residual_blocks_follow_the_stages_they_are_listed_for():
    config = NetworkConfig(channels=(2, 4), kernel=3, blocks=(0, 2), pool="average")
    plain = NetworkConfig(channels=(2, 4), kernel=3, pool="average")
    counts = [count_parameters(Regressor(c, 1, 32, 32)) for c in (plain, config)]
    assert counts[1] - counts[0] == 2 * (4 * 4 * 9 + 4)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("conv_dropout", [0.0, 0.1])
def test_the_plan_names_every_tensor_of_the_stages(batch_norm, conv_dropout):
    config = NetworkConfig(
        channels=(2, 4), blocks=(0, 2), batch_norm=batch_norm, conv_dropout=conv_dropout
    )
    state = Regressor(config, 3, 600, 40).state_dict()
    plan = stage_plan(config, 3, 600, 40)
    layers = [layer for stage in plan for layer in (stage.first, *stage.residual)]
    weights = [name for name, tensor in state.items() if tensor.ndim == 4 and "features" in name]
    assert [f"{layer.name}.weight" for layer in layers] == weights
    assert [layer.shape for layer in layers] == [tuple(state[name].shape) for name in weights]
    norms = [name for name in state if name.endswith("running_mean")]
    assert [f"{layer.norm}.running_mean" for layer in layers if layer.norm] == norms
    assert any(layer.groups > 1 for layer in layers)


def test_too_large_a_network_is_refused():
    with pytest.raises(ConfigError, match=r"300,000"):
        Regressor(NetworkConfig(channels=(64, 128, 256)), 1, 28, 28)


@pytest.mark.parametrize(("hidden", "channels"), [(10**12, 1), (64, 10**14)])
def test_a_gigantic_network_is_refused_before_it_is_allocated(hidden, channels):
    with pytest.raises(ConfigError, match=r"300,000"):
        Regressor(NetworkConfig(hidden=hidden), channels, 28, 28)


@pytest.mark.parametrize(
    ("height", "width", "stages"),
    [(8, 8, 2), (28, 28, 3), (32, 32, 3), (33, 32, 4), (64, 64, 4), (28, 256, 6), (1024, 8, 8)],
)
def test_stages_grow_with_the_longer_side(height, width, stages):
    widths = stage_widths(NetworkConfig(channels=(16, 32, 64)), height, width)
    assert widths == (16, 32, 64, 64, 64, 64, 64, 64)[:stages]


@given(
    st.integers(1, 4),
    st.integers(1, 5),
    sides,
    sides,
    st.sampled_from(["clip", "sigmoid"]),
    st.sampled_from(["flatten", "average"]),
    st.booleans(),
)
def test_one_number_per_image_of_any_form(count, channels, height, width, head, pool, batch_norm):
    config = NetworkConfig(channels=(4, 8), hidden=6, head=head, pool=pool, batch_norm=batch_norm)
    network = Regressor(config, channels, height, width).eval()
    images = torch.rand(count, channels, height, width)
    assert network(images).shape == (count, 1)
    assert network.embed(images).shape == (count, 6)
    assert network.raw_score(images).shape == (count,)


def test_large_images():
    network = Regressor(NetworkConfig(), 3, 200, 331).eval()
    assert network(torch.rand(2, 3, 200, 331)).shape == (2, 1)


def test_clip_head_scores_by_the_raw_output():
    network = Regressor(NetworkConfig(), 1, 12, 12).eval()
    images = torch.rand(3, 1, 12, 12)
    network.output.bias.data.fill_(7.0)
    scores = network.raw_score(images)
    assert torch.equal(scores, network(images)[:, 0].double())
    assert scores.min() > 1


def test_sigmoid_head_scores_within_the_unit_interval():
    network = Regressor(NetworkConfig(head="sigmoid"), 1, 12, 12).eval()
    images = torch.rand(3, 1, 12, 12)
    network.output.bias.data.fill_(7.0)
    expected = [1 / (1 + math.exp(-x)) for x in network(images)[:, 0].tolist()]
    assert network.raw_score(images).tolist() == pytest.approx(expected)


def test_images_are_normalised_by_the_stored_mean_and_deviation():
    network = Regressor(NetworkConfig(), 2, 8, 8).eval()
    images = torch.rand(3, 2, 8, 8)
    plain = network(images)
    network.mean.fill_(0.5)
    network.std.fill_(0.25)
    torch.testing.assert_close(network(images / 4 + 0.5), plain, rtol=1e-4, atol=1e-5)


def test_every_pixel_counts():
    torch.manual_seed(0)
    network = Regressor(NetworkConfig(), 1, 29, 37).eval()
    images = torch.rand(1, 1, 29, 37, requires_grad=True)
    network(images).sum().backward()
    assert images.grad[0, 0, -2:, -2:].abs().sum() > 0
    assert images.grad[0, 0, :2, :2].abs().sum() > 0
