import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from adacl.model.regions import find_regions

MAPS = arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.floats(0, 1, width=16),
)


@given(MAPS, st.floats(0, 1), st.booleans(), st.booleans())
def test_regions_are_the_connected_places_above_the_threshold(found, threshold, odd, uneven):
    size = 2 * found.shape[0] - odd, 2 * found.shape[1] - uneven
    regions = find_regions(found, threshold, size, least_area=1)
    pixels = found.repeat(2, 0).repeat(2, 1)[: size[0], : size[1]]
    numbers, count = ndimage.label(pixels > threshold, np.ones((3, 3)))
    wanted = []
    for number in range(1, count + 1):
        rows, columns = (numbers == number).nonzero()
        peak = pixels[rows, columns].max()
        box = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
        middle = rows.mean() + 0.5, columns.mean() + 0.5
        wanted.append((*box, len(rows), peak, *middle))
    assert len(regions) == count
    np.testing.assert_allclose(
        sorted(regions, key=lambda r: (r.row, r.column)),
        sorted(wanted, key=lambda r: r[-2:]),
        rtol=1e-6,
    )
    assert [r.peak for r in regions] == sorted((r.peak for r in regions), reverse=True)


def test_boxes_end_at_the_image_and_small_regions_are_left_out():
    found = np.zeros((5, 6), np.float32)
    found[4, 4:] = 0.9
    found[0, 0] = 0.8
    found[0, 1] = 0.7
    for least in (9, 10):
        (region,) = find_regions(found, 0.5, (9, 11), least)
        assert region[:5] == (8, 8, 9, 11, 3)
        assert region.peak == np.float32(0.9)
    (region,) = find_regions(found, 0.5, (9, 11), 4)
    assert region[:5] == (0, 0, 2, 4, 8)


def test_without_a_place_above_the_threshold_there_is_no_region():
    assert find_regions(np.full((4, 5), 0.4, np.float32), 0.5, (8, 10), 16) == ()


def test_the_time_for_many_regions_grows_with_their_number():
    """Those of noise, one by one looked for among all, took 4.5 seconds."""
    noise = np.random.default_rng(0).random((1000, 1000), np.float32)
    began = time.process_time()
    assert len(find_regions(noise, 0.9, (2000, 2000), least_area=1)) > 60_000
    assert time.process_time() - began < 2
