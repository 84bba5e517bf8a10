"""Parts at any angle are seen upright, and maps are turned back to where the parts lie."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adacl.imaging.frame import Frame
from adacl.imaging.smoothing import shrunk
from adacl.networks.upright import Pose, pose_of, turned_back, upright
from support.textures import wedges

LIMIT = 0.1
FRAME = Frame(50, 50, 24, 24)


def wedge(angle, row=80.0, column=90.0, size=(160, 180), light=1.0):
    return torch.from_numpy(wedges([angle], row, column, size, light)).permute(0, 3, 1, 2) / 255


@settings(max_examples=10, deadline=None)
@given(
    angle=st.floats(0, 2 * np.pi),
    row=st.floats(70, 90),
    column=st.floats(70, 110),
    light=st.floats(0.8, 1.1),
)
def test_a_part_looks_the_same_however_it_lies(angle, row, column, light):
    first, second = (
        upright(images, pose_of(images, LIMIT * light), FRAME) / factor
        for images, factor in (
            (wedge(0.0), 1.0),
            (wedge(angle, row, column, light=light), light),
        )
    )
    assert (first - second).abs().mean() < 0.01
    assert (first - first.flip(2)).abs().mean() > 0.05  # the ends are told apart
    assert (first - first.flip(3)).abs().mean() > 0.005  # and it is not mirrored


@settings(max_examples=10, deadline=None)
@given(angle=st.floats(0, 2 * np.pi), seed=st.integers(0, 1000))
def test_a_map_is_turned_back_to_the_place_of_what_it_shows(angle, seed):
    images = wedge(angle)
    pose = pose_of(images, LIMIT)
    maps = upright(images, pose, FRAME)[:, :, ::2, ::2]
    back = turned_back(maps, pose, FRAME, (80, 90), 1)[:, 0]
    whole = images[:, 0].reshape(1, 80, 2, 90, 2).mean((2, 4))
    inside = whole < 0.5
    assert (back - whole)[inside].abs().mean() < 0.05
    assert back[:, 0, 0] == 0  # too far away to be seen


@pytest.mark.parametrize("tone", [0.0, 0.4, 1.0])
def test_an_image_without_a_part_is_seen_about_its_middle(tone):
    pose = pose_of(torch.full((2, 3, 61, 81), tone), LIMIT)
    assert pose.row.tolist() == [30, 30]
    assert pose.column.tolist() == [40, 40]
    assert ((pose.down**2 + pose.right**2) == 1).all()


def test_each_image_of_a_batch_has_its_own_pose():
    both = torch.cat([wedge(0.4), wedge(2.0, 85, 100)])
    together = pose_of(both, LIMIT)
    for number in (0, 1):
        alone = Pose(*(part[number : number + 1] for part in together))
        for one, other in zip(alone, pose_of(both[number : number + 1], LIMIT), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("shrink", [2, 4])
def test_a_map_of_shrunk_images_is_turned_back_to_their_size(shrink):
    images = wedge(1.0)
    small = shrunk(images, shrink)
    frame = Frame(*(side // shrink for side in FRAME))
    pose = pose_of(small, LIMIT)
    maps = shrunk(upright(small, pose, frame), 2)
    back = turned_back(maps, pose, frame, (80, 90), shrink)[:, 0]
    whole = shrunk(images, 2)[:, 0]
    inside = whole < 0.5
    assert (back - whole)[inside].abs().mean() < 0.04 * shrink
