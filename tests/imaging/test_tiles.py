import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adacl.errors import ConfigError
from adacl.imaging.tiles import Tiling

tile_sides = st.integers(8, 24)


@st.composite
def tilings(draw):
    height, width = draw(tile_sides), draw(tile_sides)
    return Tiling(height, width, draw(st.none() | st.integers(1, min(height, width))))


def numbered(height, width, channels=1):
    pixels = np.arange(height * width, dtype=np.uint16).reshape(height, width, 1)
    return np.repeat(pixels, channels, axis=2)


@given(tilings(), st.integers(8, 70), st.integers(8, 70))
def test_tiles_cover_every_pixel_and_invent_none(tiling, height, width):
    image = numbered(height, width)
    tiles, corners = tiling.cut(image), tiling.corners(height, width)
    assert tiles.shape == (len(corners), tiling.height, tiling.width, 1)
    assert set(np.unique(tiles)) == set(np.unique(image))
    assert corners == sorted(set(corners))
    for tile, (top, left) in zip(tiles, corners, strict=True):
        part = image[top : top + tiling.height, left : left + tiling.width]
        assert (tile[: part.shape[0], : part.shape[1]] == part).all()
        assert part.shape[0] == min(height, tiling.height)
        assert part.shape[1] == min(width, tiling.width)


def test_places_by_hand():
    assert Tiling(8, 8).corners(16, 16) == [(0, 0), (0, 8), (8, 0), (8, 8)]
    assert Tiling(8, 8).corners(8, 20) == [(0, 0), (0, 8), (0, 12)]
    assert Tiling(8, 8, stride=4).corners(8, 16) == [(0, 0), (0, 4), (0, 8)]
    assert Tiling(8, 8).corners(5, 9) == [(0, 0), (0, 1)]


def test_small_images_are_extended_by_their_edge():
    tile = Tiling(8, 8).cut(numbered(3, 8, 3))
    assert tile.shape == (1, 8, 8, 3)
    assert (tile[0, 3:] == tile[0, 2]).all()


@pytest.mark.parametrize(
    ("top_k", "expected"), [(1, 0.9), (2, 0.8), (3, pytest.approx(0.6)), (10, 0.5)]
)
def test_the_highest_tiles_make_the_score(top_k, expected):
    scores = np.array([0.2, 0.9, 0.2, 0.7])
    before = scores.copy()
    assert Tiling(8, 8, top_k=top_k).aggregate(scores) == expected
    assert (scores == before).all()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"height": 7, "width": 8}, "tile"),
        ({"height": 8, "width": -8}, "tile"),
        ({"height": 8, "width": 16, "stride": 9}, "stride"),
        ({"height": 8, "width": 8, "stride": 0}, "stride"),
        ({"height": 8, "width": 8, "top_k": 0}, "top_k"),
    ],
)
def test_impossible_tilings_are_refused(arguments, name):
    with pytest.raises(ConfigError, match=name):
        Tiling(**arguments)
