"""``adacl serve``."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated

import typer

from adacl.cli.support import options
from adacl.cli.support.progress import log, messages
from adacl.config.sections import finite
from adacl.errors import ConfigError

MEGABYTE = 1 << 20


def serve(
    models: Annotated[
        list[Path] | None,
        typer.Argument(metavar="MODEL...", help="Exported files or model files."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(envvar="ADACL_TOKEN", help="Bearer token that clients must send."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Further host name that requests may use (repeatable)."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep trainings and their models here."),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="TOML", help="File of settings for trainings on the page."
        ),
    ] = None,
    backend: options.Backend = "onnxruntime",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that score; by default one per processor.")
    ] = None,
    max_body: Annotated[
        float, typer.Option(metavar="MB", help="Largest body of a request, or file of a training.")
    ] = 64,
    max_files: Annotated[int, typer.Option(help="Most files in a request.")] = 64,
    max_megapixels: Annotated[
        float, typer.Option(help="Most pixels of an image, in millions.")
    ] = 40,
    max_seconds: Annotated[float, typer.Option(help="Longest time for a request.")] = 30,
    max_head_seconds: Annotated[
        float, typer.Option(help="Longest time for the head of a request.")
    ] = 10,
    max_connections: Annotated[int, typer.Option(help="Most connections at the same time.")] = 512,
    max_waiting: Annotated[int, typer.Option(help="Most images that wait to be scored.")] = 1024,
    max_memory: Annotated[
        float,
        typer.Option(metavar="MB", help="Most memory for the bodies of all requests together."),
    ] = 512,
    max_training: Annotated[
        float, typer.Option(metavar="MB", help="Largest size of all images of a training.")
    ] = 1024,
    max_training_images: Annotated[int, typer.Option(help="Most images of a training.")] = 5000,
    max_trainings_waiting: Annotated[int, typer.Option(help="Most trainings that wait.")] = 4,
    log_to: Annotated[
        str | None,
        typer.Option(
            "--log", metavar="FILE|URL", help="Keep all answers in this database (SQLite)."
        ),
    ] = None,
    log_max_mib: Annotated[
        float | None,
        typer.Option(
            metavar="MIB",
            help="Largest size of --log FILE, by default 1024; the oldest answers are deleted "
            "first.",
        ),
    ] = None,
    log_thumbnails: Annotated[
        bool, typer.Option("--log-thumbnails", help="Also keep a small copy of each image.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Serve models over HTTP, with a web page: score images, and train small models.

    Without a MODEL, the page can train one. See docs/how-to/serve.md.
    """
    from adacl.config.presets import from_toml
    from adacl.deploy.opening import read_header

    try:
        from adacl.serve.limits import Limits
        from adacl.serve.server import run
    except ModuleNotFoundError:
        for model in models or []:  # one that is never served needs no further package
            read_header(model).check_kind(model, video=False, taker="adacl serve")
        raise

    if token is None and "ADACL_TOKEN" in os.environ:
        raise ConfigError(
            "ADACL_TOKEN: is empty, so whoever reaches the service could use it; "
            "give it a value, or unset it"
        )
    if log_to is None and (log_max_mib is not None or log_thumbnails):
        raise ConfigError("--log-max-mib and --log-thumbnails: need --log FILE")
    limits = Limits(
        body_bytes=_whole("--max-body", max_body, MEGABYTE),
        files=max_files,
        pixels=_whole("--max-megapixels", max_megapixels, 10**6),
        seconds=max_seconds,
        head_seconds=max_head_seconds,
        connections=max_connections,
        waiting=max_waiting,
        memory_bytes=_whole("--max-memory", max_memory, MEGABYTE),
        training_images=max_training_images,
        training_bytes=_whole("--max-training", max_training, MEGABYTE),
        trainings_waiting=max_trainings_waiting,
    )
    with messages(quiet):
        if not token and not _local(host):
            log.warning("whoever reaches %s can use the service; consider --token", host)
        run(
            models or [],
            host=host,
            port=port,
            limits=limits,
            token=token,
            hosts=allow_host or [],
            backend=backend,
            workers=workers,
            data=data,
            config=None if config_file is None else from_toml(config_file),
            log_to=log_to,
            log_bytes=None
            if log_max_mib is None
            else _whole("--log-max-mib", log_max_mib, MEGABYTE),
            log_thumbnails=log_thumbnails,
        )


def _whole(option: str, value: float, unit: int) -> int:
    return int(finite(option, value, above=0) * unit)


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
