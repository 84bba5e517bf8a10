from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from adacl.data.arrays import (
    as_images,
    as_numbers,
    channels_last,
    check_precision,
    is_paths,
    pictures_of,
    row_shape,
    without_tensors,
)
from adacl.errors import InputError


@pytest.mark.parametrize(
    ("given_type", "kept"),
    [
        (np.uint8, np.uint8),
        (np.uint16, np.uint16),
        (np.float32, np.float32),
        (np.float64, np.float32),
        (np.int64, np.float32),
        (bool, np.float32),
    ],
)
def test_forms_and_types(given_type, kept):
    for shape, images_shape in (
        ((2, 8, 9), (2, 8, 9, 1)),
        ((2, 8, 9, 3), (2, 8, 9, 3)),
        ((2, 64), (2, 8, 8, 1)),
    ):
        images = as_images(np.ones(shape, given_type))
        assert images.shape == images_shape
        assert images.dtype == kept
        assert (images == 1).all()


def test_another_order_of_bytes_changes_nothing():
    values = np.arange(200, dtype=np.uint16).reshape(2, 10, 10) * 300
    images = as_images(values.astype(">u2"))
    assert images.dtype == np.uint16
    assert images.dtype.isnative
    assert (images[..., 0] == values).all()


def test_floating_point_pictures_are_refused_as_their_files_are():
    picture = Image.fromarray(np.zeros((9, 9), np.float32))
    assert picture.mode == "F"
    with pytest.raises(InputError, match=r"mode F.*pass them as arrays"):
        pictures_of([picture])


def test_half_precision_of_tensors_is_no_obstacle():
    values = torch.arange(16.0).reshape(1, 4, 4) / 16
    for half in (torch.bfloat16, torch.float16):
        found = without_tensors(values.to(half))
        assert found.dtype == np.float32
        assert (found == values.numpy()).all()


@given(st.integers(1, 2000))
def test_rows_become_the_smallest_square(features):
    height, width, channels = row_shape(features, None)
    assert height == width
    assert channels == 1
    assert height * width >= features
    assert height == 8 or (height - 1) ** 2 < features


def test_rows_are_filled_up_with_zeros():
    images = as_images(np.arange(1, 71, dtype=np.uint8)[None])
    assert images.shape == (1, 9, 9, 1)
    assert images.ravel().tolist() == [*range(1, 71), *[0] * 11]


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 1), (4, 3, 2)])
def test_rows_of_a_given_shape(shape):
    rows = np.arange(48, dtype=np.float32).reshape(2, 24)
    images = as_images(rows, shape)
    assert images.shape == (2, *shape, 1)[:4]
    assert (images.reshape(2, 24) == rows).all()


@pytest.mark.parametrize("shape", [(5, 5), (24,), (4, 6, 1, 1), (-4, -6), (4.0, 6.0)])
def test_impossible_shapes_of_rows_are_refused(shape):
    with pytest.raises(InputError, match="image_shape"):
        as_images(np.zeros((2, 24)), shape)


@pytest.mark.parametrize("shape", [(24,), (2, 3, 4, 1, 1)])
def test_other_numbers_of_dimensions_are_refused(shape):
    with pytest.raises(InputError, match="shape"):
        as_images(np.zeros(shape))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_one_image_in_colour_is_not_taken_for_many_narrow_ones(channels):
    with pytest.raises(InputError, match="pass N x H x W x C, with N = 1 for one image"):
        as_images(np.zeros((40, 50, channels), np.uint8))
    assert as_images(np.zeros((3, 40, 50), np.uint8)).shape == (3, 40, 50, 1)


@pytest.mark.parametrize("value", [1e39, -1e39, 3e38])
def test_values_whose_range_32_bits_do_not_hold_are_refused(value):
    with pytest.raises(InputError, match="do not fit into 32 bits"):
        as_images(np.full((2, 8, 8), value))


@pytest.mark.parametrize("kind", [np.float64, np.int32, np.uint32, np.int64])
def test_differences_that_32_bits_do_not_keep_are_refused(kind):
    values = np.arange(128).reshape(2, 8, 8)
    check_precision((values + 2**20).astype(kind))
    with pytest.raises(InputError, match="to steps of 64 in 32 bits; subtract one number"):
        check_precision((values + 2**29).astype(kind))


@pytest.mark.parametrize(
    "array",
    [
        np.full((2, 8, 8), 1e9),
        np.array([-1e9, 1e9]),
        np.array([1e9, 1e9 + 64], np.float32),
        np.array([0, 1], bool),
    ],
)
def test_values_that_32_bits_tell_apart_are_taken(array):
    check_precision(array)


def test_complex_values_are_refused_with_the_remedy():
    with pytest.raises(InputError, match="pass the magnitude, or the real and the imaginary"):
        as_numbers(np.zeros((2, 8, 8), complex))


def test_half_precision_is_compared_without_a_warning(recwarn):
    assert as_images(np.ones((2, 8, 8), np.float16)).dtype == np.float32
    assert not recwarn


def test_paths_are_told_from_pixels():
    for paths in ("a.png", Path("a.png"), ["a", Path("b")], ("a",), np.array(["a", "b"])):
        assert is_paths(paths)
    for pixels in (np.zeros((2, 3)), [[1, 2], [3, 4]], [], ["a", 1], np.array(1)):
        assert not is_paths(pixels)


def test_pictures_are_turned_upright_as_files_are():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    picture = Image.fromarray(pixels)
    picture.getexif()[0x0112] = 6  # a quarter to the right
    assert np.asarray(pictures_of(picture)[0]).tolist() == np.rot90(pixels, -1).tolist()


@pytest.mark.parametrize(
    ("shape", "channels", "turned"),
    [
        ((2, 3, 20, 30), 3, True),
        ((2, 20, 30, 3), 3, False),
        ((2, 8, 20, 8), 8, False),  # as it is, too
        ((2, 3, 20, 30), None, True),
        ((2, 8, 20, 30), None, False),
        ((2, 20, 30, 3), None, False),
    ],
)
def test_channels_are_brought_to_the_end_where_nothing_else_is_possible(shape, channels, turned):
    images = np.arange(np.prod(shape)).reshape(shape)
    expected = images.transpose(0, 2, 3, 1) if turned else images
    np.testing.assert_array_equal(channels_last(images, channels), expected)
