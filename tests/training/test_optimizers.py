"""Muon: orthogonal steps for matrices, Adam for the rest."""

import subprocess
import sys

import pytest
import torch

from adacl.config import NetworkConfig, TrainingConfig
from adacl.networks.regressor import Regressor
from adacl.training.optimizers import (
    ADAM_FAMILY,
    MATRIX_RATE,
    Muon,
    make_optimizer,
    orthogonal,
)


@pytest.mark.parametrize("shape", [(8, 8), (5, 30), (30, 5), (1, 9)])
def test_orthogonal_brings_all_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix)
    sizes = torch.linalg.svdvals(found)
    assert sizes.max() < 1.3
    assert sizes.median() > 0.6
    assert (found * (u @ v)).sum() > 0.6 * len(sizes)
    assert torch.equal(orthogonal(torch.zeros(shape)), torch.zeros(shape))


def network_with_gradients():
    torch.manual_seed(0)
    config = NetworkConfig(channels=(4, 8), kernel=3, hidden=6, batch_norm=True, turns=(0, 2))
    network = Regressor(config, 1, 8, 8)
    network(torch.rand(16, 1, 8, 8)).square().mean().backward()
    return network


def test_matrices_take_orthogonal_steps_and_the_rest_adams():
    network, twin = network_with_gradients(), network_with_gradients()
    muon = Muon(network, lr=0.01, weight_decay=0.1)
    adam = torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.1)
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    for _ in range(2):
        muon.step()
        adam.step()
    matrices = set()
    for (name, weight), other in zip(network.named_parameters(), twin.parameters(), strict=True):
        if weight.ndim == 1 or name == "output.weight":
            torch.testing.assert_close(weight, other)
            continue
        matrices.add(name)
        rate = 0.01 * MATRIX_RATE
        step = (weight - before[name] * (1 - 0.1 * rate) ** 2).detach().flatten(1) / rate
        sizes = torch.linalg.svdvals(step) / max(1, len(step) / step.shape[1]) ** 0.5
        assert sizes.max() < 2 * 1.3  # two steps
        assert sizes.mean() > 1
    assert matrices == {"features.0.weight", "features.5.weight", "hidden.1.weight"}


def test_names():
    network = network_with_gradients()
    kinds = {
        name: type(make_optimizer(network, TrainingConfig(optimizer=name)))
        for name in ("adam", "adamw", "nadam", "radam", "muon")
    }
    assert kinds["muon"] is Muon
    assert len(set(kinds.values())) == 5


def test_none_waits_for_pytorchs_compiler():
    program = """
import sys
import torch
from adacl.training.optimizers import ADAM_FAMILY, Muon

network = torch.nn.Sequential()
network.hidden, network.output = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
for kind in [*ADAM_FAMILY.values(), lambda weights, lr: Muon(network, lr, 0)]:
    optimizer = kind(network.parameters(), lr=0.1)
    optimizer.zero_grad()
    network(torch.ones(3, 2)).mean().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
assert "torch._dynamo" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "radam"])
def test_the_family_steps_as_pytorchs_own(name):
    kinds = (ADAM_FAMILY[name], getattr(torch.optim, ADAM_FAMILY[name].__bases__[-1].__name__))
    found = []
    for kind in kinds:
        torch.manual_seed(0)
        layer, batch = torch.nn.Linear(4, 3), torch.randn(8, 4)
        optimizer = kind(layer.parameters(), lr=0.1, weight_decay=0.1)
        for _ in range(3):
            optimizer.zero_grad(set_to_none=True)
            layer(batch).square().sum().backward()
            optimizer.step()
        found.append(layer.weight.detach())
    assert torch.equal(*found)
