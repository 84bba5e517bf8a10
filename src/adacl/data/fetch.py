"""Download the benchmark data sets: resumable, verified, and never half-written."""

from __future__ import annotations

import errno
import gzip
import hashlib
import http.client
import os
import shutil
import tarfile
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

from adacl.data import benchmarks
from adacl.data.benchmarks import DataFile
from adacl.errors import DataError, MissingDataError
from adacl.files import atomic_file

__all__ = ["fetch"]

OnProgress = Callable[[str, int, int | None], None]

_CHUNK = 1 << 18
_LIMIT = 1 << 30
"""Nothing official is larger, packed or unpacked."""
_TIMEOUT = 30.0


class _TransferError(Exception):
    """A download failed; deliberately no OSError, so that it differs from a failing disk."""


def fetch(
    name: str, folder: str | Path | None = None, on_progress: OnProgress | None = None
) -> list[Path]:
    """Download what is missing or damaged of a data set.

    A download that breaks off stays as a ``.part`` file and is resumed by the next call. A file
    gets its own name only when its SHA-256 is right.

    Parameters
    ----------
    name
        ``mnist``, ``fashion-mnist`` or ``cifar10``.
    folder
        Data folder, see :func:`adacl.data.benchmarks.data_dir`.
    on_progress
        Called with the file, the bytes at hand and the bytes in all (None where unknown).

    Returns
    -------
    list of Path
        Where each file lies, training split first.

    Raises
    ------
    ConfigError
        If there is no data set of that name.
    MissingDataError
        If it cannot be downloaded; the message says what to put where by hand.
    DataError
        If what came has the wrong checksum, or the disk is full or not writable.
    """
    benchmark, root = benchmarks.get(name), benchmarks.data_dir(folder)
    place = root / benchmark.folders[0]
    files = [file for split in ("train", "test") for file in benchmark.files[split]]
    wanted = {  # each file and where its damaged copy lies, if any
        file: row["path"]
        for file, row in zip(files, benchmarks.verify(name, folder), strict=True)
        if row["state"] in {"missing", "damaged"}
    }
    suffix = ".bin" if benchmark.archive else ".gz"
    waiting = [place / (file.name + suffix) for file in wanted]
    downloads = [benchmark.archive] if benchmark.archive else list(wanted)
    try:
        for file in downloads if wanted else []:
            download = file.name + (".gz" if benchmark.archive is None else "")
            part = place / f"{download}.part"
            with _writing(place):
                place.mkdir(parents=True, exist_ok=True)
            _obtain(benchmark.url + download, file, part, on_progress)
            if benchmark.archive:
                _extract(part, [*waiting, place / "batches.meta.txt"])
                part.unlink()
            else:
                with _writing(place):
                    part.replace(waiting.pop(0))
    except _TransferError as error:
        origin = f" (unpacked from {benchmark.archive.name})" if benchmark.archive else ""
        raise MissingDataError(
            f"{benchmark.title}: cannot download {benchmark.url}{download}: {error}; "
            f"run 'adacl data fetch {name}' again to resume, or put these files{origin} in "
            f"{place} yourself: {', '.join(path.name for path in waiting)}"
        ) from error
    for file, damaged in wanted.items():  # it may hide the new file
        if damaged and Path(damaged) != place / (file.name + suffix):
            with _writing(place):
                Path(damaged).replace(f"{damaged}.damaged")
    return [path for file in files if (path := benchmarks.find(benchmark, file, root))]


def _obtain(url: str, file: DataFile, part: Path, on_progress: OnProgress | None) -> None:
    """Bring ``part`` to the full, verified content; a leftover that is wrong is begun anew."""
    resumed = True
    while resumed:
        resumed = part.is_file()
        _transfer(url, part, on_progress)
        digest = _digest(part, unpack=part.name == f"{file.name}.gz.part")
        if digest == file.sha256:
            return
        part.unlink()
    raise DataError(
        f"{part.with_suffix('')}: what came from {url} has SHA-256 {digest[:12]} instead of "
        f"{file.sha256[:12]} and was deleted; fetch it again, or from another network"
    )


def _transfer(url: str, part: Path, on_progress: OnProgress | None) -> None:
    """Append to ``part`` what it lacks, or write all of it if the server cannot resume."""
    done = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "adacl"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        response = _opener().open(request, timeout=_TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and done:
            return  # nothing is lacking, as the checksum will tell
        raise _TransferError(f"HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _TransferError(str(getattr(error, "reason", error)) or "no answer") from error
    resumes = response.status == http.HTTPStatus.PARTIAL_CONTENT
    done = done if resumes else 0
    total = None if response.length is None else done + response.length
    with response, _writing(part), part.open("ab" if resumes else "wb") as file:
        while chunk := _read(response):
            done += file.write(chunk)
            if done > _LIMIT:
                raise _TransferError("it is larger than 1 GiB, so not the official file")
            if on_progress is not None:
                on_progress(part.stem, done, total)
    if total is not None and done < total:
        raise _TransferError(f"the connection broke off at {done} of {total} bytes")


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https alone, also after a redirection."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _TransferError(str(error) or type(error).__name__) from error


def _digest(path: Path, unpack: bool) -> str:
    """Return the SHA-256 of a file's content, or words in its place if it is not gzip."""
    digest, size = hashlib.sha256(), 0
    try:
        with gzip.open(path) if unpack else path.open("rb") as file:
            while (chunk := file.read(_CHUNK)) and size <= _LIMIT:
                size += len(chunk)
                digest.update(chunk)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return "(not gzip)"
    return digest.hexdigest()


def _extract(archive: Path, targets: list[Path]) -> None:
    """Unpack the members named like the targets; names and links in the archive are not used."""
    with tarfile.open(archive) as tar:
        for target in targets:
            try:
                member = tar.getmember(f"{target.parent.name}/{target.name}")
            except KeyError as error:
                raise DataError(f"{archive.stem}: holds no {target.name}") from error
            source = tar.extractfile(member) if member.isfile() else None
            if source is None:
                raise DataError(f"{archive.stem}: {target.name} is not a file in it")
            with source, atomic_file(target) as file:
                shutil.copyfileobj(source, file)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (
            "the disk is full" if error.errno == errno.ENOSPC else os.strerror(error.errno or 0)
        )
        raise DataError(
            f"{path}: cannot be written ({reason}); make room or set another --data-dir"
        ) from error
