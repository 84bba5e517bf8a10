"""How much each of the highest places of a map counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adacl.config import NetworkConfig
from adacl.errors import ConfigError
from adacl.model.peak_scale import PeakScale
from adacl.networks.peak import highest_places, rank_weights


def network(top, fade, shrink=1, few=0):
    return NetworkConfig(output="map", top=top, fade=fade, shrink=shrink, few=few)


def weighted_peak(places, weights):
    return highest_places(places, len(weights)) @ weights


@given(st.integers(1, 50), st.integers(0, 20), st.integers(1, 80), st.sampled_from([1, 2, 4]))
def test_weights_fall_and_add_up_to_one(top, fade, places, shrink):
    weights = rank_weights(network(top, fade, shrink), places, enlarged=True)
    assert len(weights) == min(top * shrink**2, places)
    assert weights.sum() == pytest.approx(1)
    steps = np.diff(weights)
    assert (steps < 0).all() if fade else (steps == 0).all()


def test_each_doubling_of_the_area_counts_alike():
    weights = rank_weights(network(4096, 1), 10**6)
    octaves = [weights[2**n - 1 : 2 ** (n + 1) - 1].sum() for n in range(6, 12)]
    assert max(octaves) / min(octaves) < 1.02


@pytest.mark.parametrize("fade", [0, 10])
def test_an_enlarged_map_has_nearly_the_peak_of_the_small_one(fade):
    small = np.random.default_rng(0).random((3, 40, 50))
    large = small.repeat(4, 1).repeat(4, 2)
    one = weighted_peak(small.reshape(3, -1), rank_weights(network(200, fade, 4), 2000))
    other = weighted_peak(
        large.reshape(3, -1), rank_weights(network(200, fade, 4), 32000, enlarged=True)
    )
    np.testing.assert_allclose(one, other, atol=1e-3)


@given(st.integers(1, 60), st.integers(0, 5))
def test_the_peak_is_the_weighted_mean_of_the_highest(top, fade):
    places = np.random.default_rng(top).random((2, 50)).astype(np.float32)
    weights = rank_weights(network(top, fade), 50)
    wanted = np.sort(places.astype(float))[:, ::-1][:, : len(weights)] @ weights
    np.testing.assert_allclose(weighted_peak(places, weights), wanted)


@pytest.mark.parametrize(("top", "fade", "shrink"), [(200, 0, 1), (2000, 10, 1), (200, 0, 4)])
def test_normal_images_peak_as_their_highest_places_do(top, fade, shrink):
    rng = np.random.default_rng(0)
    images = [rng.random(5000) * rng.uniform(0.2, 0.6) for _ in range(40)]
    config = network(top, fade, shrink)
    scale = PeakScale.learnt(images, config)
    weights = rank_weights(config, 5000, enlarged=True)
    peaks = [weighted_peak(x[None], weights)[0] for x in images]
    raw = scale.raw(np.array(images), config)
    highest = np.array([np.sort(x)[-20 * shrink**2 :].mean() for x in images])
    for share in (0.5, 0.9):
        assert np.quantile(raw, share) == pytest.approx(np.quantile(highest, share))
    assert [scale.peak_of(value) for value in raw] == pytest.approx(peaks)
    assert (np.argsort(raw) == np.argsort(peaks)).all()


@pytest.mark.parametrize("shrink", [1, 4])
def test_what_is_small_and_what_is_faint_and_large_counts(shrink):
    config = network(200, 0, shrink, few=20)
    rng = np.random.default_rng(0)
    normal = rng.uniform(0.1, 0.15, (40, 1)) + 0.3 * rng.random((40, 3000 * shrink**2)) ** 8
    scale = PeakScale.learnt(normal, config)
    usual = np.quantile(scale.raw(normal, config), 0.9)
    small, large = np.tile(np.median(normal, 0), (2, 1))
    small[: 20 * shrink**2] = 0.6
    large[: 400 * shrink**2] = usual - 0.01
    raw = scale.raw(np.array([small, large]), config)
    assert raw[0] == pytest.approx(0.6)
    assert raw[1] > usual + 0.01


def test_images_that_are_all_alike_have_a_scale():
    scale = PeakScale.learnt([np.full(9, 0.25)] * 3, network(2000, 10))
    assert scale.factor == pytest.approx(1)
    assert scale.offset == pytest.approx(0)


@pytest.mark.parametrize("factor", [0, -1, float("nan"), "high"])
def test_an_unsound_scale_is_refused(factor):
    with pytest.raises((ValueError, ConfigError)):
        PeakScale(0.0, factor)
