import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adacl.imaging.reflection import reflected


@given(st.integers(2, 30), st.integers(0, 100))
def test_rows_go_on_as_mirrors_make_them(extent, least):
    row = np.arange(extent)
    wanted = np.pad(row, (0, max(0, least - extent)), mode="reflect")
    assert reflected(extent, least).tolist() == wanted.tolist()


@pytest.mark.parametrize("least", [0, 1, 7])
def test_a_single_pixel_is_repeated(least):
    assert reflected(1, least).tolist() == [0] * max(1, least)
