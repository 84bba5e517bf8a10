"""Small changes of the camera, its light and the file format."""

import numpy as np
import pytest

from adacl.imaging.changes import CHANGES, LEVEL
from support.textures import textures


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", CHANGES)
def test_an_image_keeps_its_form_and_is_changed(name, channels):
    image = textures(1, (40, 50))[0][..., None].repeat(channels, 2)
    before = image.copy()
    changed = CHANGES[name](image)
    assert (changed.shape, changed.dtype) == (image.shape, np.uint8)
    grey_balance = channels == 1 and name.startswith("white balance")
    assert (changed == image).all() == grey_balance
    assert (image == before).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("exposure -10 %", [90, 90, 90]),
        ("exposure +10 %", [110, 110, 110]),
        ("exposure -30 %", [70, 70, 70]),
        ("contrast -10 %", [103, 103, 103]),
        ("contrast +10 %", [97, 97, 97]),
        ("gamma 0.9", [110, 110, 110]),
        ("gamma 1.1", [91, 91, 91]),
        ("white balance, 10 %", [110, 100, 90]),
    ],
)
def test_light_changes_as_its_name_says(name, expected):
    assert LEVEL[name](np.full((1, 1, 3), 100, np.uint8))[0, 0].tolist() == expected


def test_a_shift_goes_down_and_to_the_right():
    image = textures(1, (40, 50))[0][..., None]
    changed = CHANGES["shift by 2 pixels"](image)
    assert (changed[2:, 2:] == image[:-2, :-2]).all()
