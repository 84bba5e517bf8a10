"""Download the benchmark data sets: resumable, verified, and never half-written."""

from __future__ import annotations

import errno
import gzip
import hashlib
import http.client
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from adacl.datasets import catalogue
from adacl.errors import DataError, MissingDataError
from adacl.files import atomic_file

OnProgress = Callable[[str, int, int | None], None]

_TIMEOUT = 30.0
_CHUNK = 1 << 16
_LIMIT = 1 << 30
"""Nothing official is larger, packed or unpacked."""


class _TransferError(Exception):
    """A download failed. Not an OSError, so that a failing disk is told apart."""


def fetch(
    name: str, folder: str | Path | None = None, on_progress: OnProgress | None = None
) -> list[Path]:
    """Download the missing files of a data set.

    A download that breaks off stays as a ``.part`` file and is resumed by the next call. A file
    gets its own name only once its SHA-256 is right. Damaged files are fetched again; they are
    kept under their name with ``.damaged``.

    Parameters
    ----------
    name
        ``mnist``, ``fashion-mnist`` or ``cifar10``.
    folder
        Data folder, see :func:`adacl.datasets.catalogue.data_dir`.
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
        If what came has the wrong checksum, or the folder is full or not writable.
    """
    benchmark, root = catalogue.get(name), catalogue.data_dir(folder)
    target, archive = root / benchmark.folders[0], benchmark.archive
    for row in catalogue.verify(name, folder):
        if row["state"] == "damaged":
            with _writing(damaged := Path(row["path"])):
                damaged.replace(f"{damaged}.damaged")
    files = benchmark.all_files
    lacking = {
        file: target / (file.name + (".bin" if archive else ".gz"))
        for file in files
        if catalogue.find(benchmark, file, root) is None
    }
    for file in [archive] if archive and lacking else list(lacking):
        url = benchmark.url + (file.name if archive else lacking[file].name)
        part = target / f"{url.rpartition('/')[2]}.part"
        try:
            with _writing(part):
                _obtain(url, file.sha256, not archive, part, on_progress)
        except _TransferError as error:
            names = ", ".join(path.name for path in lacking.values())
            raise MissingDataError(
                f"{benchmark.title}: cannot download {url} ({error}); run 'adacl data fetch {name}'"
                f" again to resume it, or put into {target} yourself: {names}"
                + (f" (unpacked from {archive.name})" if archive else "")
            ) from error
        with _writing(part):
            if archive:
                _extract(part, [*lacking.values(), target / "batches.meta.txt"])
                part.unlink()
            else:
                part.replace(lacking.pop(file))
    return [path for file in files if (path := catalogue.find(benchmark, file, root))]


def _obtain(
    url: str, sha256: str, packed: bool, part: Path, on_progress: OnProgress | None
) -> None:
    """Complete ``part`` and verify it; begin anew if what was left over is wrong."""
    resumed = True
    while resumed:
        resumed = part.is_file()
        _transfer(url, part, on_progress)
        digest = _digest(part, packed)
        if digest == sha256:
            return
        part.unlink()
    raise DataError(
        f"{part.with_suffix('')}: the content from {url} has SHA-256 {digest[:12]}, not "
        f"{sha256[:12]}, and was deleted; fetch it again, perhaps from another network"
    )


def _transfer(url: str, part: Path, on_progress: OnProgress | None) -> None:
    """Append the rest to ``part``, or write all of it if the server cannot resume."""
    done = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": "adacl"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=_TIMEOUT)
    except HTTPError as error:
        error.close()
        if done and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # there is no more; the checksum tells whether it is right
        raise _TransferError(f"HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _TransferError(getattr(error, "reason", error)) from error
    with response:
        if not isinstance(response, http.client.HTTPResponse):
            raise _TransferError(f"{response.url} is not http or https")
        resumes = response.status == HTTPStatus.PARTIAL_CONTENT
        done = done if resumes else 0
        total = None if response.length is None else done + response.length
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab" if resumes else "wb") as file:
            while done <= _LIMIT and (chunk := _read(response)):
                done += file.write(chunk)
                if on_progress is not None:
                    on_progress(part.stem, done, total)
    if done < min(total or 0, _LIMIT):
        raise _TransferError(f"the connection broke off at {done} of {total} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _TransferError(error) from error


def _digest(path: Path, packed: bool) -> str:
    """Return the SHA-256 of a file's content, or of nothing if it does not unpack."""
    digest, size = hashlib.sha256(), 0
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            while size <= _LIMIT and (chunk := file.read(_CHUNK)):
                size += len(chunk)
                digest.update(chunk)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return "(no gzip file)"
    return digest.hexdigest()


def _extract(archive: Path, targets: list[Path]) -> None:
    """Write the members named like the targets; no path or link in the archive is followed."""
    with tarfile.open(archive) as tar:
        members = {member.name: member for member in tar if member.isreg()}
        for target in targets:
            member = members.get(f"{target.parent.name}/{target.name}")
            source = tar.extractfile(member) if member else None
            if source is None:
                raise DataError(f"{archive.stem}: holds no file {target.name}")
            with source, atomic_file(target) as file:
                shutil.copyfileobj(source, file)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno == errno.ENOSPC
        reason = "the disk is full" if full else error.strerror or str(error)
        raise DataError(
            f"{path}: cannot be written ({reason}); make room or name another --data-dir"
        ) from error
