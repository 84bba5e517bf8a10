"""Checkpoints of a training: weights, best weights, optimiser and history in one file.

They hold no random state, because all randomness follows from the seed and the epoch's number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adacl.errors import ModelFileError
from adacl.imaging.spec import Array
from adacl.model import tensor_file
from adacl.model.history import History
from adacl.networks.build import Network

NUMBERS = ("step", "mu_product")
"""What optimisers keep of a parameter as one number, not one for each of its elements."""


def save(
    path: Path,
    network: Network,
    optimizer: torch.optim.Optimizer,
    best: dict[str, Tensor],
    history: History,
    identity: dict[str, Any],
    ended: bool = False,
) -> None:
    """Write a checkpoint.

    ``identity`` tells what data and settings it belongs to, ``ended`` that there is to be no
    further epoch, however many the settings have.
    """
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
    arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
    header: dict[str, Any] = {"identity": identity, "history": history.to_dict()}
    if ended:
        header["ended"] = True
    tensor_file.write(path, arrays, header)


def resume(
    path: Path,
    network: Network,
    optimizer: torch.optim.Optimizer,
    identity: dict[str, Any],
) -> tuple[History, dict[str, Tensor], bool]:
    """Put network and optimiser in the state of a checkpoint.

    Returns
    -------
    history, best, ended
        The epochs so far, the weights of the one to keep, and whether there is to be no further.

    Raises
    ------
    ModelFileError
        If the checkpoint is damaged or belongs to other data or settings.
    """
    arrays, header = tensor_file.read(path)
    if header.get("identity") != identity:
        raise ModelFileError(
            f"{path}: belongs to other data or settings; repeat the command it was made with, "
            f"or delete all checkpoints in {path.parent} to start again"
        )
    try:
        history, best = _restore(arrays, header, network, optimizer)
    except tensor_file.UNSOUND as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(f"{path}: not a sound checkpoint ({reason}); delete it") from error
    return history, best, header.get("ended") is True


def _restore(
    arrays: dict[str, Array],
    header: dict[str, Any],
    network: Network,
    optimizer: torch.optim.Optimizer,
) -> tuple[History, dict[str, Tensor]]:
    device = network.mean.device
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimizer": {}}
    for name, array in arrays.items():
        group, _, rest = name.partition(".")
        groups[group][rest] = torch.from_numpy(array.copy()).to(device)
    network.load_state_dict(groups["network"])
    groups_of = [group["params"] for group in optimizer.param_groups]
    parameters = [parameter for group in groups_of for parameter in group]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in groups["optimizer"].items():
        number, _, key = name.partition(".")
        parameter = parameters[int(number)]
        if tensor.shape != (() if key in NUMBERS else parameter.shape):
            raise ValueError(f"{name}: a tensor of another shape")
        if tensor.ndim:  # the memory layout decides how sums are rounded
            tensor = torch.empty_like(parameter).copy_(tensor)
        state.setdefault(int(number), {})[key] = tensor
    kept = iter(state[number].keys() for number in range(len(parameters)))
    kinds = [{tuple(sorted(next(kept))) for _ in group} for group in groups_of]
    if _shapes(groups["best"]) != _shapes(network.state_dict()) or any(
        len(kind) > 1 for kind in kinds
    ):
        raise ValueError("tensors are missing, or of another shape")
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    return History.from_dict(header["history"]), groups["best"]


def _shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}
