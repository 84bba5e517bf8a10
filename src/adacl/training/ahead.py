"""Draw what the next step sees while the network learns from the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Part = TypeVar("Part")
Drawn = TypeVar("Drawn")


@contextmanager
def drawn_ahead(
    draw: Callable[[Part], Drawn], parts: Iterable[Part], ahead: bool
) -> Iterator[Iterator[Drawn]]:
    """Call a function on each of some parts, in order.

    Parameters
    ----------
    draw
        What to call; all calls are in one thread, one after the other.
    parts
        Its arguments.
    ahead
        Whether one of PyTorch's threads does this while the others learn. Where there is a single
        one, nothing is drawn ahead.
    """
    threads = torch.get_num_threads()
    if not ahead or threads == 1:
        yield map(draw, parts)
        return
    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(torch.set_num_threads, 1).result()
            torch.set_num_threads(threads - 1)
            yield _in_order(pool, draw, parts)
        finally:
            torch.set_num_threads(threads)


def _in_order(
    pool: ThreadPoolExecutor, draw: Callable[[Part], Drawn], parts: Iterable[Part]
) -> Iterator[Drawn]:
    coming: Future[Drawn] | None = None
    for part in parts:
        following = pool.submit(draw, part)
        if coming:
            yield coming.result()
        coming = following
    if coming:
        yield coming.result()
