"""Views: turned and mirrored copies, and which output each belongs to."""

import numpy as np
import pytest
import torch

from adacl.config import NetworkConfig
from adacl.errors import ConfigError
from adacl.networks.regressor import Regressor, seen
from adacl.networks.views import View, own_views, views_of


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_square_view_is_mirrored_then_turned(turns, mirrored):
    images = torch.rand(5, 3, 9, 9)
    wanted = torch.rot90(images.flip(-1) if mirrored else images, turns, (2, 3))
    assert torch.equal(seen(images, View(turns, mirrored, 0)), wanted)


@pytest.mark.parametrize(("height", "width"), [(8, 13), (14, 9)])
def test_of_other_images_the_middle_square_is_turned(height, width):
    image = torch.rand(1, 1, height, width)
    found = seen(image, View(1, False, 0))
    side, top, left = min(height, width), max(0, height - width) // 2, max(0, width - height) // 2
    square = np.s_[:, :, top : top + side, left : left + side]
    assert torch.equal(found[square], torch.rot90(image[square], 1, (2, 3)))
    rest = torch.ones_like(image, dtype=torch.bool)
    rest[square] = False
    assert torch.equal(found[rest], image[rest])


@pytest.mark.parametrize(
    ("mirrored", "outputs"),
    [("no", [0, 1, 2]), ("normal", [0, 1, 2, 0, 1, 2]), ("own", [0, 1, 2, 3, 4, 5])],
)
def test_which_output_a_view_belongs_to(mirrored, outputs):
    views = views_of(NetworkConfig(turns=(0, 2, 3), mirrored=mirrored))
    assert [view.output for view in views] == outputs
    assert [view.turns for view in views] == [0, 2, 3] * (len(views) // 3)
    assert [view.mirrored for view in views] == [False] * 3 + [True] * (len(views) - 3)
    own = own_views(views)
    assert [view.output for view in own] == sorted(set(outputs))
    assert own == views[: len(own)]


@pytest.mark.parametrize("turns", [(), (1, 0), (0, 0), (0, 4), (1,), (0, -1)])
def test_turns_that_cannot_be(turns):
    with pytest.raises(ConfigError, match=r"network\.turns"):
        NetworkConfig(turns=turns)


@pytest.mark.parametrize(("count", "words"), [(-1, "need at least 0"), (7, "need 0 to 6")])
def test_more_views_than_there_are_cannot_be_scored(count, words):
    with pytest.raises(ConfigError, match=f"network.scored_views: {words}, got {count}"):
        NetworkConfig(turns=(0, 1, 3), mirrored="own", scored_views=count)


@pytest.mark.parametrize("scored", [0, 1, 2])
@pytest.mark.parametrize("head", ["clip", "sigmoid"])
@pytest.mark.parametrize("mirrored", ["no", "normal", "own"])
def test_the_score_is_the_mean_over_the_views_of_their_own_output(mirrored, head, scored):
    torch.manual_seed(0)
    config = NetworkConfig(
        channels=(4, 8),
        hidden=8,
        turns=(0, 1, 3),
        mirrored=mirrored,
        head=head,
        scored_views=scored,
    )
    network = Regressor(config, 2, 10, 12).eval()
    images = torch.rand(6, 2, 10, 12)
    views = network.views[: scored or None]
    outputs = torch.stack([network(seen(images, view))[:, view.output] for view in views]).double()
    wanted = (outputs.sigmoid() if head == "sigmoid" else outputs).mean(0)
    assert scored == 1 or outputs.std(0).min() > 0
    torch.testing.assert_close(network.raw_score(images), wanted)
