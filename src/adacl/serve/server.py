"""Run the service: one process, an event loop, threads that score."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import signal
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from adacl.config import Config
from adacl.data.reading import processors
from adacl.errors import ConfigError, DataError
from adacl.files import make_folder
from adacl.serve.app import Service, create_app
from adacl.serve.batching import Batcher
from adacl.serve.counters import Metrics
from adacl.serve.guard import Guard, host_name
from adacl.serve.http_protocol import protocol
from adacl.serve.limits import Limits
from adacl.serve.models import Models, Served
from adacl.serve.training.queue import Trainings
from adacl.serve.uploads import Memory

log = logging.getLogger("adacl")

DRAIN_SECONDS = 0.5
GRACE_SECONDS = 5
LOCK = "lock"


def run(
    models: Sequence[Path],
    *,
    host: str,
    port: int,
    limits: Limits,
    token: str | None = None,
    hosts: Sequence[str] = (),
    backend: str = "onnxruntime",
    workers: int | None = None,
    data: Path | None = None,
    config: Config | None = None,
    log_to: str | None = None,
    log_bytes: int | None = None,
    log_thumbnails: bool = False,
) -> None:
    """Serve models until a signal ends it.

    Parameters
    ----------
    models
        Exported files and model files; each is served by the name of its file.
    host, port
        Where to listen; port 0 chooses a free one.
    limits
        What is taken at most.
    token
        What clients must send, if anything.
    hosts
        Further names that the service goes by.
    backend
        What runs the models.
    workers
        Threads that score; by default one a processor.
    data
        Keeps trainings and their models; by default they end with the service.
    config
        How models are trained.
    log_to
        File or URL of a database that keeps the answers; by default none does.
    log_bytes
        Bound on that file.
    log_thumbnails
        Whether it keeps small copies of the images, too.

    Raises
    ------
    AdaclError
        If a model cannot be used, the address not be listened at, or another service keeps its
        trainings in ``data``.
    """
    served = Models()
    for path in models:
        name = path.stem.encode(errors="replace").decode()  # names of files can be no UTF-8
        served.add(Served(name, path, backend))
    with _listening(host, port) as listener, _folder(data) as folder:
        metrics = Metrics()
        station = None
        if log_to is not None:
            from adacl.serve.station.records import Records
            from adacl.serve.station.writer import Station

            records = Records(log_to, create=True, most_bytes=log_bytes)
            station = Station(records, metrics, log_thumbnails)
            log.info("answers are kept in %s", records.shown)
        trainings = Trainings(folder, served, limits, backend, config)
        trainings.take_up()
        service = Service(
            models=served,
            limits=limits,
            batcher=Batcher(limits, metrics, workers or processors()),
            trainings=trainings,
            metrics=metrics,
            memory=Memory(limits.memory_bytes),
            station=station,
        )
        names = [host, socket.gethostname(), *map(host_name, hosts)]
        guard = Guard(create_app(service), metrics, token, names)
        service.ready = lambda: not guard.stopping
        shown = f"[{host}]" if ":" in host else host
        port = listener.getsockname()[1]
        _Server(guard, limits, f"http://{shown}:{port}/").run([listener])
    log.info("stopped")


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise ConfigError(
            f"cannot listen at {host} port {port} ({reason}); choose with --host and --port"
        ) from error
    with listener:
        yield listener


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is None:
        with tempfile.TemporaryDirectory(prefix="adacl-", ignore_cleanup_errors=True) as temporary:
            yield Path(temporary)
    else:
        folder = data / "trainings"
        make_folder(folder)
        with _locked(folder):
            yield folder


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other services out, which would take up the same trainings and clear what arrives."""
    with contextlib.ExitStack() as kept:
        try:
            lock = kept.enter_context((folder / LOCK).open("a"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(
                f"{folder}: another service keeps its trainings there; stop it, or name another "
                "folder (--data)"
            ) from error
        except OSError as error:  # on a disk that is only read, models can be served
            log.warning("%s: cannot be locked (%s)", folder, error.strerror)
        yield


class _Server(uvicorn.Server):
    """Ends with code 0 on a signal, and loses nothing that was sent before it noticed."""

    def __init__(self, guard: Guard, limits: Limits, address: str) -> None:
        super().__init__(
            uvicorn.Config(
                guard,
                http=protocol(limits),
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=int(limits.seconds) + GRACE_SECONDS,
            )
        )
        self._guard = guard
        self._address = address

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where; from then on a signal ends it as it should."""
        await super().startup(sockets)
        if self.started:
            log.info("listening at %s (Ctrl-C ends it)", self._address)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is under way, on connections that then close; then stop."""
        self._guard.stopping = True
        for server in self.servers:
            server.close()
        await asyncio.sleep(DRAIN_SECONDS)
        await super().shutdown(sockets)
