"""What a step of a training sees."""

import pytest
import torch
from torch.nn import functional

from adacl.config import Config
from adacl.networks.regressor import seen
from adacl.networks.views import own_views, views_of
from adacl.training.batches import draw_samples


def drawn(**changes):
    config = Config().replace(anomalies__weights={"cut_paste": 1, "puzzling": 1}, **changes)
    normal = torch.rand(12, 1, 10, 10, generator=torch.Generator().manual_seed(0))
    views = views_of(config.network)
    samples = draw_samples(normal.clone(), views, torch.Generator().manual_seed(1), config)
    return normal, own_views(views), *samples


@pytest.mark.parametrize("mirrored", ["no", "own"])
@pytest.mark.parametrize("turns", [(0,), (0, 2), (0, 1, 2, 3)])
@pytest.mark.parametrize("per_image", [1, 3])
def test_a_view_is_normal_to_its_output_and_what_is_made_to_none(mirrored, turns, per_image):
    normal, views, images, labels, anomalous = drawn(
        network__mirrored=mirrored, network__turns=turns, anomalies__per_image=per_image
    )
    assert images.shape == (12 * (len(views) + per_image), 1, 10, 10)
    assert labels.shape == anomalous.shape == (len(images), len(views))
    for place, view in enumerate(views):
        rows = slice(12 * place, 12 * (place + 1))
        assert torch.equal(images[rows], seen(normal, view))
        assert (anomalous[rows].sum(1) == len(views) - 1).all()
        assert not anomalous[rows, view.output].any()
    made = slice(12 * len(views), None)
    assert anomalous[made].all()
    assert (labels[anomalous] >= 0.7).all()
    assert (labels[~anomalous] <= 0.3).all()
    known = torch.cat([seen(normal, view) for view in views])
    assert not (images[made][:, None] == known[None]).all((2, 3, 4)).any()


def test_what_is_made_is_shown_in_all_views():
    counts = [0, 0]
    config = Config().replace(
        anomalies__weights={"rotation": 1},
        anomalies__options={"rotation": {"turns": [1]}},
        network__turns=[0, 2],
    )
    normal = torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    views = views_of(config.network)
    images, _, _ = draw_samples(normal, views, torch.Generator().manual_seed(1), config)
    for made, source in zip(images[400:], normal, strict=True):
        counts[0] += torch.equal(made, torch.rot90(source, 1, (1, 2)))
        counts[1] += torch.equal(made, torch.rot90(source, 3, (1, 2)))
    assert sum(counts) == 200
    assert min(counts) > 60


def test_where_mirrored_is_normal_half_of_the_images_are():
    normal, _, images, _, _ = drawn(network__mirrored="normal")
    straight = [torch.equal(a, b) for a, b in zip(images[:12], normal, strict=True)]
    turned = [torch.equal(a.flip(-1), b) for a, b in zip(images[:12], normal, strict=True)]
    assert all(a != b for a, b in zip(straight, turned, strict=True))
    assert 1 < sum(turned) < 11


def test_shifted_normals_are_cut_from_mirrored_surroundings():
    normal, _, images, _, _ = drawn(training__shift=2)
    padded = functional.pad(normal, (2, 2, 2, 2), mode="reflect")
    seen_places = set()
    for source, shifted in zip(padded, images[:12], strict=True):
        found = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if torch.equal(source[:, top : top + 10, left : left + 10], shifted)
        ]
        assert len(found) == 1
        seen_places.update(found)
    assert len(seen_places) > 5


def test_tinted_normals_keep_their_order_within_a_channel():
    normal, _, images, _, _ = drawn(training__tint=0.3)
    changes = []
    for source, tinted in zip(normal, images[:12], strict=True):
        inside = (tinted > 0) & (tinted < 1)
        gain = torch.linalg.lstsq(
            torch.stack([source[inside], torch.ones(int(inside.sum()))], 1), tinted[inside]
        ).solution
        assert torch.allclose(gain[0] * source[inside] + gain[1], tinted[inside], atol=1e-5)
        assert 0.7 <= gain[0] <= 1.3
        assert abs(gain[1] - 0.5 * (1 - gain[0])) <= 0.15 + 1e-5
        changes.append(float(gain[0]))
    assert max(changes) - min(changes) > 0.2
