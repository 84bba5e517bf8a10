from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from adacl.errors import ConfigError, DataError
from adacl.scale.engines import Engine, run


def square(item: int) -> int:
    if item == 3:
        raise DataError("three is refused")
    if item == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def die_once(path: Path) -> str:
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "second try"


@pytest.mark.parametrize("name", ["local", "ray"])
def test_every_item_has_an_outcome_even_if_its_process_dies(name: str, tmp_path: Path) -> None:
    if name == "ray":
        pytest.importorskip("ray")
    outcomes = {o.item: o for o in run(Engine(name, workers=2), square, range(8))}  # type: ignore[arg-type]
    assert sorted(outcomes) == list(range(8))
    assert {i: o.result for i, o in outcomes.items() if not o.error} == {
        i: i * i for i in range(8) if i not in (3, 5)
    }
    with pytest.raises(DataError, match="three is refused"):
        outcomes[3].get()
    with pytest.raises(DataError, match="died 3 times"):
        outcomes[5].get()
    [again] = run(Engine(name, workers=1), die_once, [tmp_path / "tried"])  # type: ignore[arg-type]
    assert again.get() == "second try"


def test_items_are_taken_one_by_one_and_their_error_is_raised() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in (0, 1, 2):
            taken.append(item)
            yield item
        raise DataError("the list is torn")

    outcomes = run(Engine(workers=1), square, items())
    assert next(outcomes).result == 0
    assert len(taken) <= 3
    with pytest.raises(DataError, match="the list is torn"):
        list(outcomes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "slurm"}, "need one of local, ray"),
        ({"workers": 0}, "at least 1"),
        ({"address": "auto"}, "use it with --engine ray"),
        ({"name": "ray", "address": ""}, "address: is empty"),
        ({"name": "ray", "address": "first:6379", "workers": 2}, "leave out --workers"),
    ],
)
def test_impossible_engines_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Engine(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "first..plant:6379"])
def test_a_cluster_that_is_not_there_is_told(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(DataError, match=f"Ray cluster {address}: cannot be reached"):
        list(run(Engine("ray", address=address), square, [1]))
