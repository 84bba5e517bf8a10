"""Images recorded anew: blur, noise and compression, within bounds."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adacl.data.samples import Samples
from adacl.training.recording import learn_grain, recorded
from support.textures import textures

seeds = st.integers(0, 2**32)


def again(images, seed=0, most=1.0, grain=0.02, levels=255):
    return recorded(images, torch.Generator().manual_seed(seed), most, grain, levels)


def batch(count=8, channels=1, side=48):
    return torch.rand((count, channels, side, side + 8), generator=torch.Generator().manual_seed(1))


@given(seeds, st.integers(1, 5), st.sampled_from([1, 2, 3, 4]), st.sampled_from([255, 65535]))
def test_images_keep_form_range_and_grid(seed, count, channels, levels):
    images = batch(count, channels)
    found = again(images, seed, levels=levels)
    assert found.shape == images.shape
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    torch.testing.assert_close(found * levels, (found * levels).round(), rtol=0, atol=1e-2)
    assert torch.equal(found, again(images, seed, levels=levels))
    assert not torch.equal(found, again(images, seed + 1, levels=levels))


def test_each_image_is_changed_a_little_and_some_are_not():
    images = (torch.nn.functional.avg_pool2d(batch(64), 9, 1, 4) * 255).round() / 255
    moved = (again(images) - images).abs().mean((1, 2, 3))
    assert 0 < float((moved == 0).float().mean()) < 0.3
    assert float(moved.max()) < 0.03


def test_noise_is_no_stronger_than_the_grain_of_the_normals():
    flat = torch.full((64, 1, 64, 64), 0.5)
    for grain in (0.002, 0.2):
        deviations = again(flat, grain=grain, levels=65535).std((1, 2, 3))
        assert float(deviations.max()) <= 1.05 * min(grain, 0.02)
        assert float(deviations.max()) > 0.7 * min(grain, 0.02)


def test_only_images_of_8_bits_are_compressed():
    """A block of compressed cosines is far from what noise and blur make of a fine line."""
    lines = torch.zeros((64, 1, 64, 64))
    lines[..., ::3] = 0.02
    for levels, compressed in ((255, True), (65535, False)):
        blank = (again(lines, grain=0.0, levels=levels).std((1, 2, 3)) < 1e-3).any()
        assert bool(blank) == compressed


@pytest.mark.parametrize("side", [1, 2])
def test_grain_is_what_neighbours_differ(side):
    images = textures(6)[..., None]
    wanted = np.abs(np.diff(images.astype(float), axis=2)).mean() / 255
    found = learn_grain(Samples(images), side)
    assert found == pytest.approx(wanted, rel=0.01) if side == 1 else found > 0
    assert learn_grain(Samples(np.full((3, 32, 32, 3), 7, np.uint8))) == 0
