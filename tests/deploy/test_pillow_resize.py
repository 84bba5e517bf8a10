"""Resizing as Pillow does, which the exported graph relies on."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from adacl.deploy.pillow_resize import rows_first, weights

sides = st.integers(1, 300)
sizes = st.tuples(sides, sides)


@given(sides, sides, st.booleans())
def test_the_weights_of_every_new_pixel_add_up_to_1(before, after, whole):
    found = weights(before, after, whole)
    assert found.shape == (before, after)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(0), 1, atol=before * 2.0**-22)


@given(sides, sides, sides, st.integers(0, 2**32 - 1))
def test_rows_resized_by_them_equal_pillows_to_the_last_bit(width, after, height, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    wanted = np.asarray(Image.fromarray(pixels).resize((after, height), Image.Resampling.BILINEAR))
    assert (np.floor(pixels @ weights(width, after, whole=True) + 0.5) == wanted).all()


@given(sizes, sizes, st.integers(0, 2**32 - 1))
def test_whole_images_do_too_in_the_order_that_was_found(before, after, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, before, np.uint8)
    wanted = Image.fromarray(pixels).resize(after[::-1], Image.Resampling.BILINEAR)

    def rows(values):
        return np.floor(values @ weights(before[1], after[1], whole=True) + 0.5)

    def columns(values):
        return np.floor(weights(before[0], after[0], whole=True).T @ values + 0.5)

    found = columns(rows(pixels)) if rows_first(before, after) else rows(columns(pixels))
    assert (found == np.asarray(wanted)).all()
