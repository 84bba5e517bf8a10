"""The distance among the learnt features."""

import pytest
import torch
from torch.nn import functional

from adacl.networks.distance import Distance


def embeddings(count, seed, spread=1.0):
    """Return two views of embeddings around two places, as ReLU leaves them."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.tensor([[4.0, 1, 0, 2], [0, 3, 5, 1]])
    noise = torch.randn((2, count, 4), generator=generator) * torch.tensor([1.0, 0.2, 0.5, 0.1])
    return (centres[:, None] + spread * noise).clamp(min=0)


def fitted(weight=0.5, components=0):
    distance = Distance(2, 4, components)
    scores = torch.randn(200, generator=torch.Generator().manual_seed(9)) * 0.04
    distance.fit(embeddings(500, 0), embeddings(200, 1), scores, weight)
    return distance, scores


def of(distance, views):
    return torch.stack([distance(view, k) for k, view in enumerate(views)]).mean(0)


def test_it_is_nothing_before_it_is_fitted():
    assert not of(Distance(2, 4, 0), embeddings(20, 0)).any()


@pytest.mark.parametrize("components", [0, 2])
def test_its_gradient_is_finite_where_it_is_nothing(components):
    given = embeddings(20, 0)[0].requires_grad_()
    Distance(2, 4, components)(given, 0).sum().backward()
    assert torch.isfinite(given.grad).all()


@pytest.mark.parametrize("weight", [0.5, 1.0])
@pytest.mark.parametrize("components", [0, 2])
def test_its_unit_is_the_regressions(weight, components):
    distance, scores = fitted(weight, components)
    held_out = of(distance, embeddings(200, 1))
    assert abs(float(held_out.mean())) < 1e-5
    assert float(held_out.std(correction=0)) == pytest.approx(
        weight * float(scores.std(correction=0)), rel=1e-4
    )


@pytest.mark.parametrize("components", [0, 2, 9])
def test_what_is_apart_is_far_in_every_direction_by_its_own_spread(components):
    distance, _ = fitted(components=components)
    normal = of(distance, embeddings(300, 2))
    apart = of(distance, embeddings(300, 3, spread=3.0))
    assert (apart > normal.quantile(0.95)).float().mean() > 0.5
    swapped = of(distance, embeddings(300, 2).flip(0))
    assert swapped.min() > normal.max()
    same_direction = of(distance, 7 * embeddings(300, 2))
    torch.testing.assert_close(same_direction, normal, atol=1e-4, rtol=1e-3)


def test_it_is_mahalanobis_of_a_covariance_that_is_one_number_beyond_the_components():
    distance, _ = fitted(components=2)
    learnt = functional.normalize(embeddings(500, 0).double(), dim=2)
    apart = (learnt - learnt.mean(1, keepdim=True)).flatten(0, 1)
    covariance = apart.T @ apart / (len(apart) - 2)
    covariance += 0.01 * covariance.trace() / 4 * torch.eye(4)
    variances, axes = torch.linalg.eigh(covariance)
    variances[:2] = variances[:2].mean()
    inverse = axes @ torch.diag(1 / variances) @ axes.T
    tested = embeddings(50, 5)[1]
    offcentre = functional.normalize(tested.double(), dim=1) - learnt[1].mean(0)
    wanted = ((offcentre @ inverse) * offcentre).sum(1).sqrt()
    found = distance(tested, 1) / distance.scale + distance.offset
    torch.testing.assert_close(found.double(), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("components", [0, 1])
@pytest.mark.parametrize("views", [torch.zeros(2, 30, 4), torch.ones(2, 30, 4)])
def test_embeddings_that_do_not_vary_leave_it_finite(views, components):
    distance = Distance(2, 4, components)
    distance.fit(views, views[:, :5], torch.zeros(5), 0.5)
    assert torch.isfinite(of(distance, embeddings(20, 0))).all()
    assert torch.isfinite(of(distance, torch.zeros(2, 3, 4))).all()
