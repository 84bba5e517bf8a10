"""Run a function on many items, in local processes or on Ray.

Both keep a result for every item: one whose process dies, for want of memory or killed, is tried
again, and given back with an error if that does not help.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, get_args

from adacl.data.reading import processors
from adacl.errors import ConfigError, DataError, missing_extra

Item = TypeVar("Item")
Result = TypeVar("Result")

EngineName = Literal["local", "ray"]

TRIES = 3
"""Times that an item is tried whose process dies."""
AHEAD = 2
"""Items handed to Ray for each of its processors, so that none waits."""
CLEARING = 5.0
"""Seconds that the processes of a run that is stopped may take to be cleared away."""
REACHED_WITHIN = 10
"""Seconds."""
TOKEN = "~/.ray/auth_token"
"""By which Ray lets in whoever may use a cluster; the same on all its machines."""


@dataclass(frozen=True)
class Engine:
    """Where functions run.

    Parameters
    ----------
    name
        ``local`` for processes of this machine, or ``ray``.
    workers
        Processes at a time; by default one a processor. Not for a running cluster, which uses all
        it has.
    address
        Of a running Ray cluster, as ``auto`` or ``host:6379``; by default Ray starts on this
        machine.

    Raises
    ------
    ConfigError
        If the engine is not known, the number of workers not positive, the address empty, or given
        with workers or for another engine.
    """

    name: EngineName = "local"
    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.name not in get_args(EngineName):
            raise ConfigError(f"engine {self.name!r}: need one of local, ray")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers: need at least 1, got {self.workers}")
        if self.address is None:
            return
        if not self.address:
            raise ConfigError("address: is empty; name a Ray cluster, or leave it out")
        if self.name != "ray":
            raise ConfigError("address: is that of a Ray cluster; use it with --engine ray")
        if self.workers is not None:
            raise ConfigError(
                "address: a cluster uses all its processors; leave out --workers or --jobs"
            )


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """What became of an item: its result, or the error that the function raised."""

    item: Item
    result: Result | None = None
    error: Exception | None = None

    def get(self) -> Result:
        """Return the result, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]


def run(
    engine: Engine,
    function: Callable[[Item], Result],
    items: Iterable[Item],
) -> Iterator[Outcome[Item, Result]]:
    """Call a function with each item in another process, and yield the outcomes as they come.

    Parameters
    ----------
    engine
        Where.
    function
        Can be pickled; so can its results and the items.
    items
        Taken one by one, as there is room.

    Raises
    ------
    MissingExtraError
        If Ray is wanted and not installed.
    DataError
        If the cluster cannot be reached.
    """
    if engine.name == "ray":
        yield from _on_ray(engine, function, items)
    else:
        yield from _on_processes(engine.workers or processors(), function, items)


def _on_processes(
    workers: int,
    function: Callable[[Item], Result],
    items: Iterable[Item],
) -> Iterator[Outcome[Item, Result]]:
    """Let threads hand out the items, each to a process of its own, so that a death is its item's.

    A thread asks for an item when it has none, which keeps the items not handed out with the
    iterator.
    """
    remaining, lock, stopped = iter(items), threading.Lock(), threading.Event()
    starting = threading.Lock()
    done: queue.SimpleQueue[Outcome[Item, Result] | BaseException | None] = queue.SimpleQueue()
    pools: dict[int, ProcessPoolExecutor] = {}

    def serve(number: int) -> None:
        try:
            while not stopped.is_set():
                with lock:
                    batch = list(islice(remaining, 1))
                if not batch:
                    break
                done.put(_try(number, batch[0]))
        except BaseException as error:  # of the iterator, raised where outcomes are asked for
            done.put(error)
        finally:
            if pool := pools.pop(number, None):
                pool.shutdown()
            done.put(None)

    def _try(number: int, item: Item) -> Outcome[Item, Result]:
        for _ in range(TRIES):
            try:
                with starting:
                    if stopped.is_set():
                        break
                    pool = pools.get(number) or _new_process()
                    pools[number] = pool
                    future = pool.submit(function, item)
                return Outcome(item, future.result())
            except BrokenProcessPool:
                pools.pop(number).shutdown()
            except Exception as error:
                return Outcome(item, error=error)
        return Outcome(item, error=_died())

    threads = [threading.Thread(target=serve, args=(n,), daemon=True) for n in range(workers)]
    for thread in threads:
        thread.start()
    ended = 0
    try:
        while ended < workers:
            outcome = done.get()
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome is None:
                ended += 1
            else:
                yield outcome
    finally:
        with starting:
            stopped.set()
            for pool in list(pools.values()):
                for process in list((pool._processes or {}).values()):
                    process.terminate()
        deadline = time.monotonic() + CLEARING
        for thread in threads:  # else the interpreter may end while one clears a pool away
            thread.join(max(0.0, deadline - time.monotonic()))


def _new_process() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, context, initializer=_start)


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this process when the one that started it is killed, instead of waiting for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _died() -> DataError:
    return DataError(f"its process died {TRIES} times, killed or out of memory; use fewer workers")


def _on_ray(
    engine: Engine, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Outcome[Item, Result]]:
    ray = _started(engine)
    try:
        task = ray.remote(lambda item: function(item)).options(num_cpus=1, max_retries=TRIES - 1)
        room = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        remaining = iter(items)
        waiting: dict[Any, Item] = {task.remote(item): item for item in islice(remaining, room)}
        while waiting:
            (finished, *_), _ = ray.wait(list(waiting), num_returns=1)
            item = waiting.pop(finished)
            yield _outcome_of(ray, finished, item)
            waiting |= {task.remote(another): another for another in islice(remaining, 1)}
    finally:
        ray.shutdown()


def _started(engine: Engine) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if engine.address:
        _check_reachable(engine.address)
        if Path(os.path.expanduser(TOKEN)).exists():  # "ray start" made it, and asks for it
            os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise missing_extra(error) from error

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if engine.address:
        options["address"] = engine.address
    else:
        options |= {"address": "local", "num_cpus": engine.workers, "include_dashboard": False}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own would leave without a word
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise DataError(f"Ray cluster {engine.address or 'here'}: {error}") from error
    return ray


def _check_reachable(address: str) -> None:
    """Check that something listens at an address; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), REACHED_WITHIN).close()
    except (OSError, OverflowError, UnicodeError) as error:  # the last of what is no host
        raise DataError(
            f"Ray cluster {address}: cannot be reached ({error}); start it with: ray start --head"
        ) from error


def _outcome_of(ray: Any, finished: Any, item: Item) -> Outcome[Item, Any]:
    try:
        return Outcome(item, ray.get(finished))
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        return Outcome(item, error=cause if isinstance(cause, Exception) else error)
    except ray.exceptions.RayError:
        return Outcome(item, error=_died())
