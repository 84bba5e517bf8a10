"""Optimisers by name: PyTorch's Adam family (paper, 3.3), and Muon."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from adacl.config import TrainingConfig
from adacl.networks.build import Network


class _Eager(Optimizer):
    """The methods of PyTorch's optimisers that prepare for its compiler, without doing so.

    They import it on first use, which takes longer than a small training, and nothing here is
    compiled.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)


class _Adam(_Eager, torch.optim.Adam):
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


class _AdamW(_Eager, torch.optim.AdamW):
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


class _NAdam(_Eager, torch.optim.NAdam):
    step = torch.no_grad()(inspect.unwrap(torch.optim.NAdam.step))


class _RAdam(_Eager, torch.optim.RAdam):
    step = torch.no_grad()(inspect.unwrap(torch.optim.RAdam.step))


ADAM_FAMILY: dict[str, Callable[..., Optimizer]] = {
    "adam": _Adam,
    "adamw": _AdamW,
    "nadam": _NAdam,
    "radam": _RAdam,
}
MATRIX_RATE = 10.0
"""How much larger the learning rate of weight matrices is than that of everything else."""
MOMENTUM = 0.9
BETAS, EPSILON = (0.9, 0.999), 1e-8
ITERATIONS = 4
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def make_optimizer(network: Network, config: TrainingConfig) -> Optimizer:
    """Return the optimiser of a training for the weights of its network."""
    if config.optimizer == "muon":
        return Muon(network, config.rate_max, config.weight_decay)
    return ADAM_FAMILY[config.optimizer](
        network.parameters(), lr=config.rate_max, weight_decay=config.weight_decay
    )


class Muon(_Eager):
    """Steps of equal size in all directions for weight matrices, Adam's for everything else.

    The momentum of a matrix (a convolution's kernel is one, outputs by inputs) is replaced by the
    orthogonal matrix next to it. PyTorch's own Muon takes no convolutions.

    Parameters
    ----------
    network
        The network. The output layer, normalisations and biases are left to Adam.
    lr
        Learning rate of Adam; that of the matrices is ten times as large.
    weight_decay
        Decoupled, as AdamW's.

    References
    ----------
    K. Jordan and others: Muon: an optimizer for hidden layers in neural networks, 2024.
    """

    def __init__(self, network: Network, lr: float, weight_decay: float) -> None:
        weights = list(network.parameters())
        matrices = [w for w in weights if w.ndim > 1 and w is not network.output.weight]
        others = [w for w in weights if w.ndim <= 1 or w is network.output.weight]
        groups = [{"params": matrices, "matrices": True}, {"params": others, "matrices": False}]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every weight by its gradient."""
        for group in self.param_groups:
            move = _orthogonal_step if group["matrices"] else _adam_step
            rate, decay = group["lr"], group["weight_decay"]
            for weight in group["params"]:
                if weight.grad is not None:
                    move(weight, weight.grad, self.state[weight], rate, decay)


def _orthogonal_step(
    weight: Tensor, gradient: Tensor, state: dict[str, Tensor], rate: float, decay: float
) -> None:
    if not state:
        state["momentum"] = torch.zeros_like(weight)
    rate *= MATRIX_RATE
    momentum = state["momentum"].mul_(MOMENTUM).add_(gradient)
    direction = orthogonal(gradient.add(momentum, alpha=MOMENTUM).flatten(1)).view_as(weight)
    tall = max(1.0, len(weight) / weight[0].numel()) ** 0.5
    weight.mul_(1 - rate * decay).add_(direction, alpha=-rate * tall)


def _adam_step(
    weight: Tensor, gradient: Tensor, state: dict[str, Tensor], rate: float, decay: float
) -> None:
    if not state:
        state["step"] = torch.zeros((), device=weight.device)
        state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
    state["step"] += 1
    first = state["exp_avg"].lerp_(gradient, 1 - BETAS[0]) / (1 - BETAS[0] ** state["step"])
    second = state["exp_avg_sq"].lerp_(gradient * gradient, 1 - BETAS[1])
    scale = (second / (1 - BETAS[1] ** state["step"])).sqrt() + EPSILON
    weight.mul_(1 - rate * decay).add_(first / scale, alpha=-rate)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about U Vᵀ of the singular value decomposition U S Vᵀ of a matrix.

    A Newton-Schulz iteration that brings all singular values to between about 0.7 and 1.2.
    """
    a, b, c = COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    result: Tensor = wide / (wide.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = result @ result.T
        result = a * result + (b * square + c * square @ square) @ result
    return result if wide is matrix else result.T
