"""Worker processes that start soon, where tests are about what they do."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import pytest

from adacl.scale import engines


@contextmanager
def forked_workers() -> Iterator[None]:
    """Fork workers from a process that has imported PyTorch, instead of one import in each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["adacl.detector", "adacl.protocols.image", "torch._dynamo"])

    def new_process() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, context, initializer=engines._start)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_new_process", new_process)
        yield
